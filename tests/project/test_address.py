"""Where the book leads: to the repository that it is built in, or nowhere."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from address import book_url, repository_url
from PIL import Image
from stage import stage

ROOT = Path(__file__).parents[2]
ADDRESS, BOOK = "https://github.com/Ada-L/my.name", "https://ada-l.github.io/my.name/"


@pytest.fixture
def checkout(tmp_path):
    """Return a function that makes a repository with a remote and a fixed address, or none."""

    def make(remote="", fixed=""):
        line = f'Repository = "{fixed}"\n' if fixed else ""
        (tmp_path / "pyproject.toml").write_text(f"[project.urls]\n{line}", encoding="utf-8")
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        if remote:
            subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
        return tmp_path

    return make


REMOTES = [
    "https://github.com/Ada-L/my.name",
    "https://github.com/Ada-L/my.name.git",
    "https://token@github.com/Ada-L/my.name/",
    "https://ada:token@github.com/Ada-L/my.name.git",
    "git@github.com:Ada-L/my.name.git",
    "ssh://git@github.com/Ada-L/my.name",
]


@pytest.mark.parametrize("remote", REMOTES)
def test_a_clone_knows_its_repository(checkout, remote):
    assert repository_url(checkout(remote), {}) == ADDRESS


def test_a_build_on_github_goes_first_and_a_fixed_address_last(checkout):
    root = checkout(REMOTES[0], fixed="https://github.com/x/y")
    assert repository_url(root, {"GITHUB_REPOSITORY": "b/c"}) == "https://github.com/b/c"
    assert repository_url(root, {}) == ADDRESS
    shutil.rmtree(root / ".git")
    assert repository_url(root, {}) == "https://github.com/x/y"


@pytest.mark.parametrize("remote", ["", "https://gitlab.com/a/b", "/srv/a.git", "../github.com/a"])
def test_elsewhere_there_is_no_address(checkout, remote):
    assert repository_url(checkout(remote), {"GITHUB_REPOSITORY": ""}) == ""


def test_a_copy_in_a_clone_of_something_else_is_not_that_clone(checkout):
    copy = checkout(REMOTES[0]) / "copy"
    copy.mkdir()
    shutil.copy(copy.parent / "pyproject.toml", copy)
    assert repository_url(copy, {}) == ""


@pytest.mark.parametrize(
    ("url", "book"),
    [(ADDRESS, BOOK), ("https://github.com/Ada/Ada.github.io", "https://ada.github.io/"), ("", "")],
)
def test_the_book_is_on_the_pages_of_its_repository(url, book):
    assert book_url(url) == book


def small_book(folder, url):
    """Build a book of two pages with the settings of ours; return its HTML by page."""
    source = folder / "source"
    shutil.copytree(ROOT / "book/static", source / "book/static")
    shutil.copytree(ROOT / "_ext", source / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "book/references.bib", source / "book")
    names = ("book/index", "book/glossary", "notebooks/chapter")
    about = {name: {"title": name, "description": "What one learns."} for name in names}
    (source / "_ext/pages.yml").write_text(yaml.safe_dump(about), encoding="utf-8")
    Image.new("RGB", (60, 40), "white").save(source / "book/picture.png")
    toc = {
        "format": "jb-book",
        "root": "book/index",
        "chapters": [{"file": "notebooks/chapter"}, {"file": "book/glossary"}],
    }
    (source / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (source / "book/index.md").write_text("# Book\n\nWords.\n", encoding="utf-8")
    words = "# Words\n\n```{glossary}\nload\n  A share.\n```\n"
    (source / "book/glossary.md").write_text(words, encoding="utf-8")
    chapter = json.loads(
        (ROOT / "notebooks/01_law_of_data_separation.ipynb").read_text(encoding="utf-8")
    )
    first = next(cell for cell in chapter["cells"] if cell["cell_type"] == "code")
    title = {
        "cell_type": "markdown",
        "id": "title",
        "metadata": {},
        "source": "# Chapter\n\nWords.\n\n![A curve.](../book/picture.png)",
    }
    chapter["cells"] = [title, first]
    (source / "notebooks").mkdir()
    (source / "notebooks/chapter.ipynb").write_text(json.dumps(chapter, indent=1))
    stage(source, url)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source]
    command += ["--path-output", folder, "-W", "-n", "--keep-going", "--quiet"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    html = folder / "_build/html"
    pages = [*html.rglob("*.html"), html / "_sources/notebooks/chapter.ipynb"]
    return {str(path.relative_to(html)): path.read_text(encoding="utf-8") for path in pages}


@pytest.mark.slow
def test_with_an_address_every_page_leads_there(tmp_path):
    pages = small_book(tmp_path, ADDRESS)
    chapter = pages["notebooks/chapter.html"]
    assert f'<link rel="canonical" href="{BOOK}notebooks/chapter.html" />' in chapter
    assert f'<meta property="og:url" content="{BOOK}notebooks/chapter.html" />' in chapter
    assert f'<meta property="og:image" content="{BOOK}previews/notebooks/chapter.png" />' in chapter
    slug = ADDRESS.removeprefix("https://github.com/")
    assert f'"https://colab.research.google.com/github/{slug}/blob/main/notebooks/' in chapter
    assert f'"https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/notebooks/' in chapter
    assert f'REPOSITORY = \\"{ADDRESS}\\"' in pages["_sources/notebooks/chapter.ipynb"]
    for page, text in pages.items():
        for link in re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", text):
            assert link in (ADDRESS, "https://github.com/you/name"), page


@pytest.mark.slow
def test_without_an_address_no_page_leads_to_a_repository(tmp_path):
    pages = small_book(tmp_path, "")
    assert 'REPOSITORY = \\"\\"' in pages["_sources/notebooks/chapter.ipynb"]
    for page, text in pages.items():
        text = text.replace("https://github.com/you/name", "")  # an example in a comment
        for door in ("github.com/", "github.io", "colab.research", "mybinder", "rocket"):
            assert door not in text, page
        for tag in ("canonical", "og:url", "og:image", "twitter:card"):
            assert tag not in text, page
    assert 'property="og:description"' in pages["notebooks/chapter.html"]
