"""Explorables alone: what their address hides, from a disk, without scripts, in a frame."""

import re
from html import unescape

import pytest
from serving import DESKTOP, HTML, PHONE, expect, visit, watched

from sbt_book.live.embeds import EMBEDS

PARTS = {
    "controls": ".sbt-slider, .sbt-choice, .sbt-checkbox",
    "buttons": ".sbt-button:not(.sbt-guide *, .sbt-share *)",
    "tour": ".sbt-guide",
    "charts": ".sbt-charts",
    "notes": ".sbt-note",
    "link": ".sbt-share",
    "chapter": "footer",
}


def move_last_slider(frame):
    """Move a slider of a picture to another value and return that."""
    slider = frame.locator("input[type=range]:visible:enabled").last
    before = slider.input_value()
    slider.press("ArrowLeft")
    if slider.input_value() == before:
        slider.press("ArrowRight")
    assert slider.input_value() != before
    return slider.input_value()


@pytest.mark.parametrize("name", EMBEDS)
def test_parts_are_hidden_on_demand(browser, site, name):
    context = browser.new_context(viewport=PHONE)
    page, complaints = watched(context, site)
    address = f"{site}/embed/{name}.html"
    visit(page, address)
    there = [
        part for part, found in PARTS.items() if page.locator(f"{found} >> visible=true").count()
    ]
    assert {"controls", "tour", "link", "chapter"} <= set(there)
    for part in there:
        visit(page, f"{address}?hide=nothing,{part},%zz&theme=purple")
        assert not page.locator(f"{PARTS[part]} >> visible=true").count(), part
    visit(page, f"{address}?hide={','.join(there)}")
    assert page.locator("section.sbt svg:visible").count()
    assert not complaints
    context.close()


def test_the_address_may_choose_the_colours(browser, site):
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    dark = "getComputedStyle(document.body).backgroundColor"
    visit(page, f"{site}/embed/chain.html")
    light = page.evaluate(dark)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    night = page.evaluate(dark)
    page.emulate_media(color_scheme="light")
    visit(page, f"{site}/embed/chain.html?theme=dark")
    assert page.evaluate(dark) == night != light
    context.close()


@pytest.mark.parametrize("name", EMBEDS)
def test_an_embed_works_from_a_disk_and_keeps_its_settings(browser, name):
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    page, complaints = watched(context, "file://")
    visit(page, f"{(HTML / 'embed').as_uri()}/{name}.html")
    frame = page.locator("section.sbt")
    chosen = move_last_slider(frame)
    expect(page).to_have_url(re.compile(f"#{name}="))
    page.reload()
    expect(frame.locator("input[type=range]:visible:enabled").last).to_have_value(chosen)
    assert not complaints
    context.close()


@pytest.mark.parametrize("name", EMBEDS)
def test_without_scripts_there_is_a_picture(browser, site, name):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/embed/{name}.html")
    assert page.locator("noscript p").is_visible()
    assert page.locator("img").evaluate("img => img.naturalWidth") > 0
    assert page.locator("footer a").first.get_attribute("href") == f"../{EMBEDS[name].chapter}.html"
    context.close()


@pytest.mark.parametrize("name", EMBEDS)
def test_the_code_shows_the_picture_in_another_page(browser, site, name):
    context = browser.new_context(reduced_motion="reduce")
    page, complaints = watched(context, site)
    visit(page, f"{site}/{EMBEDS[name].chapter}.html")
    chapter = page.locator(f"section.sbt[aria-label='{EMBEDS[name].title}']")
    chosen = move_last_slider(chapter)
    chapter.get_by_role("button", name="Embed").press("Enter")
    code = chapter.get_by_role("textbox", name="Code that shows").input_value()
    address = unescape(re.search('src="([^"]*)"', code)[1])
    assert address.startswith(f"{site}/embed/{name}.html#{name}=")

    body = f"<!doctype html><title>Slide</title><body>{code}"
    page.route("**/slide.html", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{site}/slide.html")
    steps = page.evaluate("history.length")
    inside = page.frame_locator("iframe").locator("section.sbt")
    slider = inside.locator("input[type=range]:visible:enabled").last
    expect(slider).to_have_value(chosen)
    height = inside.evaluate("section => section.ownerDocument.scrollingElement.scrollHeight")
    assert height <= page.locator("iframe").evaluate("frame => frame.clientHeight") + 400
    slider.press("ArrowLeft")
    page.wait_for_timeout(600)
    assert page.evaluate("history.length") == steps, "Back is for the page around the frame"
    assert not complaints
    context.close()


@pytest.mark.parametrize("name", EMBEDS)
def test_a_tour_leads_through_and_is_remembered(browser, site, name):
    context = browser.new_context(viewport=PHONE, reduced_motion="reduce")
    page, complaints = watched(context, site)
    visit(page, f"{site}/embed/{name}.html")
    tour = page.get_by_role("group", name="Guided tour")
    tour.get_by_role("button", name="Take the tour").press("Enter")
    steps = int(re.search(r"Step 1 of (\d)", tour.inner_text())[1])
    assert 3 <= steps <= 6
    assert tour.get_by_role("button", name="Back").is_disabled()
    shown = [tour.inner_text()]
    for step in range(2, steps + 1):
        page.keyboard.press("Enter")  # the focus is on "Next"
        expect(tour).to_contain_text(f"Step {step} of {steps}")
        shown.append(tour.inner_text())
    assert len(set(shown)) == steps
    tour.get_by_role("button", name="Back").press("Enter")
    tour.get_by_role("button", name="Close").press("Enter")
    expect(tour.get_by_role("button")).to_have_count(1)

    visit(page, f"{site}/embed/{name}.html")
    tour.get_by_role("button", name="Go on with the tour").press("Enter")
    expect(tour).to_contain_text(f"Step {steps - 1} of {steps}")
    tour.get_by_role("button", name="Next").press("Enter")
    tour.get_by_role("button", name="Done").press("Enter")
    expect(tour.get_by_role("button", name="Take the tour again")).to_be_focused()
    assert not complaints
    context.close()
