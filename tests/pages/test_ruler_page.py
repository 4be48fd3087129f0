"""The ruler in the built book: ghosts to hit, and the tour."""

import re

import pytest
from serving import DESKTOP, PHONE, ROOT, expect

AXE = ROOT / "node_modules/axe-core/axe.min.js"
PAGE = "notebooks/02_folding_ruler.html"


@pytest.fixture
def ruler(explorable_on):
    """Return a function that opens the ruler and returns the page and the explorable."""

    def open_ruler(settings="", viewport=DESKTOP, **options):
        path = f"{PAGE}{settings and f'#ruler={settings}'}"
        return explorable_on(path, "Folding ruler", viewport, **options)

    return open_ruler


def score(frame):
    """Return the distance from the ghost that is shown, in per cent."""
    return int(re.search(r"by (\d+) %", frame.locator(".sbt-ruler-score").inner_text())[1])


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_same_pull_hits_the_ghost_and_another_one_misses(ruler, viewport):
    _, frame = ruler("sections:6", viewport, reduced_motion="reduce")
    words = frame.locator(".sbt-ruler-score")
    expect(words).to_be_hidden()
    choice = frame.get_by_role("combobox", name="Ghost to hit")
    choice.select_option(label="our slow and steady pull")
    expect(words).to_contain_text("our slow and steady pull leaves (simulated). Hit it!")
    assert frame.locator(".sbt-ruler-ghost").get_attribute("d").count("L") == 6
    frame.get_by_role("button", name="Slow and steady").click()
    expect(words).to_contain_text("Off the ghost by 0 %")
    frame.get_by_role("button", name="Quick and jerky").click()
    expect(frame.locator(".sbt-readout")).to_contain_text("quick and jerky")
    assert score(frame) > 5
    hand = frame.get_by_role("slider", name="The hand that pulls")
    assert f"by {score(frame)} % of a section" in hand.get_attribute("aria-valuetext")
    choice.select_option(label="none")
    expect(words).to_be_hidden()
    assert not frame.locator(".sbt-ruler-ghost").get_attribute("d")


def test_the_score_follows_the_hand(ruler):
    page, frame = ruler("ghost:quick and jerky")
    words = frame.locator(".sbt-ruler-score")
    expect(words).to_contain_text("Hit it!")
    frame.get_by_role("slider", name="The hand that pulls").focus()
    page.keyboard.press("PageUp")
    expect(words).to_contain_text("Off the ghost by")
    before = score(frame)
    page.keyboard.press("End")
    expect(words).not_to_contain_text(f"by {before} %")


def test_another_ruler_has_a_ghost_of_its_own(ruler):
    page, frame = ruler("ghost:slow and steady,sections:5", reduced_motion="reduce")
    words = frame.locator(".sbt-ruler-score")
    expect(words).to_contain_text("Hit it!")
    frame.get_by_role("slider", name="Sections").focus()
    page.keyboard.press("ArrowLeft")
    path = frame.locator(".sbt-ruler-ghost")
    expect(path).to_have_attribute("d", re.compile(r"^M([^L]*L){4}[^L]*$"))
    frame.get_by_role("button", name="Slow and steady").click()
    expect(words).to_contain_text("Off the ghost by 0 %")


def test_the_tour_pulls_and_ends_at_a_ghost(ruler):
    page, frame = ruler(reduced_motion="reduce")
    frame.get_by_role("button", name="Take the tour").click()
    readout = frame.locator(".sbt-readout")
    for regime in ("slow and steady pull, and the ruler is lazy", "quick and jerky pull", "lazy"):
        expect(readout).to_contain_text(regime)
        page.keyboard.press("Enter")
    expect(frame.locator(".sbt-ruler-score")).to_contain_text("Hit it!")
    expect(readout).to_have_text("Folded, not yet pulled")
    page.keyboard.press("Enter")
    expect(frame.get_by_role("button", name="Take the tour again")).to_be_focused()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ghosts_are_accessible(ruler, scheme, viewport):
    if not AXE.exists():
        pytest.skip("npm is missing: no axe-core")
    options = {"color_scheme": scheme, "reduced_motion": "reduce"}
    page, frame = ruler("ghost:quick and jerky,sections:5", viewport, **options)
    expect(frame.locator(".sbt-ruler-score")).to_contain_text("Hit it!")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "async () => (await axe.run('section.sbt')).violations.map((each) => each.id)"
    )
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
