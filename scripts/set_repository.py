"""Fix the repository's address in the files that have a place for it, or take it out again.

`make repository URL=...` runs this; without it, `scripts/address.py` finds one at each build. The
notebooks learn the project's version as well.
"""

import re
import sys
from pathlib import Path

from address import ROOT, book_url, checked_url, fixed_url, project

# In each file, the lines that follow another once there is an address.
LINES = {
    "pyproject.toml": (
        "[project.urls]\n",
        'Repository = "{repository}"\nDocumentation = "{book}"\n',
    ),
    "CITATION.cff": ("license: MIT\n", "repository-code: {repository}\nurl: {book}\n"),
    "README.md": ("<!-- make repository -->\n", "The book is published at <{book}>.\n"),
}


def filled_notebook(text: str, url: str, version: str) -> str:
    """Return a notebook whose first cell fetches this version of this repository, or of none."""
    for name, value in (("REPOSITORY", url), ("VERSION", version)):
        text, count = re.subn(rf'"{name} = \\"[^"\\]*\\"', rf'"{name} = \\"{value}\\"', text)
        if count != 1:
            raise ValueError(f"a notebook sets {name} {count} times, expected once")
    return text


def set_address(url: str, root: Path = ROOT) -> None:
    """Replace the fixed address, if there is one, with another, or with none."""
    old, version, changed = fixed_url(root), project(root)["version"], {}
    for name, (anchor, lines) in LINES.items():
        before, after = (
            anchor + (lines.format(repository=each, book=book_url(each)) if each else "")
            for each in (old, url)
        )
        text = (root / name).read_bytes().decode()
        if text.count(before) != 1:
            raise ValueError(f"{name}: expected these lines once:\n{before}")
        changed[root / name] = text.replace(before, after)
    for path in (root / "notebooks").glob("*.ipynb"):
        changed[path] = filled_notebook(path.read_bytes().decode(), url, version)
    for path, text in changed.items():
        path.write_bytes(text.encode())


if __name__ == "__main__":
    try:
        argument = sys.argv[1] if len(sys.argv) > 1 else ""
        url = "" if argument == "none" else checked_url(argument)
        set_address(url)
    except ValueError as error:
        sys.exit(str(error))
    if url:
        print(f"Push this, with GitHub Actions as the source of Pages: the book is {book_url(url)}")
    else:
        print("The files name no repository.")
