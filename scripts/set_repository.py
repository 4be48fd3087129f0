"""Set the repository's address, and with it that of the book, wherever they are mentioned.

`make repository URL=https://github.com/you/name` runs this. `pyproject.toml` holds the address; the
book's, on GitHub Pages, follows from it. Nothing but these two addresses is changed.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MENTIONS = (
    "pyproject.toml",
    "_config.yml",
    "CITATION.cff",
    "README.md",
    "CONTRIBUTING.md",
    "book/*.md",
    "notebooks/*.ipynb",
)


def addresses(url: str) -> tuple[str, str]:
    """Return ``owner/name`` of a repository and the address of its GitHub Pages."""
    found = re.fullmatch(r"https://github\.com/([A-Za-z0-9-]+)/([\w.-]+?)(?:\.git)?/?", url)
    if found is None:
        raise ValueError(f"URL={url}: give it as https://github.com/you/name")
    owner, name = found.groups()
    host = f"{owner}.github.io".lower()  # a repository of this name is at its root
    return f"{owner}/{name}", f"https://{host}/" + ("" if name.lower() == host else f"{name}/")


def current() -> str:
    """Return the repository's address as it is now."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url: str = project["urls"]["Repository"]
    return url


def set_address(url: str) -> list[str]:
    """Replace the present addresses by those of another repository; return the changed files."""
    replacements = {
        rf"(?<![\w.-]){re.escape(old.rstrip('/'))}(?![\w-])": new.rstrip("/")
        for old, new in zip(addresses(current()), addresses(url), strict=True)
    }
    changed = []
    for path in sorted(path for pattern in MENTIONS for path in ROOT.glob(pattern)):
        text = before = path.read_bytes().decode()
        for old, new in replacements.items():
            text = re.sub(old, new, text)
        if text != before:
            path.write_bytes(text.encode())
            changed.append(str(path.relative_to(ROOT)))
    return changed


if __name__ == "__main__":
    try:
        _, pages = addresses(sys.argv[1] if len(sys.argv) > 1 else "")
        print("Changed:", *set_address(sys.argv[1]) or ["nothing"])
    except ValueError as error:
        sys.exit(str(error))
    print(f"Once pushed, with GitHub Actions as the source of Pages, the book is at {pages}")
