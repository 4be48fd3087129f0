"""The address of this repository on GitHub, and that of its book; "" where it has none.

python scripts/address.py prints it.
"""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_SLUG = r"([A-Za-z0-9-]+/[\w.-]+?)(?:\.git)?/?"  # owner/name
_REMOTE = re.compile(r"(?:https://(?:[^@/]+@)?|git@|ssh://git@)github\.com[/:]" + _SLUG)


def repository_url(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> str:
    """Return the repository's address.

    GitHub's builds know it; a clone of a repository on GitHub has it as its remote `origin`; and
    `make repository` fixes it in the files.
    """
    slug = environment.get("GITHUB_REPOSITORY", "")
    # A copy without a history of its own may lie in the clone of something else.
    if not slug and (root / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", root, "remote", "get-url", "origin"]
        remote = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        match = _REMOTE.fullmatch(remote)
        slug = match[1] if match else ""
    return f"https://github.com/{slug}" if slug else fixed_url(root)


def fixed_url(root: Path = ROOT) -> str:
    """Return the address that `make repository` has set."""
    url: str = project(root)["urls"].get("Repository", "")
    return url


def project(root: Path = ROOT) -> dict[str, Any]:
    """Return what `pyproject.toml` says of the project."""
    content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    about: dict[str, Any] = content["project"]
    return about


def checked_url(url: str) -> str:
    """Return an address that a user gave as it is written everywhere."""
    match = re.fullmatch(rf"https://github\.com/{_SLUG}", url)
    if match is None:
        raise ValueError(f"URL={url}: give it as https://github.com/you/name")
    return f"https://github.com/{match[1]}"


def book_url(url: str) -> str:
    """Return the address of a repository's book on GitHub Pages."""
    if not url:
        return ""
    owner, name = url.removeprefix("https://github.com/").split("/")
    host = f"{owner}.github.io".lower()  # a repository of this name is at its root
    return f"https://{host}/" + ("" if name.lower() == host else f"{name}/")


if __name__ == "__main__":
    print(repository_url())
