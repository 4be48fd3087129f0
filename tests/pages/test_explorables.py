"""The explorables in the built book, driven by keyboard and by pointer, without a kernel."""

import re

import pytest
from serving import DESKTOP, HTML, PHONE, VENDORED, expect, visit, watched

from sbt_book.live.chain import ChainExplorable
from sbt_book.live.phase_diagram import PhaseDiagramExplorable
from sbt_utils.mechanics.pulls import slow_and_steady
from sbt_utils.mechanics.ruler import FoldingRuler

if not VENDORED:
    pytest.skip("npm is missing: the widgets come from a CDN", allow_module_level=True)

PAGES = {
    "Folding ruler": "notebooks/02_folding_ruler.html",
    "Spring-block chain": "notebooks/03_spring_block_chain.html",
    "Phase diagram": "notebooks/04_phase_diagram.html",
    "Live training": "notebooks/05_training_in_time.html",
    "Laboratory": "notebooks/05_training_in_time.html",
    "A sentence in a language model": "notebooks/11_language_models.html",
}


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def explorable(request, browser, site):
    """Yield a function that opens the page of an explorable and returns the page and its frame."""
    touch = request.param == PHONE
    context = browser.new_context(viewport=request.param, has_touch=touch)
    opened = []

    def open_explorable(title):
        page, complaints = watched(context, site)
        opened.append(complaints)
        visit(page, f"{site}/{PAGES[title]}")
        frame = page.locator(f"section.sbt[aria-label='{title}']")
        frame.locator("button:visible, input:visible").first.wait_for()
        frame.scroll_into_view_if_needed()
        return page, frame

    yield open_explorable
    context.close()
    assert not [complaint for complaints in opened for complaint in complaints]


def convexity(frame):
    """Return the convexity that the readout of an explorable says."""
    match = re.search(r"convexity ([−+]?[\d.]+)", frame.locator(".sbt-readout").inner_text())
    return float(match[1].replace("−", "-"))


def drag(page, slider, fraction):
    """Move a slider's handle with the mouse to a fraction of its track."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    start = slider.evaluate("s => (s.value - s.min) / (s.max - s.min)")
    inset = 8  # half the handle
    track = box["width"] - 2 * inset
    page.mouse.move(box["x"] + inset + start * track, y)
    page.mouse.down()
    page.mouse.move(box["x"] + inset + fraction * track, y, steps=5)
    page.mouse.up()


def test_chain_says_what_python_says(explorable):
    page, chain = explorable("Spring-block chain")
    chain.get_by_role("slider", name="Noise").focus()
    page.keyboard.press("Home")
    chain.get_by_role("slider", name="Friction to the right").focus()
    page.keyboard.press("End")
    expected = ChainExplorable(noise=0.0, friction_right=0.02).load_curve
    assert convexity(chain) == pytest.approx(expected.convexity, abs=0.005)
    assert expected.regime in chain.locator(".sbt-readout").inner_text()

    drag(page, chain.get_by_role("slider", name="Friction to the right"), 0.25)
    chosen = float(chain.get_by_role("slider", name="Friction to the right").input_value())
    assert chosen == pytest.approx(0.005, abs=0.0011)
    expected = ChainExplorable(noise=0.0, friction_right=chosen).load_curve
    assert convexity(chain) == pytest.approx(expected.convexity, abs=0.005)

    chain.get_by_role("slider", name="Blocks").focus()
    page.keyboard.press("ArrowRight")
    assert chain.locator(".sbt-chain rect").count() == 8


def test_chain_moves_when_it_is_pulled_and_shaken(explorable):
    page, chain = explorable("Spring-block chain")
    path = chain.locator(".sbt-curve.sbt-own").first

    def moves():
        expect(path).not_to_have_attribute("d", path.get_attribute("d"))

    def rests():
        before = path.get_attribute("d")
        page.wait_for_timeout(300)
        assert path.get_attribute("d") == before

    rests()  # nothing moves by itself
    chain.get_by_role("button", name="Active").click()
    moves()
    chain.get_by_role("button", name="Pause").press("Enter")
    rests()
    time = chain.get_by_role("slider", name="Time")
    time.focus()
    page.keyboard.press("End")
    assert time.input_value() == "700"
    assert "active" in chain.locator(".sbt-readout").inner_text()
    chain.get_by_role("button", name="Shake").click()
    moves()
    assert float(time.get_attribute("max")) > 700


def test_phase_diagram_is_walked_through(explorable):
    page, diagram = explorable("Phase diagram")
    readout = diagram.locator(".sbt-readout").first
    expected = PhaseDiagramExplorable()
    assert readout.inner_text().startswith("dropout p = 0.12, α = 0")
    assert convexity(diagram) == pytest.approx(expected.load_curve.convexity, abs=0.0051)

    diagram.locator("[role=gridcell][aria-selected=true]").focus()
    page.keyboard.press("ArrowRight")  # less noise
    page.keyboard.press("ArrowDown")  # less nonlinearity
    expected.noise, expected.slope = 0.1, 0.2
    assert readout.inner_text().startswith("dropout p = 0.1, α = 0.2")
    assert convexity(diagram) == pytest.approx(expected.load_curve.convexity, abs=0.0051)

    diagram.locator("[role=gridcell]").nth(20).click()
    expected.noise, expected.slope = 0.22, 0.2
    assert readout.inner_text().startswith("dropout p = 0.22, α = 0.2")
    assert convexity(diagram) == pytest.approx(expected.load_curve.convexity, abs=0.0051)
    diagram.get_by_role("button", name="Pause").wait_for()  # its chain is being pulled

    drag(page, diagram.get_by_role("slider", name="negative slope"), 1.0)
    expected.slope = 1.0
    assert convexity(diagram) == pytest.approx(expected.load_curve.convexity, abs=0.0051)
    diagram.get_by_role("combobox").select_option(label="batch size")
    assert diagram.locator("[role=gridcell]").count() == 60
    assert diagram.locator(".sbt-theory2").count() == 2  # the published curve, and its dots


def test_ruler_opens_as_python_says_when_it_is_replayed(explorable):
    _, ruler = explorable("Folding ruler")
    readout = ruler.locator(".sbt-readout")
    assert "not yet pulled" in readout.inner_text()
    ruler.get_by_role("button", name="Slow and steady").click()
    folded = FoldingRuler()
    expected = folded.pull(slow_and_steady(folded, speed=0.1)).load_curve.convexity
    expect(readout).to_contain_text(f"convexity −{-expected:.2f}")
    assert "lazy" in readout.inner_text()
    ruler.get_by_role("button", name="Quick and jerky").click()
    expect(readout).to_contain_text("active")


def test_ruler_follows_pointer_and_keys(explorable):
    page, ruler = explorable("Folding ruler")
    hand = ruler.get_by_role("slider", name="The hand that pulls")
    start = hand.get_attribute("transform")
    page.wait_for_timeout(300)
    assert hand.get_attribute("transform") == start  # nothing moves by itself
    ring = ruler.locator(".sbt-ruler-ring").bounding_box()
    x, y = ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=30)
    page.mouse.up()
    expect(hand).not_to_have_attribute("transform", start)
    ruler.get_by_role("button", name="Fold").first.click()
    page.wait_for_timeout(300)
    hand.focus()
    before = hand.get_attribute("aria-valuetext")
    page.keyboard.press("PageUp")
    expect(hand).not_to_have_attribute("aria-valuetext", before)


def test_live_training_trains_and_listens_to_its_knobs(explorable):
    page, training = explorable("Live training")
    note = training.locator(".sbt-charts .sbt-note").first
    curve = training.locator(".sbt-charts path.sbt-curve.sbt-own").first

    def steps():
        return int(re.match(r"([\d,]+) steps", note.inner_text())[1].replace(",", ""))

    page.wait_for_timeout(500)
    assert steps() == 0  # nothing trains by itself
    training.get_by_role("button", name="Lazy").click()
    expect(training.locator(".sbt-readout")).to_have_text(re.compile("^Lazy"))
    page.wait_for_timeout(2000)  # until the last turn of a knob is over
    dropout = training.get_by_role("slider", name="Dropout p")
    dropout.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert dropout.get_attribute("aria-valuetext") == "0.30"
    expect(training.locator(".sbt-charts .sbt-ghost")).not_to_have_count(0)
    expect(training.locator(".sbt-readout")).to_have_text(re.compile("^Active"))
    training.get_by_role("button", name="Pause").press("Enter")
    for _ in range(30):  # a busy worker hears of it late
        at_rest = steps()
        page.wait_for_timeout(1000)
        if steps() == at_rest:
            break
    assert steps() == at_rest > 50
    path = curve.get_attribute("d")
    drag(page, training.get_by_role("slider", name="Negative slope"), 1.0)
    expect(curve).not_to_have_attribute("d", path)


def test_laboratory_says_that_no_kernel_listens(explorable):
    _, laboratory = explorable("Laboratory")
    laboratory.get_by_text("No kernel is listening").wait_for()
    assert laboratory.get_by_role("button", name="Train").is_disabled()
    assert laboratory.locator("tbody tr").count() >= 2
    assert laboratory.locator(".sbt-curve.sbt-own").first.get_attribute("d")


@pytest.mark.parametrize("title", PAGES)
def test_without_scripts_there_is_a_picture_and_a_sentence(browser, site, title):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{PAGES[title]}")
    assert_still(page)
    context.close()


def assert_still(page):
    words, picture = page.locator(".still p").first, page.locator(".still img").first
    assert words.inner_text().startswith("With scripts, this picture is live.")
    assert words.is_visible()
    assert picture.is_visible()
    assert picture.evaluate("img => img.naturalWidth") > 0


@pytest.mark.parametrize("blocked", ["require.js", "embed-amd.js", "anywidget.js"])
def test_the_still_picture_stays_where_the_live_one_is_blocked(browser, site, blocked):
    context = browser.new_context()
    page = context.new_page()
    page.route(f"**/{blocked}*", lambda route: route.abort())
    page.goto(f"{site}/{PAGES['Folding ruler']}", wait_until="networkidle")
    assert_still(page)
    assert not page.locator("section.sbt").count()
    context.close()


def test_reduced_motion_is_honoured(browser, site):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    visit(page, f"{site}/{PAGES['Spring-block chain']}")
    chain = page.locator("section.sbt[aria-label='Spring-block chain']")
    time = chain.get_by_role("slider", name="Time")
    time.focus()
    page.keyboard.press("Home")
    chain.get_by_role("button", name="Pull").click()
    assert time.input_value() == "700"
    context.close()


@pytest.mark.parametrize("title", PAGES)
def test_explorables_work_from_a_file(browser, title):
    context = browser.new_context()
    page, complaints = watched(context, "file://")
    visit(page, f"{HTML.as_uri()}/{PAGES[title]}")
    frame = page.locator(f"section.sbt[aria-label='{title}']")
    frame.locator(".sbt-readout").first.wait_for(state="attached")
    for still in page.locator(".still").all():
        expect(still).to_be_hidden()
    assert not complaints
    context.close()
