"""Copy the built book for publication, with files to download and links to them.

python scripts/make_site.py HTML SITE FILE...: the links replace `<!-- downloads -->` in the pages.
"""

import os
import shutil
import sys
from pathlib import Path

PLACE = "<!-- downloads -->"
OFFERS = {
    ".pdf": "The whole book as a PDF",
    ".zip": "The whole book as pages to read offline, live pictures included",
}


def links(files: list[Path], up: str) -> str:
    """Return a list of links to the files, for a page from which `up` leads to the start."""
    items = (
        f'<li><p><a href="{up}/downloads/{path.name}" download>{OFFERS[path.suffix]}</a> '
        f"({path.stat().st_size / 1e6:.0f} MB)</p></li>"
        for path in files
    )
    return f'<ul class="simple">{"".join(items)}</ul>'


def write(html: Path, site: Path, files: list[Path]) -> None:
    """Write the site anew."""
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(html, site)
    (site / "downloads").mkdir()
    for path in files:
        shutil.copy(path, site / "downloads")
    offered = 0
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if PLACE in text:
            up = os.path.relpath(site, page.parent).replace(os.sep, "/")
            page.write_text(text.replace(PLACE, links(files, up)), encoding="utf-8")
            offered += 1
    if not offered:
        raise ValueError(f"no page of {html} has a place for the downloads: {PLACE}")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
