"""Pack the built book into one zip, to be unpacked and read without a server.

python scripts/make_zip.py HTML FILE.zip: the same pages give the same bytes.
"""

import sys
import zipfile
from pathlib import Path

# What only a server, a search engine or a build of other books needs.
LEFT_OUT = {".buildinfo", ".nojekyll", "llms.txt", "objects.inv", "robots.txt", "sitemap.xml"}
FOLDERS_LEFT_OUT = {"previews"}
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip knows
# The search shows lines of the pages that it finds. Files may not be fetched by a page.
SUMMARIES = ("SHOW_SEARCH_SUMMARY: true", "SHOW_SEARCH_SUMMARY: false")


def members(html: Path) -> dict[str, bytes]:
    """Return what belongs into the zip, by its path in it."""
    content = {}
    for path in sorted(html.rglob("*")):
        name = path.relative_to(html)
        left_out = name.parts[0] in FOLDERS_LEFT_OUT or path.name in LEFT_OUT
        if path.is_file() and not left_out and path.suffix != ".map":
            content[name.as_posix()] = path.read_bytes()
    options = content["_static/documentation_options.js"].decode()
    if SUMMARIES[0] not in options:
        raise ValueError(f"documentation_options.js does not say {SUMMARIES[0]}")
    content["_static/documentation_options.js"] = options.replace(*SUMMARIES).encode()
    return content


def write(html: Path, target: Path) -> None:
    """Write the zip."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members(html).items():
            info = zipfile.ZipInfo(f"{target.stem}/{name}", TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system, info.external_attr = 3, 0o644 << 16  # on any system as on Unix
            archive.writestr(info, content)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"{sys.argv[2]}: {Path(sys.argv[2]).stat().st_size / 1e6:.1f} MB")
