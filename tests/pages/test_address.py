"""Settings in the address: a link restores a picture, Back steps through what was set."""

import random
import re

import pytest
from serving import HTML, expect, visit, watched

from sbt_book.live.embeds import EMBEDS

LINK = re.compile(r"#(\w+)=[^&]*$")


@pytest.fixture
def fresh(browser, site):
    """Yield a function that opens an address on a fresh profile; nothing may be complained of."""
    contexts, complaints = [], []

    def open_page(address, **options):
        # Without motion a picture is at rest once it is drawn; so high a window shows it whole.
        window = {"width": 1280, "height": 1700}
        context = browser.new_context(reduced_motion="reduce", viewport=window, **options)
        contexts.append(context)
        page, heard = watched(context, address.split("/embed")[0].split("/notebooks")[0])
        complaints.append(heard)
        visit(page, address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [complaint for heard in complaints for complaint in heard]


def frame_of(page, name):
    return page.locator(f"section.sbt[aria-label='{EMBEDS[name].title}']")


def turn_knobs(page, frame):
    """Move every slider of a picture by two steps, and choose the last of its first list."""
    lists = frame.locator(".sbt-stage select:visible")
    if lists.count():
        lists.first.select_option(index=lists.first.locator("option").count() - 1)
    sliders = frame.locator("input[type=range]:visible:enabled")
    for slider in sliders.all():
        slider.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
    page.evaluate("document.activeElement.blur()")


def at_rest(page, frame):
    """Return what a picture looks like once it has stopped changing."""
    parts = frame.locator(".sbt-stage, .sbt-columns").locator("visible=true").all()
    before = None
    for _ in range(40):
        # At whole pixels, and drawn as a whole: browsers smooth the edges of parts otherwise.
        frame.evaluate("section => { section.scrollIntoView(); scrollTo(0, Math.round(scrollY)); }")
        frame.evaluate("section => { section.style.visibility = 'hidden'; }")
        page.wait_for_timeout(100)
        frame.evaluate("section => { section.style.visibility = ''; }")
        page.wait_for_timeout(150)
        now = [part.screenshot(animations="disabled") for part in parts]
        if now == before:
            return now
        before = now
    raise AssertionError("the picture does not come to rest")


def copied_link(page, frame):
    frame.get_by_role("button", name="Copy link").press("Enter")
    expect(frame.get_by_text("Copied", exact=True)).to_be_visible()
    return page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("place", ["chapter", "embed"])
@pytest.mark.parametrize("name", EMBEDS)
def test_a_copied_link_restores_the_picture(fresh, site, name, place):
    path = f"{EMBEDS[name].chapter}.html" if place == "chapter" else f"embed/{name}.html"
    page = fresh(f"{site}/{path}", permissions=["clipboard-read", "clipboard-write"])
    frame = frame_of(page, name)
    at_start = at_rest(page, frame)
    turn_knobs(page, frame)
    seen = at_rest(page, frame)
    link = copied_link(page, frame)
    assert link.startswith(f"{site}/{path}#{name}=")
    assert page.url == link, "the address itself says the same"

    again = fresh(link)
    expect(frame_of(again, name)).to_be_in_viewport()
    assert at_rest(again, frame_of(again, name)) == seen != at_start
    assert frame_of(again, name).locator(".sbt-share .sbt-note").first.inner_text() == ""


def test_back_steps_through_what_was_set(fresh, site):
    page = fresh(f"{site}/embed/chain.html")
    noise, friction = (page.get_by_role("slider", name=name) for name in ("Noise", "Friction to"))
    friction = friction.first
    steps = page.evaluate("history.length")
    start = noise.input_value(), friction.input_value()

    box = noise.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], y)
    page.mouse.down()
    for part in range(31, 80):  # some of the way quick, some of it slow
        page.mouse.move(box["x"] + part / 100 * box["width"], y)
        page.wait_for_timeout(400 if part % 16 == 0 else 0)
    page.mouse.up()
    expect(page).to_have_url(re.compile("#chain=noise:"))
    shaken = noise.input_value()
    page.wait_for_timeout(1500)
    friction.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("friction_right:"))
    rubbed = friction.input_value()
    assert page.evaluate("history.length") == steps + 2

    page.go_back()
    expect(friction).to_have_value(start[1])
    assert noise.input_value() == shaken
    page.go_back()
    expect(noise).to_have_value(start[0])
    assert page.url.endswith("chain.html")
    page.go_forward()
    page.go_forward()
    expect(friction).to_have_value(rubbed)
    assert noise.input_value() == shaken


def test_two_on_one_page_do_not_disturb_each_other(fresh, site, browser):
    parts = [(HTML / f"embed/{name}.html").read_text("utf-8") for name in ("chain", "language")]
    both = re.sub("(?s)(<link rel=.stylesheet.*?>).*<body>", r"\1</head><body>", parts[0])
    both = both.replace("<body>", '<body><h2 id="a-section">A section</h2>')
    styles, body = re.search(
        "(?s)(<link rel=.stylesheet.*?>).*<body>(.*)</body>", parts[1]
    ).groups()
    both = both.replace("</head>", f"{styles}</head>").replace("</body>", f"{body}</body>")
    address = f"{site}/embed/two.html"

    def open_both(fragment):
        context = browser.new_context(reduced_motion="reduce")
        page, complaints = watched(context, site)
        page.route("**/two.html", lambda route: route.fulfill(body=both, content_type="text/html"))
        page.goto(address + fragment)
        expect(page.locator("section.sbt")).to_have_count(2)
        return page, complaints

    page, complaints = open_both("#a-section")
    noise = page.get_by_role("slider", name="Noise")
    noise.press("ArrowRight")
    expect(page).to_have_url(address + "#a-section&chain=noise:0.0031")
    page.wait_for_timeout(1200)
    left_out = page.get_by_role("slider", name="Blocks left out")
    left_out.press("ArrowRight")
    shared = address + "#a-section&chain=noise:0.0031&language=length:1"
    expect(page).to_have_url(shared)
    page.go_back()
    expect(left_out).to_have_value("0")
    assert noise.input_value() == "0.0031"
    page.evaluate("location.hash = 'a-section'")  # a link to a section changes no picture
    page.wait_for_timeout(100)
    assert noise.input_value() == "0.0031"

    again, more = open_both(shared.removeprefix(address))
    assert again.get_by_role("slider", name="Noise").input_value() == "0.0031"
    assert again.get_by_role("slider", name="Blocks left out").input_value() == "1"
    assert not complaints + more
    for each in (page, again):
        each.context.close()


def test_a_link_is_there_where_nothing_can_be_copied(browser, site):
    context = browser.new_context()
    page, complaints = watched(context, site)
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    visit(page, f"{site}/embed/chain.html")
    page.get_by_role("slider", name="Noise").press("ArrowRight")
    page.get_by_role("button", name="Copy link").press("Enter")
    field = page.get_by_role("textbox", name="Link to this picture")
    expect(field).to_have_value(f"{site}/embed/chain.html#chain=noise:0.0031")
    expect(field).to_be_focused()
    assert page.evaluate("getSelection().toString()") == field.input_value()
    assert not complaints
    context.close()


def test_what_a_link_asks_for_in_vain_is_said(fresh, site):
    page = fresh(f"{site}/embed/chain.html#chain=noise:5,colour:<b>red</b>,blocks:1e999")
    note = page.locator(".sbt-share .sbt-note").first
    expect(note).to_contain_text("noise:5 (0.01 instead)")
    expect(note).to_contain_text("colour:<b>red</b> (left out)")
    expect(note).to_contain_text("blocks:1e999 (left out)")
    assert page.get_by_role("slider", name="Noise").input_value() == "0.01"
    page.get_by_role("slider", name="Noise").press("ArrowLeft")
    expect(note).to_have_text("")


PIECES = ["noise", "blocks", "seed", "time", "sentence", "noise_axis", "slope", "length", "speed"]
PIECES += ["=", ":", ",", "&", ":", ",", "%", "%00", "%zz", "__proto__", "constructor", "valueOf"]
PIECES += [
    "NaN",
    "-Infinity",
    "1e999",
    "-1",
    "0.5",
    "7",
    "99999999",
    "<img src=x onerror=alert(1)>",
]
PIECES += ["dropout", "a fact", "batch_size", "width", "hidden_layers", "💥", "\u202e", "x" * 3000]


@pytest.mark.parametrize("name", EMBEDS)
def test_hostile_fragments_leave_the_page_as_it_was(fresh, site, name):
    drawn = random.Random(name)
    # A thousand are tried in Node; browsers ignore what comes after 200 changes in ten seconds.
    fragments = [
        drawn.choice([f"{name}=", f"{name}=noise:", "", f"{name}=seed:1,{name}="])
        + "".join(drawn.choices(PIECES, k=drawn.randint(0, 12)))
        for _ in range(100)
    ]
    page = fresh(f"{site}/embed/{name}.html")
    frame = frame_of(page, name)
    seen = at_rest(page, frame)
    changed = page.evaluate(
        """async (fragments) => {
            const things = () => [
                document.querySelectorAll("script, img, iframe, a, link").length, document.title,
                Object.getOwnPropertyNames(Object.prototype), document.body.children.length,
            ].join();
            const before = things();
            for (const fragment of fragments) {
                location.hash = fragment;
                await new Promise((done) => setTimeout(done));
            }
            return things() === before ? "" : things();
        }""",
        fragments,
    )
    assert not changed
    page.evaluate("name => { location.hash = `${name}=`; }", name)
    assert at_rest(page, frame) == seen
