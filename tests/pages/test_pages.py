"""Every page of the built book, as a reader's browser sees it."""

import gzip
import shutil
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from serving import DESKTOP, HTML, PAGES, PHONE, ROOT, VENDORED, expect, visit, watched

# Findings of axe-core that keep someone from reading, one line each; by all its rules or by some.
SERIOUS = """async rules => {
    const options = { resultTypes: ["violations"], ...(rules && { runOnly: rules }) };
    const { violations } = await axe.run(document, options);
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200))}`);
}"""
# What these rules find depends on the colours or on the width, what the others find on the markup.
SEEN = ["color-contrast", "link-in-text-block", "scrollable-region-focusable"]
# What reaches beyond the article that it is in, or is cut off and has to be scrolled. Code may be.
TOO_WIDE = """() => {
    const article = document.querySelector("article.bd-article");
    if (!article) return [];
    const { left, right } = article.getBoundingClientRect();
    const parts = "figure, picture, img, table, td, th, mjx-math, .cell_output .text_html";
    return [...article.querySelectorAll(parts)]
        .filter(part => !part.closest("section.sbt, pre") && part.checkVisibility())
        .filter(part => {
            const box = part.getBoundingClientRect();
            const scrolls = getComputedStyle(part).overflowX !== "visible";
            return box.left < left - 1 || box.right > right + 1
                || (scrolls && part.scrollWidth > part.clientWidth + 1);
        })
        .map(part => part.outerHTML.slice(0, 120));
}"""
SMALL = {"width": 360, "height": 780}
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
AXE = ROOT / "node_modules/axe-core/axe.min.js"


@pytest.fixture(
    scope="session",
    params=[("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)],
    ids=["light-desktop", "dark-desktop", "light-phone", "dark-phone"],
)
def view(request, browser, site):
    """Yield (open, scheme): `open` loads a page and returns it with the complaints it caused."""
    scheme, viewport = request.param
    context = browser.new_context(color_scheme=scheme, viewport=viewport)

    def open_page(path):
        page, complaints = watched(context, site)
        visit(page, f"{site}/{path}")
        return page, complaints

    yield open_page, scheme
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_do_not_wait_for_the_scripts_of_the_theme(browser, site, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
    page.goto(f"{site}/book/index.html")
    assert page.locator("html").get_attribute("data-theme") == scheme
    context.close()


def test_films_are_fetched_when_they_are_opened(browser, site):
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    visit(page, f"{site}/notebooks/02_folding_ruler.html")
    films = page.locator("details.film")
    assert films.count() == 3
    films.last.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    width = "details => details.querySelector('img').naturalWidth"
    assert films.first.evaluate(width) == 0
    # Not page.wait_for_function: where it has to look twice, it evaluates text in the page, which
    # the page's own Content-Security-Policy forbids.
    with page.expect_response(films.first.locator("img").evaluate("image => image.src")) as fetched:
        films.first.locator("summary").press("Enter")
    assert fetched.value.ok
    assert films.last.evaluate(width) == 0
    context.close()


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is missing: MathJax comes from a CDN")
def test_the_book_serves_its_own_mathjax():
    assert VENDORED


@pytest.mark.parametrize("path", PAGES)
def test_page(view, path):
    open_page, scheme = view
    page, complaints = open_page(path)
    assert not complaints
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)

    overflow = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
    assert overflow <= 1, "the page scrolls sideways"

    # Pictures further down load lazily; ask for all of them.
    images = page.evaluate(
        """Promise.all([...document.images].map(async image => {
            image.loading = "eager";
            await image.decode().catch(() => {});
            return [image.getAttribute("src"), image.alt.trim(), image.naturalWidth];
        }))"""
    )
    for source, alt, width in images:
        assert width > 0, f"{source} does not load"
        assert alt, f"{source} has no alternative text"

    if VENDORED:
        math, typeset, failed = page.evaluate(
            """['.math', '.math mjx-container', 'mjx-merror, [data-mjx-error]']
               .map(selector => document.querySelectorAll(selector).length)"""
        )
        assert not failed
        assert typeset >= math, "an equation is not typeset"
    names = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    names.append(page.url)
    paths = {unquote(urlsplit(name).path[1:]) for name in names if name.startswith("http")}
    paths = {path for path in paths if not path.endswith(".gif")}  # a film is fetched when opened
    weights = {path: len(gzip.compress((HTML / path).read_bytes())) for path in paths if VENDORED}
    limit = 3e6 if page.locator("section.sbt:not(.sbt-landing)").count() else 1.5e6
    assert sum(weights.values()) < limit, sorted(weights.items(), key=lambda item: -item[1])[:8]

    # Two views show both schemes and both widths. One page in both frames is checked by all rules
    # for what only a phone shows around every page.
    if AXE.exists() and (scheme == "light") == (page.viewport_size == PHONE):
        page.evaluate(AXE.read_text(encoding="utf-8"))  # the page's policy allows no such script
        again = scheme == "light" and path != "book/index.html"
        assert not page.evaluate(SERIOUS, SEEN if again else None)
    if VENDORED and scheme == "light" and page.viewport_size == PHONE:
        page.set_viewport_size(SMALL)
        page.evaluate(DRAWN)
        assert page.evaluate(TOO_WIDE) == []
    page.close()


def test_internal_links_resolve(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    anchors, links = {}, []
    for path in PAGES:
        page.goto(f"{site}/{path}", wait_until="domcontentloaded")
        anchors[path] = set(page.eval_on_selector_all("[id]", "all => all.map(e => e.id)"))
        links += [
            (path, link)
            for link in page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
            if link.startswith(site)
        ]
    context.close()
    for origin, link in links:
        target, anchor = urldefrag(link.removeprefix(f"{site}/"))
        target, anchor = unquote(urlsplit(target).path) or "index.html", unquote(anchor)
        assert (HTML / target).is_file(), f"{origin} links to {link}"
        if anchor and target in anchors:
            assert anchor in anchors[target], f"{origin} links to {link}"


def test_search_finds_the_load_curve(browser, site):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}/search.html?q=load+curve")
    page.wait_for_selector("#search-results li a")
    assert "index.html" in " ".join(
        page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    )
    context.close()
