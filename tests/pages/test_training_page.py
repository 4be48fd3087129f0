"""The live network alone: own data, two networks, settings that are kept, a link, a tour."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from serving import DESKTOP, PHONE, ROOT, expect, watched

PAGE = "embed/training.html"
AXE = ROOT / "node_modules/axe-core/axe.min.js"
TABLE = "width,height,kind\n" + "".join(
    f"{k % 7},{(37 * k) % 11 + 5 * (k % 3)},{'abc'[k % 3]}\n" for k in range(90)
)


both_views = pytest.mark.parametrize(
    "view", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True
)


@pytest.fixture
def view(request):
    size = getattr(request, "param", DESKTOP)
    return {"viewport": size, "has_touch": size == PHONE}


@pytest.fixture
def opened(browser, site, view):
    """Yield a function that opens the page afresh, and returns it and its frame."""
    contexts, complaints = [], []

    def open_page(fragment="", script="", **options):
        context = browser.new_context(**{**view, **options})
        context.add_init_script(script)
        page, heard = watched(context, site)
        contexts.append(context)
        complaints.append(heard)
        page.goto(f"{site}/{PAGE}{fragment}")
        frame = page.locator("section.sbt")
        expect(note_of(frame)).to_contain_text("0 steps")
        return page, frame

    yield open_page
    for context in contexts:
        context.close()
    assert not [each for heard in complaints for each in heard]


def note_of(frame):
    """Return the line with the steps and the size of the data."""
    return frame.locator(".sbt-charts .sbt-note").first


def open_part(frame, name):
    """Unfold a part of the frame and return it."""
    part = frame.locator("details", has_text=name)
    part.locator("summary").click()
    return part


def picture_of(locator):
    """Return a screenshot of an element as an array of its greys in three colours."""
    with Image.open(io.BytesIO(locator.screenshot())) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def draw(page, pad, *points, touch=False):
    """Draw a line on the pad through points, which are parts of its width and height."""
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    if touch:
        session = page.context.new_cdp_session(page)
        for kind, point in zip(("touchStart", *["touchMove"] * (len(at) - 1)), at, strict=True):
            where = [dict(zip("xy", point, strict=True))]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        return
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


@both_views
def test_a_link_restores_the_picture_to_the_pixel(opened, view):
    tall = {**view["viewport"], "height": 3000}  # scrolling would move it by parts of a pixel
    _, frame = opened(viewport=tall)
    frame.get_by_role("checkbox", name="Train a second network").check()
    frame.get_by_role("slider", name="Dropout p", exact=True).press("End")
    frame.get_by_role("slider", name="Negative slope α (second)").press("End")
    frame.get_by_role("button", name="New network").press("Enter")
    frame.get_by_role("button", name="Copy link").press("Enter")
    shown = frame.locator(".sbt-share-text")
    link = shown.input_value()
    fragment = link.partition("#")[2]
    assert fragment == "training=dropout:0.5,seed:1,second:1,second_negative_slope:1"

    _, fresh = opened(f"#{fragment}", viewport=tall)
    expect(fresh.get_by_role("slider", name="Dropout p (second)")).to_be_visible()
    for each in (frame, fresh):
        each.page.evaluate("document.activeElement.blur()")
        each.page.mouse.move(0, 0)
    for part in (".sbt-columns", ".sbt-training-second", ".sbt-training-history >> nth=1"):
        for _ in range(50):  # until both have measured their networks
            pictures = [picture_of(each.locator(part)) for each in (frame, fresh)]
            assert pictures[0].shape == pictures[1].shape, part
            most = np.abs(pictures[0] - pictures[1]).max()
            if most <= 2:  # of 255: a browser rounds the edges of what it draws anew in part
                break
            fresh.page.wait_for_timeout(300)
        assert most <= 2, part


def test_two_networks_from_the_same_weights_part(opened):
    _, frame = opened()
    curves = frame.locator(".sbt-charts .sbt-chart > svg .sbt-curve")
    assert curves.count() == 1
    frame.get_by_role("checkbox", name="Train a second network").check()
    other = frame.locator(".sbt-charts .sbt-chart > svg .sbt-curve.sbt-other")
    own = frame.locator(".sbt-charts .sbt-chart > svg .sbt-curve.sbt-own")
    expect(other).to_have_attribute("d", own.get_attribute("d"))  # at first they are the same
    dashes = [each.evaluate("e => getComputedStyle(e).strokeDasharray") for each in (own, other)]
    assert dashes[0] == "none" != dashes[1]
    frame.get_by_role("button", name="Start").click()
    readouts = frame.locator(".sbt-readout")
    expect(readouts.nth(0)).to_have_text(re.compile("^First network: lazy"))
    expect(readouts.nth(1)).to_have_text(re.compile("^Second network: active"))
    frame.get_by_role("button", name="Pause").click()
    frame.get_by_role("checkbox", name="Train a second network").uncheck()
    expect(readouts).to_have_text(re.compile("^Lazy"))
    assert frame.get_by_role("slider").count() == 5


@both_views
def test_digits_are_drawn_by_pointer_and_by_keys_and_trained_on(opened, view):
    page, frame = opened()
    part = open_part(frame, "Your own data")
    pad = part.get_by_role("grid")
    add = part.get_by_role("button", name="Add")
    said = part.locator("fieldset").first.locator("[role=status]")
    add.click()
    expect(said).to_contain_text("The pad is empty")
    for digit in ("1", "7"):
        part.get_by_label("This is a").select_option(label=digit)
        for _ in range(2):
            draw(page, pad, (0.3, 0.2), (0.7, 0.2), (0.5, 0.85), touch=view["has_touch"])
            inked = pad.get_by_role("gridcell", name=re.compile("ink$"))
            assert 15 < inked.count() < 50
            add.click()
    expect(said).to_have_text("Added: drawing 2 of a 7.")
    cell = pad.get_by_role("gridcell")
    cell.first.focus()
    for key in ("ArrowDown", "ArrowRight", " ", "ArrowDown", " ", "ArrowUp", " "):
        page.keyboard.press(key)
    assert cell.nth(11).get_attribute("aria-label") == "row 2, column 2: empty"
    assert cell.nth(21).get_attribute("aria-label") == "row 3, column 2: ink"
    add.click()
    expect(note_of(frame)).to_contain_text("512 digits")  # not before it is asked for
    part.get_by_role("button", name="Train on these").click()
    expect(note_of(frame)).to_have_text("0 steps; 517 digits to train on, 480 to test.")
    part.get_by_role("checkbox", name="Without the embedded digits").check()
    part.get_by_role("button", name="Train on these").click()
    expect(note_of(frame)).to_contain_text("5 digits to train on")
    frame.get_by_role("button", name="Start").click()
    expect(note_of(frame)).to_have_text(re.compile(r"^[1-9]\d* steps"))
    frame.get_by_role("button", name="Pause").click()
    part.get_by_role("button", name="Remove drawing 1").click()
    part.get_by_role("button", name="Train on these").click()
    expect(said).to_contain_text("There is only one 1")
    part.get_by_role("button", name="Back to the embedded digits").click()
    expect(note_of(frame)).to_contain_text("512 digits to train on, 480 to test")


def test_a_table_is_trained_on_and_goes_nowhere(opened):
    page, frame = opened()
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    part = open_part(frame, "Your own data")
    area = part.get_by_role("textbox")
    said = part.locator("fieldset").last.locator("[role=status]")
    train = part.get_by_role("button", name="Train on this table")
    for text, words in (
        ("", "There is no sample"),
        ("<b>1</b>,a\n=cmd,b\n", "Line 2, column 1"),
        ("1,NaN,a\n2,3,b", "column 2: “NaN” is not a number"),
        ("1,a\n2,a\n", "only the class “a”"),
        ("\x00\ud83d\x01", "is not text"),
        ("1,a\n2,b\n" * 50_000, "at most 2000 fit here"),
    ):
        area.evaluate("(area, text) => { area.value = text; }", text)
        train.click()
        expect(said).to_contain_text(words)
    area.evaluate(
        """area => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", "1,2,a\\n".repeat(2e6));
          area.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));
        }"""
    )
    expect(said).to_contain_text("12,000,000 characters are too many")
    part.get_by_label("Choose a CSV file").set_input_files(
        {"name": "own.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
    )
    expect(said).to_contain_text("Read: own.csv")
    train.click()
    expect(note_of(frame)).to_have_text("0 steps; 69 samples to train on, 21 to test.")
    frame.get_by_role("button", name="Start").click()
    expect(note_of(frame)).to_have_text(re.compile(r"^[1-9]\d* steps"))
    frame.get_by_role("button", name="Pause").click()
    assert "sent nowhere" in part.inner_text()
    assert not [url for url in sent if not url.startswith("blob:")]
    assert TABLE[:5] not in page.url


def test_settings_are_saved_and_restored(opened, tmp_path):
    page, frame = opened()
    dropout = frame.get_by_role("slider", name="Dropout p", exact=True)
    dropout.press("End")
    part = open_part(frame, "Your own data")
    part.get_by_role("textbox").fill(TABLE)
    part.get_by_role("button", name="Train on this table").click()
    kept = open_part(frame, "Save and restore")
    said = kept.locator("[role=status]")
    assert kept.get_by_role("button", name="Restore").is_disabled()
    kept.get_by_role("button", name="Save in this browser").click()
    expect(said).to_have_text("Saved in this browser: the settings.")
    assert "width" not in page.evaluate("localStorage.getItem('sbt-training')")
    with page.expect_download() as download:
        kept.get_by_role("checkbox", name="Save my own data").check()
        kept.get_by_role("button", name="Download a file").click()
    expect(said).to_have_text("Downloaded: the settings and your data.")
    file = tmp_path / "settings.json"
    download.value.save_as(file)
    dropout.press("Home")
    kept.get_by_role("button", name="Restore").click()
    expect(said).to_have_text("Restored: the settings.")
    assert dropout.get_attribute("aria-valuetext") == "0.50"

    page, frame = opened()
    kept = open_part(frame, "Save and restore")
    load, said = kept.get_by_label("Load a file"), kept.locator("[role=status]")
    content = json.loads(file.read_text(encoding="utf-8"))
    for change, words in (
        ({"settings": {"dropout": 7}}, "“dropout” is 7, not a number from 0 to 0.5"),
        ({"settings": {"__proto__x": 1}}, "no setting called “__proto__x”"),
        ({"data": {"table": "1,2", "label": "last"}}, "only the class “2”"),
        ({"data": {"digits": [{"label": 1, "image": "ff"}], "alone": True}}, "drawing 1"),
    ):
        text = json.dumps({**content, **change}).encode()
        load.set_input_files({"name": "a.json", "mimeType": "application/json", "buffer": text})
        expect(said).to_contain_text(words)
        expect(said).to_contain_text("Not restored")
    expect(note_of(frame)).to_contain_text("512 digits")
    load.set_input_files(file)
    expect(said).to_have_text("Restored: the settings and your data.")
    expect(note_of(frame)).to_contain_text("69 samples")
    dropout = frame.get_by_role("slider", name="Dropout p", exact=True)
    assert dropout.get_attribute("aria-valuetext") == "0.50"


def test_a_browser_that_keeps_nothing_says_so(opened):
    forbidden = """Object.defineProperty(window, "localStorage", {
      get() { throw new DOMException("no", "SecurityError"); },
    });"""
    _, frame = opened(script=forbidden)
    kept = open_part(frame, "Save and restore")
    kept.get_by_role("button", name="Save in this browser").click()
    expect(kept.locator("[role=status]")).to_contain_text("download a file instead")


def test_the_tour_says_what_happens(opened):
    page, frame = opened()
    frame.get_by_role("button", name="Take the tour").press("Enter")
    readouts = frame.locator(".sbt-readout")
    expect(readouts).to_have_text(re.compile("^Lazy"))
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")  # the focus is on Next
    expect(readouts).to_have_text(re.compile("^Active"))
    for _ in range(2):
        page.keyboard.press("Enter")
    expect(readouts.nth(0)).to_have_text(re.compile("^First network: lazy"))
    expect(readouts.nth(1)).to_have_text(re.compile("^Second network: active"))
    page.keyboard.press("Enter")
    expect(frame.get_by_text("Step 5 of 5")).to_be_visible()
    frame.get_by_role("button", name="Pause").click()


@both_views
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_of_it_is_accessible(opened, scheme):
    if not AXE.exists():
        pytest.skip("npm is missing: no axe-core")
    page, frame = opened("#training=second:1", color_scheme=scheme)
    open_part(frame, "Save and restore")
    part = open_part(frame, "Your own data")
    draw(page, part.get_by_role("grid"), (0.5, 0.1), (0.5, 0.9))
    part.get_by_role("button", name="Add").click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "async () => (await axe.run('section')).violations.map((each) => each.id)"
    )
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
