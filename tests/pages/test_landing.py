"""The landing page's live picture moves by itself once, stops for anybody, follows its knobs."""

import gzip

import pytest
from serving import DESKTOP, HTML, PATIENCE, PHONE, expect, watched

from sbt_book.common.committed import RESULTS
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.results import load

PAGE = "book/index.html"
VIEWS = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
# Whatever is drawn: both curves, layers, blocks.
DRAWN = "root => [...root.querySelectorAll('path, rect, circle')].map(e => e.outerHTML).join()"
CHAPTERS = {
    "A network": "01_law_of_data_separation",
    "A chain": "03_spring_block_chain",
    "Load curves": "01_law_of_data_separation",
    "A map of both knobs": "04_phase_diagram",
}


@pytest.fixture
def landing(browser, site):
    """Yield a function that opens the landing page, and returns the page and its live picture."""
    opened = []

    def open_landing(viewport=DESKTOP, address=site, clock=False, **options):
        context = browser.new_context(viewport=viewport, has_touch=viewport == PHONE, **options)
        page, complaints = watched(context, address)
        opened.append((context, complaints))
        if clock:
            page.clock.install()  # time stands still but for what a test lets pass
        page.goto(f"{address}/{PAGE}", wait_until="commit")
        root = page.locator("section.sbt-landing")
        root.wait_for()
        return page, root

    yield open_landing
    for context, complaints in opened:
        context.close()
        assert not complaints


def at_rest(page, root):
    """Tell whether nothing is drawn anew in a third of a second."""
    before = root.evaluate(DRAWN)
    page.wait_for_timeout(300)
    return root.evaluate(DRAWN) == before


def curve_of(root, kind):
    """Return the path of a drawn load curve."""
    return root.locator(f".sbt-chart > svg .sbt-curve.sbt-{kind}").get_attribute("d")


@VIEWS
def test_it_moves_within_two_seconds_and_then_rests(landing, viewport):
    page, root = landing(viewport)
    loaded = "performance.getEntriesByType('navigation')[0].domInteractive"
    before = root.evaluate(DRAWN)
    while root.evaluate(DRAWN) == before:
        assert page.evaluate(f"performance.now() - {loaded}") < PATIENCE
        page.wait_for_timeout(50)
    # A busy machine is slow to load, but what then moves has been asked to.
    assert page.evaluate(f"performance.now() - {loaded}") < 2000
    sentence = root.locator(".sbt-readout")
    for words in ("deep layers", "all layers", "shallow layers"):
        expect(sentence).to_contain_text(words)
    slope, noise = (root.get_by_role("slider", name=name) for name in ("Nonlin", "Noise"))
    expect(slope).to_have_attribute("aria-valuetext", "slope 0.4")
    expect(noise).to_have_attribute("aria-valuetext", "dropout 4 %")
    page.wait_for_timeout(500)
    assert at_rest(page, root)
    assert root.locator(".sbt-spoken").inner_text() == ""


@pytest.mark.parametrize(
    "stop",
    [
        lambda page, root: page.keyboard.press("Shift"),
        lambda page, root: page.mouse.click(200, 100),
        lambda page, root: page.touchscreen.tap(200, 100),
        lambda page, root: page.mouse.wheel(0, 1),
        lambda page, root: root.locator("input").first.focus(),
    ],
    ids=["key", "press", "touch", "wheel", "focus"],
)
def test_it_stops_at_once(landing, stop):
    page, root = landing(PHONE, clock=True)
    noise = root.get_by_role("slider", name="Noise")
    page.clock.run_for(1600)
    stop(page, root)
    at = noise.get_attribute("aria-valuetext")
    assert at not in ("dropout 0 %", "dropout 4 %")  # neither where it starts nor where it ends
    drawn = root.evaluate(DRAWN)
    page.clock.run_for(5000)
    assert root.evaluate(DRAWN) == drawn
    assert noise.get_attribute("aria-valuetext") == at


@VIEWS
def test_it_stays_still_for_who_prefers_that(landing, viewport):
    page, root = landing(viewport, reduced_motion="reduce")
    before = root.evaluate(DRAWN)
    page.wait_for_timeout(1500)
    assert root.evaluate(DRAWN) == before
    root.get_by_role("slider", name="Noise").press("End")
    after = root.evaluate(DRAWN)
    assert after != before
    assert at_rest(page, root)


@VIEWS
def test_all_of_it_is_in_view_above_the_fold(landing, viewport):
    _, root = landing(viewport)
    parts = root.locator(".sbt-stage svg, .sbt-chart > svg, input, .sbt-readout, a")
    assert parts.count() == 2 + 1 + 2 + 1 + 4
    for part in parts.all():
        box = part.bounding_box()
        assert box["y"] > 0
        assert box["y"] + box["height"] <= viewport["height"]
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= viewport["width"]


@VIEWS
def test_both_curves_bend_with_both_knobs_and_the_sentence_says_how(landing, viewport):
    page, root = landing(viewport)
    networks = load(RESULTS / "dropout.nc").separation_train
    slope = root.get_by_role("slider", name="Nonlin")
    noise = root.get_by_role("slider", name="Noise")
    work = {"lazy": "deep layers", "equiseparated": "all layers", "active": "shallow layers"}
    slope.press("End")
    noise.press("End")
    for knob, key, cell in [
        (noise, "Home", (0.0, 0.0)),
        (noise, "End", (0.0, 0.3)),
        (slope, "ArrowLeft", (0.2, 0.3)),
        (noise, "Home", (0.2, 0.0)),
        (slope, "Home", (1.0, 0.0)),
    ]:
        page.wait_for_timeout(400)
        own, other = curve_of(root, "own"), curve_of(root, "other")
        knob.press(key)
        page.wait_for_timeout(400)
        assert curve_of(root, "own") != own
        assert curve_of(root, "other") != other
        regime = LoadCurve(networks.sel(slope=cell[0], noise=cell[1]).mean("seed").values).regime
        expect(root.locator(".sbt-readout")).to_contain_text(f"{work[regime]} do ")
        expect(root.locator(".sbt-readout")).to_contain_text(f"({regime})")
    expect(root.locator(".sbt-spoken")).to_contain_text(work[regime])


def test_it_answers_within_a_frame(landing):
    page, root = landing()
    page.keyboard.press("Shift")
    # Of the work between a turn and the next picture; a frame of 60 a second has 16.7 ms.
    took = root.get_by_role("slider", name="Noise").evaluate(
        """knob => {
            const all = [];
            for (let level = 0; level <= knob.max; level++) {
                const start = performance.now();
                knob.value = level;
                knob.dispatchEvent(new Event("input", { bubbles: true }));
                all.push(performance.now() - start);
            }
            return all.sort((a, b) => a - b)[all.length >> 1];
        }"""
    )
    assert took < 16


def test_one_tap_leads_to_what_is_behind_each_thing(landing):
    page, root = landing(PHONE)
    links = root.locator("a")
    assert [name.capitalize() for name in links.all_inner_texts()] == list(CHAPTERS)
    for link, chapter in zip(links.all(), CHAPTERS.values(), strict=True):
        assert chapter in link.get_attribute("href")
    links.first.tap()
    page.wait_for_url("**/01_law_of_data_separation.html")


def test_it_is_light(landing):
    page, _ = landing()
    page.wait_for_load_state("networkidle")
    still = page.locator(".landing img").get_attribute("src")
    files = ["_static/landing.js", "_static/landing.css", still.removeprefix("../")]
    weights = [len(gzip.compress((HTML / file).read_bytes())) for file in files]
    assert sum(weights[:2]) < 40_000
    assert sum(weights) < 200_000  # the still one may have been asked for before it is taken away


def test_it_works_from_a_file(landing):
    page, root = landing(address=HTML.as_uri())
    before = root.evaluate(DRAWN)
    root.get_by_role("slider", name="Noise").press("End")
    page.wait_for_timeout(400)
    assert root.evaluate(DRAWN) != before


@pytest.mark.parametrize("blocked", [False, True], ids=["scripts off", "script blocked"])
def test_a_still_picture_and_a_sentence_stand_in_for_it(browser, site, blocked):
    context = browser.new_context(java_script_enabled=blocked, viewport=PHONE)
    page = context.new_page()
    page.route("**/landing.js*", lambda route: route.abort())
    page.goto(f"{site}/{PAGE}")
    place = page.locator(".landing")
    assert not page.locator("section.sbt-landing").count()
    picture = place.locator("img")
    picture.scroll_into_view_if_needed()
    assert picture.is_visible()
    assert len(picture.get_attribute("alt")) > 80
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("img => img.naturalWidth") > 0
    assert place.locator("p").first.is_visible()
    assert "nonlinearity" in place.inner_text()
    assert page.locator(".landing > p:last-child a").count() == len(CHAPTERS)
    context.close()
