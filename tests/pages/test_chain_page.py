"""The chain in the built book: nudges, earthquakes, their sound and the tour."""

import re

import pytest
from serving import DESKTOP, PHONE, ROOT, expect

AXE = ROOT / "node_modules/axe-core/axe.min.js"
PAGE = "notebooks/03_spring_block_chain.html"
# Counts what would sound, before the page's own scripts run.
LISTEN = """window.sounding = [0, 0];
const { AudioContext: Context, OscillatorNode: Oscillator } = window;
window.AudioContext = class extends Context {
  constructor(...given) { super(...given); window.sounding[0] += 1; }
};
window.OscillatorNode = class extends Oscillator {
  constructor(...given) { super(...given); window.sounding[1] += 1; }
};"""


@pytest.fixture
def chain(explorable_on):
    """Return a function that opens the chain and returns the page and the explorable."""

    def open_chain(settings="", viewport=DESKTOP, **options):
        path = f"{PAGE}{settings and f'#chain={settings}'}"
        return explorable_on(path, "Spring-block chain", viewport, LISTEN, **options)

    return open_chain


def blocks(frame):
    return [float(each.get_attribute("x")) for each in frame.locator(".sbt-chain rect").all()]


def settled(page, frame):
    """Wait until the blocks stand still; return where."""
    before = None
    while before != (before := blocks(frame)):
        page.wait_for_timeout(400)
    return before


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_tapped_block_is_nudged(chain, viewport):
    _, frame = chain("noise:0", viewport, reduced_motion="reduce")
    before = blocks(frame)
    block = frame.locator(".sbt-chain g > g").nth(2)
    block.tap() if viewport == PHONE else block.click()
    after = blocks(frame)
    assert after[2] > before[2] + 2
    marked = frame.locator(".sbt-chain rect.sbt-chain-marked")
    expect(marked).to_have_count(1)
    assert float(marked.get_attribute("x")) == after[2]
    assert float(frame.get_by_role("slider", name="Time").get_attribute("max")) > 700


def test_blocks_are_nudged_by_keyboard(chain):
    page, frame = chain("noise:0", reduced_motion="reduce")
    before = blocks(frame)
    frame.get_by_role("combobox", name="Block").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    for _ in range(3):
        page.keyboard.press("Tab")  # over the left one to the right one, and back
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Nudge right"
    page.keyboard.press("Enter")
    assert blocks(frame)[1] > before[1] + 2


def test_a_nudge_moves_and_comes_to_rest(chain):
    page, frame = chain("noise:0")
    before = blocks(frame)
    frame.get_by_role("button", name="Nudge left").click()
    expect(frame.get_by_role("button", name="Pause")).to_be_visible()
    assert settled(page, frame) != before
    expect(frame.get_by_role("button", name="Pull", exact=True)).to_be_visible()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_earthquakes_are_counted_and_fitted(chain, viewport):
    page, frame = chain("", viewport)
    frame.get_by_role("button", name="Earthquakes").click()
    readout = frame.locator(".sbt-readout")
    assert readout.inner_text().startswith("0 slips: too few")
    assert frame.locator(".sbt-chain rect").count() == 20
    expect(frame.get_by_role("slider", name="Time")).to_be_hidden()
    frame.get_by_role("button", name="1,000 slips at once").click()
    expect(readout).to_have_text(re.compile(r"^1,000 slips; exponent 1\.[67]\d ± 0\.\d\d "))
    picture = frame.get_by_role("img", name="Histogram of slip sizes")
    assert readout.inner_text() in picture.get_attribute("aria-label")
    assert frame.locator("path.sbt-slip-bars").get_attribute("d").count("Z") >= 10
    assert frame.locator(".sbt-slips path.sbt-other").get_attribute("d")
    assert page.evaluate("window.sounding") == [0, 0]

    before = blocks(frame)
    frame.get_by_role("button", name="Pull for ever").click()
    expect(readout).not_to_have_text(re.compile("^1,000 slips"))
    frame.get_by_role("button", name="Pause").click()
    stopped = settled(page, frame)
    assert stopped != before

    frame.get_by_role("button", name="Earthquakes").click()
    assert frame.locator(".sbt-chain rect").count() == 7
    expect(frame.get_by_role("slider", name="Time")).to_be_visible()
    assert readout.inner_text().startswith("At time 700")


def test_a_nudge_sets_off_a_slip_that_does_not_count(chain):
    page, frame = chain("earthquakes:1,blocks:7,damping:0.1")
    readout = frame.locator(".sbt-readout")
    before = blocks(frame)
    frame.get_by_role("button", name="Nudge right").click()
    assert settled(page, frame) != before
    assert readout.inner_text().startswith("0 slips")


def test_slips_sound_only_when_asked_to(chain):
    page, frame = chain("earthquakes:1,blocks:5,damping:0.1")
    frame.get_by_role("button", name="Pull for ever").click()
    expect(frame.locator(".sbt-readout")).not_to_have_text(re.compile("^[01] slip"))
    assert page.evaluate("window.sounding") == [0, 0]
    sound = frame.get_by_role("button", name="Sound")
    sound.click()
    assert sound.get_attribute("aria-pressed") == "true"
    readout = frame.locator(".sbt-readout")
    expect(readout).not_to_have_text(readout.inner_text())
    sound.click()
    assert sound.get_attribute("aria-pressed") == "false"
    contexts, clicks = heard = page.evaluate("window.sounding")
    assert contexts == 1
    assert clicks > 0
    expect(readout).not_to_have_text(readout.inner_text())
    assert page.evaluate("window.sounding") == heard


def test_without_motion_a_stretch_is_computed_at_once(chain):
    _, frame = chain("earthquakes:1,blocks:12,damping:0.1", reduced_motion="reduce")
    frame.get_by_role("button", name="Pull for ever").click()
    expect(frame.locator(".sbt-readout")).to_have_text(re.compile("^100 slips: too few"))
    expect(frame.get_by_role("button", name="Pull for ever")).to_be_visible()


def test_without_friction_nothing_slips(chain):
    _, frame = chain("friction_right:0,earthquakes:1")
    frame.get_by_role("button", name="1,000 slips at once").click()
    expect(frame.locator(".sbt-readout")).to_contain_text("nothing slips")


def test_the_tour_leads_to_earthquakes_and_back(chain):
    page, frame = chain(reduced_motion="reduce")
    frame.get_by_role("button", name="Take the tour").click()
    readout = frame.locator(".sbt-readout")
    for regime in ("lazy", "equiseparated", "active"):
        expect(readout).to_contain_text(regime)
        page.keyboard.press("Enter")
    expect(frame.get_by_text("Step 4 of 5")).to_be_visible()
    assert "lazy" not in readout.inner_text()
    page.keyboard.press("Enter")
    expect(readout).to_have_text(re.compile("^100 slips"))
    frame.get_by_role("button", name="Back").click()
    assert frame.locator(".sbt-chain rect").count() == 7


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_earthquakes_are_accessible(chain, scheme, viewport):
    if not AXE.exists():
        pytest.skip("npm is missing: no axe-core")
    options = {"color_scheme": scheme, "reduced_motion": "reduce"}
    page, frame = chain("earthquakes:1,blocks:20,damping:0.1", viewport, **options)
    frame.get_by_role("button", name="1,000 slips at once").click()
    expect(frame.locator(".sbt-readout")).to_contain_text("exponent")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "async () => (await axe.run('section.sbt')).violations.map((each) => each.id)"
    )
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
