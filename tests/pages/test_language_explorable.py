"""The explorable of the chapter on language models, by keyboard and by pointer."""

import pytest
from serving import DESKTOP, PHONE, VENDORED, expect, visit, watched

from sbt_book.live.language import packed_model, packed_sentences

if not VENDORED:
    pytest.skip("npm is missing: the widgets come from a CDN", allow_module_level=True)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_sentence_is_followed_and_blocks_are_left_out(browser, site, viewport):
    context = browser.new_context(viewport=viewport, has_touch=viewport == PHONE)
    page, complaints = watched(context, site)
    visit(page, f"{site}/notebooks/11_language_models.html")
    frame = page.locator("section.sbt[aria-label='A sentence in a language model']")
    readouts = frame.locator(".sbt-readout")
    frame.locator("[role=gridcell][aria-selected=true]").focus()
    page.keyboard.press("PageUp")
    expect(readouts.first).to_contain_text("Before block 1")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    expect(readouts.first).to_contain_text("Block 1, after “The”")

    frame.get_by_role("slider", name="Blocks left out").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    frame.get_by_role("slider", name="The first of them").focus()
    page.keyboard.press("End")  # three blocks follow from block 28 on
    expect(readouts.nth(1)).to_contain_text("Without blocks 28 to 30")
    loss = packed_model()["loss"]["without"][2][27]
    expect(readouts.nth(1)).to_contain_text(f"loss {loss:.2f}")
    assert frame.locator(".sbt-language-gone").count() == 3

    frame.get_by_role("combobox").select_option(index=2)
    sent = packed_sentences()["sentences"]["the week"]
    assert frame.locator(".sbt-language-body [role=gridcell]").count() == 31 * len(sent["tokens"])
    width = "[document.scrollingElement.scrollWidth, innerWidth]"
    scrolled, inner = page.evaluate(width)
    assert scrolled <= inner + 1
    context.close()
    assert not complaints
