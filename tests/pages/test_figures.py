"""Figures and tables as readers meet them: narrow on a phone, and to take away."""

import re
import xml.etree.ElementTree as ET
from urllib.parse import urljoin

import pandas as pd
import pytest
from serving import DESKTOP, HTML, PHONE, visit, watched

# Pages whose figures are there in both forms.
NARROWED = [
    str(path.relative_to(HTML))
    for path in sorted(HTML.glob("notebooks/*.html"))
    if "-narrow.png" in path.read_text(encoding="utf-8")
]
SVGS = sorted(HTML.glob("figures/*.svg"))


@pytest.mark.parametrize(("size", "narrow"), [(PHONE, True), (DESKTOP, False)])
@pytest.mark.parametrize("page", NARROWED[3:4])
def test_only_the_picture_that_fits_the_screen_is_fetched(browser, site, page, size, narrow):
    context = browser.new_context(viewport=size)
    tab, complaints = watched(context, site)
    fetched = []
    tab.on("request", lambda request: fetched.append(request.url))
    visit(tab, f"{site}/{page}")
    shown = tab.eval_on_selector_all(
        "picture:has(source[media*='600px']) > img",
        "images => images.map(image => [image.currentSrc, image.naturalWidth, image.width])",
    )
    assert shown
    for address, natural, width in shown:
        assert ("-narrow" in address) == narrow
        assert natural > 1
        assert width <= size["width"]
        other = (
            re.sub(r"-narrow", "", address) if narrow else address.replace(".png", "-narrow.png")
        )
        assert other not in fetched
    assert complaints == []
    context.close()


@pytest.mark.parametrize("page", NARROWED)
def test_links_below_figures_and_tables_lead_to_files(site, page):
    text = (HTML / page).read_text(encoding="utf-8")
    lines = re.findall(r'<p class="take-away">(.*?)</p>', text)
    assert lines
    for address in re.findall(r'href="([^"]+)"', "".join(lines)):
        path = urljoin(f"{page}", address).partition("#")[0]
        assert (HTML / path).is_file(), address


def test_vector_graphics_are_small_and_hold_no_script():
    if not SVGS:
        pytest.skip("the notebooks ran without `make`: there are no other forms of their figures")
    for path in SVGS:
        assert path.stat().st_size < 1_000_000, path
        for element in ET.parse(path).iter():
            assert not element.tag.endswith(("}script", "}foreignObject")), path
            assert not [name for name in element.attrib if name.lower().startswith("on")], path


def test_tables_can_be_read():
    for path in HTML.glob("tables/*.csv"):
        table = pd.read_csv(path)
        assert table.size, path
        assert table.columns.size, path
