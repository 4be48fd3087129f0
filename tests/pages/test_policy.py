"""The policy of each page: what it brings runs, nothing else does."""

import re
from html import unescape

import pytest
from serving import HTML, PAGES, VENDORED, visit

if not VENDORED:
    pytest.skip("npm is missing: pages must allow what a CDN sends", allow_module_level=True)

ELEMENT = '<meta http-equiv="Content-Security-Policy" content="([^"]*)" />'
# What someone might get into a page, and how the browser says that it refused it.
INTRUDERS = """() => new Promise(done => {
    const refused = [];
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
        refused.push(effectiveDirective);
        if (refused.length === 6) done(refused.sort());
    });
    const add = (name, values) =>
        document.body.append(Object.assign(document.createElement(name), values));
    const outside = "https://example.invalid/";
    add("script", { textContent: "window.intruded = true" });
    add("script", { src: outside });
    add("iframe", { src: outside });
    add("img", { src: outside });
    document.body.insertAdjacentHTML("beforeend", "<b onclick='window.intruded = true'></b>");
    document.body.lastElementChild.click();
    fetch(outside).catch(() => {});
})"""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_one_policy_before_its_scripts(path):
    html = (HTML / path).read_text(encoding="utf-8")
    (policy,) = re.findall(ELEMENT, html)
    assert html.index("Content-Security-Policy") < html.index("<script")
    directives = dict(part.split(" ", 1) for part in unescape(policy).split("; "))
    assert directives["default-src"] == "'none'"
    assert not {"'unsafe-eval'", "'unsafe-inline'", "https:", "*"} & set(
        directives["script-src"].split()
    )
    live = "jupyter.widget-view+json" in html or path == "embed/training.html"
    assert ("blob:" in policy) == live


@pytest.mark.parametrize("path", ["book/index.html", "notebooks/05_training_in_time.html"])
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_what_a_page_does_not_bring_is_refused(browser, site, scheme, path):
    context = browser.new_context()
    page = context.new_page()
    visit(page, f"{site if scheme == 'http' else HTML.as_uri()}/{path}")
    assert page.evaluate(INTRUDERS) == [
        *("connect-src", "frame-src", "img-src"),
        *("script-src-attr", "script-src-elem", "script-src-elem"),
    ]
    assert page.evaluate("window.intruded") is None
    context.close()


def test_buttons_with_handlers_in_the_page_still_work(browser, site):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("window.print = () => { window.printed = true; }")
    visit(page, f"{site}/book/index.html")
    page.evaluate("document.querySelector('[onclick=\"window.print()\"]').click()")
    assert page.evaluate("window.printed")
    context.close()
