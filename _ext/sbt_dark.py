"""Figures for dark pages: the same drawing in light ink, on the ground of the page."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

GROUND = np.array([18, 18, 18]) / 255  # of the theme's dark pages
INK = 0.9  # how light black becomes
STRONG = 4.5  # contrast that a colour need not exceed
STRONGER = 1.25  # power of the contrast on white that a colour has here
# How much of its blackness a colour turns to white, beside grey: so dark hues stay hues.
TINGED = 0.75
PICTURE = re.compile(r"<picture\b.*?</picture>|<img\b[^>]*>", re.DOTALL)
DRAWN = re.compile(r'<(?:img|source)\b[^>]*?\bsrc(?:set)?="([^"]*/)?(_images/[^"/]+)\.png"[^>]*>')
MEDIA = re.compile(r'\bmedia="([^"]*)"')
DARK = "(prefers-color-scheme: dark)"


def offer_dark_pictures(app, pagename, templatename, context, doctree):
    """Beside each figure of a page, name its dark one, which browsers fetch in its stead.

    Browsers choose by the reader's system, before scripts run; where the page has another colour
    scheme than that, `book.js` has them choose again. Pictures of the class `as-is` are left alone.
    """
    if "body" in context:
        context["body"] = PICTURE.sub(lambda match: _with_dark(match[0]), context["body"])


def _with_dark(html):
    """Return a picture with a dark source before each of its own."""
    if re.search(r'class="[^"]*\bas-is\b', html):
        return html
    offered, count = DRAWN.subn(lambda match: _dark_source(match) + match[0], html)
    if html.startswith("<picture") or not count:
        return offered
    return f"<picture>{offered}</picture>"


def _dark_source(match):
    media = MEDIA.search(match[0])
    where = f" and {media[1]}" if media else ""
    path = f"{match[1] or ''}{match[2]}.dark.png"
    kept = media[1] if media else "all"
    return f'<source class="dark" srcset="{path}" media="{DARK}{where}" data-media="{kept}" />'


def darkened(colours):
    """Return the RGBA of colours on white, an array (..., 3) within [0, 1], for a dark ground.

    Each is a mix of white, black and a pure hue. Its white becomes transparent, its black white,
    and the hue stays; then it is strengthened until it stands out from the dark ground as it does
    from white, and a little more.
    """
    white = colours.min(-1, keepdims=True)
    cover = 1 - white
    ink = np.divide(colours - white, cover, out=np.zeros_like(colours), where=cover > 0)
    pure = ink.max(-1, keepdims=True)
    tinged = np.clip((pure - 0.05) / 0.25, 0, 1) * (1 - TINGED)
    ink = ink + (1 - pure) * INK * (1 - tinged)
    wanted = np.minimum((1.05 / (_luminance(colours) + 0.05)) ** STRONGER, STRONG)
    done = np.zeros(wanted.shape, bool)
    found = np.concatenate([ink, cover], -1)
    # First more of the ink, then lighter ink.
    for strength in np.linspace(0, 2, 41):
        more = cover + (1 - cover) * min(strength, 1) * (cover > 0)
        lighter = ink + (1 - ink) * max(strength - 1, 0)
        tried = np.concatenate([lighter, more], -1)
        found = np.where(done[..., None], found, tried)
        seen = _luminance(lighter * more + GROUND * (1 - more))
        done |= (seen + 0.05) / (_luminance(GROUND) + 0.05) >= wanted
    return found


def _luminance(colours):
    """Return the relative luminance of sRGB colours, by which contrasts are measured."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def darken_pictures(app, exception):
    """Write the dark twin of each figure: it has another palette, and the same pixels."""
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir, app.builder.imagedir).glob("*.png"):
        if path.suffixes != [".dark", ".png"]:
            darken(path, path.with_suffix(".dark.png"))


def darken(source, target):
    """Write the dark twin of a picture with a palette."""
    with Image.open(source) as picture:
        palette = np.array(picture.getpalette()).reshape(-1, 3) / 255
        colours = np.rint(255 * darkened(palette)).astype(np.uint8)
        twin = picture.copy()
    twin.putpalette(colours[:, :3].tobytes())
    twin.save(target, "PNG", optimize=True, transparency=colours[:, 3].tobytes())


def setup(app):
    """Connect them: before the cells of tables are labelled, after pictures have got palettes."""
    app.connect("html-page-context", offer_dark_pictures, priority=700)
    app.connect("build-finished", darken_pictures, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
