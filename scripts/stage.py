"""Write the book's settings, its citations and its notebooks' first cells for their repository.

python scripts/stage.py FOLDER: the folder holds the staged notebooks.
"""

import sys
from pathlib import Path
from typing import Any

import citations
import yaml
from address import ROOT, book_url, project, repository_url
from set_repository import filled_notebook

LAUNCH_BUTTONS = {
    "notebook_interface": "jupyterlab",
    "colab_url": "https://colab.research.google.com",
    "binderhub_url": "https://mybinder.org",
}


def configuration(url: str) -> dict[str, Any]:
    """Return `_config.yml` with what leads to a repository and its published book."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if url:
        settings["repository"] = {"url": url, "branch": "main"}
        settings["launch_buttons"] = LAUNCH_BUTTONS
        settings["html"]["baseurl"] = book_url(url)
    return settings


def stage(folder: Path, url: str) -> None:
    """Write the settings and the citations, and the address into the notebooks to download."""
    text = yaml.safe_dump(configuration(url), allow_unicode=True, sort_keys=False)
    (folder / "_config.yml").write_text(text, encoding="utf-8")
    citations.write(folder / "book/extra/cite", url)
    for path in sorted((folder / "notebooks").glob("*.ipynb")):
        text = filled_notebook(path.read_bytes().decode(), url, project()["version"])
        path.write_bytes(text.encode())


if __name__ == "__main__":
    stage(Path(sys.argv[1]), repository_url())
