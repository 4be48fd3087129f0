"""How pages suit their reader: folded code, narrow screens, dark figures."""

import io

import numpy as np
import pytest
from PIL import Image
from serving import DESKTOP, VENDORED, expect, visit

CHAPTER = "notebooks/04_phase_diagram.html"
FOLDS = "details.code"
SMALL = {"width": 360, "height": 780}


@pytest.fixture
def open_page(browser, site):
    """Return a function that opens a page in a browser that has not seen the book before."""
    contexts = []

    def open_page(path, script="", **settings):
        contexts.append(browser.new_context(**{"viewport": DESKTOP} | settings))
        page = contexts[-1].new_page()
        page.add_init_script(script)
        if settings.get("java_script_enabled", True):
            visit(page, f"{site}/{path}")
        else:
            page.goto(f"{site}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()


def shown_codes(page):
    """Return how many folds of a page there are, and in how many of them code can be seen."""
    codes = page.locator(f"{FOLDS} .cell_input")
    seen = [code.evaluate("code => code.checkVisibility()") for code in codes.all()]
    return len(seen), sum(seen)


def test_code_is_folded_until_the_switch_is_pressed_and_the_choice_is_kept(open_page, site):
    page = open_page(CHAPTER)
    count, shown = shown_codes(page)
    assert count > 10
    assert shown == 0
    labels = page.locator(f"{FOLDS} > summary").all_inner_texts()
    assert all(label == "Code" or label.startswith("Code: ") for label in labels)
    assert len(set(labels)) > count / 2

    switch = page.get_by_role("button", name="Show all code")
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.press("Enter")
    expect(switch).to_have_attribute("aria-pressed", "true")
    assert shown_codes(page) == (count, count)

    for path in (CHAPTER, "notebooks/01_law_of_data_separation.html"):
        visit(page, f"{site}/{path}")
        count, shown = shown_codes(page)
        assert shown == count > 0
    page.get_by_role("button", name="Show all code").click()
    assert shown_codes(page) == (count, 0)
    page.reload()
    assert shown_codes(page) == (count, 0)


def test_a_page_keeps_its_code_folded_while_it_loads(open_page):
    # Noted at each frame: how many folds are open.
    script = """window.open_folds = [];
        const look = () => {
            window.open_folds.push(document.querySelectorAll("details.code[open]").length);
            if (document.readyState !== "complete") requestAnimationFrame(look);
        };
        requestAnimationFrame(look);"""
    seen = open_page(CHAPTER, script).evaluate("window.open_folds")
    assert seen
    assert not any(seen)


def test_a_browser_that_keeps_nothing_still_unfolds(open_page):
    script = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } });"
    page = open_page(CHAPTER, script)
    page.get_by_role("button", name="Show all code").click()
    count, shown = shown_codes(page)
    assert shown == count > 0


def test_code_is_open_without_scripts_and_on_paper(open_page):
    page = open_page(CHAPTER)
    count, _ = shown_codes(page)
    page.emulate_media(media="print")
    height = "codes => codes.map(code => code.getBoundingClientRect().height)"
    assert min(page.locator(f"{FOLDS} .cell_input").evaluate_all(height)) > 10
    page = open_page(CHAPTER, java_script_enabled=False)
    assert page.locator(f"{FOLDS}[open]").count() == count
    assert page.locator(".code-switch").count() == 0


def test_a_fold_opens_for_a_link_to_a_part_of_it_and_its_code_can_be_copied(open_page):
    page = open_page(CHAPTER)
    fold = page.locator(FOLDS).nth(3)
    anchor = fold.locator("pre").get_attribute("id")
    page.evaluate("anchor => { location.hash = anchor; }", anchor)
    expect(fold).to_have_attribute("open", "")
    button = fold.locator("button.copybtn")
    assert button.get_attribute("data-clipboard-target") == f"#{anchor}"
    assert page.locator(f"{FOLDS}[open]").count() == 1


def test_pages_without_cells_have_no_folds(open_page):
    page = open_page("book/running.html")
    assert page.locator(".bd-article pre").count() > 0
    assert page.locator(f"{FOLDS}, .code-switch").count() == 0


@pytest.mark.skipif(not VENDORED, reason="npm is missing: MathJax comes from a CDN")
@pytest.mark.parametrize(
    "path", ["notebooks/01_law_of_data_separation.html", "book/api/mechanics.html"]
)
def test_wide_equations_have_several_lines_on_a_phone_only(open_page, path):
    page = open_page(path, viewport=SMALL)
    formulas = page.locator("mjx-container:has(.new-line) mjx-math")
    expect(formulas.first).to_be_attached()
    for formula in formulas.all():
        lines = formula.evaluate(
            """formula => new Set([...formula.children]
                .filter(part => part.className !== "new-line" && part.offsetHeight > 0)
                .filter(part => part.previousElementSibling?.className === "new-line"
                    || !part.previousElementSibling)
                .map(part => Math.round(part.getBoundingClientRect().left))).size"""
        )
        assert lines <= 2, "lines begin below one another, but for the space of a sign"
        assert formula.evaluate("formula => parseFloat(getComputedStyle(formula).fontSize)") > 13
    page.set_viewport_size(DESKTOP)
    expect(page.locator("mjx-math .new-line")).to_have_count(0)


def test_rows_of_tables_are_cards_on_a_phone(open_page):
    page = open_page(CHAPTER, viewport=SMALL)
    table = page.locator("table.cards").first
    assert not table.locator("thead").is_visible()
    label = "cell => getComputedStyle(cell, '::before').content"
    names = table.locator("thead tr").first.locator("th").all_text_contents()[1:]
    cells = table.locator("tbody tr").first.locator("td")
    assert [cell.evaluate(label) for cell in cells.all()] == [f'"{name}: "' for name in names]
    page.set_viewport_size(DESKTOP)
    assert table.locator("thead").is_visible()
    assert cells.first.evaluate(label) == "none"


def corner(page, image):
    """Return the colour of the upper left corner of a picture as it is seen on a page."""
    image.scroll_into_view_if_needed()
    image.evaluate("image => image.decode()")
    with Image.open(io.BytesIO(image.screenshot())) as picture:
        return np.array(picture.convert("RGB"))[2, 2]


@pytest.mark.parametrize("path", [CHAPTER, "notebooks/01_law_of_data_separation.html"])
def test_figures_have_the_ground_of_a_dark_page(open_page, path):
    page = open_page(path, color_scheme="dark")
    images = page.locator("article picture > img").all()
    shown = [image for image in images if image.is_visible()]
    assert len(shown) > 5
    for image in shown[::3]:
        assert corner(page, image).max() < 40
        assert image.evaluate("image => image.currentSrc").endswith(".dark.png")
    fetched = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    figures = [name for name in fetched if "/_images/" in name and name.endswith(".png")]
    assert all(name.endswith(".dark.png") for name in figures), "light ones are fetched, too"


def test_figures_follow_the_switch_between_light_and_dark(open_page):
    page = open_page(CHAPTER, color_scheme="light")
    image = page.locator("article figure picture > img").first
    assert corner(page, image).min() > 240
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(image).to_have_js_property("complete", True)
    page.wait_for_load_state("networkidle")
    assert corner(page, image).max() < 40
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    page.wait_for_load_state("networkidle")
    assert corner(page, image).min() > 240
