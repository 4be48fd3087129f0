"""What is published, and how: addresses, workflows, the archive's metadata."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
NOT_OURS = (".*", "_build", "node_modules", "*.egg-info", "__pycache__", "results")
ELSEWHERE = ("https://doi.org/", "https://arxiv.org/abs/", "https://creativecommons.org/")


def read(path):
    return path.read_text(encoding="utf-8")


def urls(root):
    return tomllib.loads(read(root / "pyproject.toml"))["project"]["urls"]


def first_cells(root):
    """Return the first code cell of every notebook."""
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(read(path))["cells"]
        yield "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])


def check_addresses(root, url, book):
    """Whatever has a place for the addresses of the repository and its book names these."""
    assert (urls(root).get("Repository", ""), urls(root).get("Documentation", "")) == (url, book)
    citation = yaml.safe_load(read(root / "CITATION.cff"))
    assert (citation.get("repository-code", ""), citation.get("url", "")) == (url, book)
    for cell in first_cells(root):
        assert f'\nREPOSITORY = "{url}"  #' in cell
    lines = [line for line in read(root / "README.md").splitlines() if "published at" in line]
    assert lines == ([f"The book is published at <{book}>."] if book else [])


def set_repository(root, url):
    command = [sys.executable, root / "scripts/set_repository.py", url]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the project, without what git ignores and without a fixed address."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*NOT_OURS))
    shutil.copy(ROOT / ".zenodo.json", root)
    shutil.copytree(ROOT / ".github", root / ".github")
    run = set_repository(root, "none")
    assert run.returncode == 0, run.stderr
    return root


def contents(root):
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path: path.read_bytes() for path in files}


def test_addresses_agree():
    check_addresses(ROOT, urls(ROOT).get("Repository", ""), urls(ROOT).get("Documentation", ""))


def test_one_command_fixes_the_address_and_takes_it_out(copy):
    check_addresses(copy, "", "")
    before = contents(copy)
    for url, book in (
        ("https://github.com/Ada-L/new.name", "https://ada-l.github.io/new.name/"),
        ("https://github.com/x/X.github.io", "https://x.github.io/"),
    ):
        assert set_repository(copy, f"{url}.git").returncode == 0
        check_addresses(copy, url, book)
    assert set_repository(copy, "none").returncode == 0
    assert contents(copy) == before


def test_without_a_fixed_address_no_file_names_a_repository(copy):
    named = set()
    for path, content in contents(copy).items():
        if "tests" not in path.parts and path.name != "package-lock.json":
            named |= set(re.findall(rb"github\.com[/:]([\w-]+/[\w.-]+)", content))
            assert not re.search(rb"\bOWNER\b|[\w-]\.github\.io\b", content), path
    assert named == {b"you/name", b"cazala/mnist"}  # an example; where the embedded digits are from


@pytest.mark.parametrize(
    "url", ["", "OWNER/name", "https://gitlab.com/a/b", "https://github.com/a/b/c"]
)
def test_other_addresses_are_refused(url):
    run = set_repository(ROOT, url)
    assert run.returncode == 1
    assert f"URL={url}: give it as https://github.com/you/name" in run.stderr


def test_the_links_of_the_readme_lead_somewhere():
    text = re.sub(r"^```.*?^```", "", read(ROOT / "README.md"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(links) > 10
    for link in links:
        assert link.startswith(ELSEWHERE) or (ROOT / link).exists(), link


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
class TestWorkflow:
    def test_actions_are_pinned_by_commit_with_their_version(self, path):
        uses = re.findall(r"^\s*(?:- )?uses: *(.*)$", read(path), re.M)
        assert len(uses) == read(path).count("uses:")
        for action in uses:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action

    def test_permissions_are_least(self, path):
        workflow = yaml.safe_load(read(path))
        assert workflow["permissions"] == {}
        for name, job in workflow["jobs"].items():
            publishes = {"pages": "write", "id-token": "write"}
            assert job["permissions"] == (publishes if name == "publish" else {"contents": "read"})
            for step in job["steps"]:
                if "actions/checkout@" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] is False

    def test_only_main_is_published(self, path):
        for name, job in yaml.safe_load(read(path))["jobs"].items():
            for part in (job, *job["steps"]):
                if name == "publish" or "pages" in part.get("uses", ""):
                    wanted = job if name == "publish" else part
                    assert wanted["if"] == "github.ref == 'refs/heads/main'"

    def test_targets_and_files_exist(self, path):
        targets = set(re.findall(r"^([a-z]+):", read(ROOT / "Makefile"), re.M))
        workflow = yaml.safe_load(read(path))
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        called = [
            step["run"].split()[1:] for step in steps if step.get("run", "").startswith("make")
        ]
        assert called
        for words in called:
            assert {word for word in words if "=" not in word} <= targets
        named = re.findall(r"[\w./-]+\.(?:txt|yml)\b", read(path))
        assert all((ROOT / name).exists() for name in named)


def test_the_pull_request_cannot_publish():
    on = yaml.safe_load(read(ROOT / ".github/workflows/book.yml"))[True]  # YAML 1.1 reads `on` so
    assert on["push"] == {"branches": ["main"]}
    assert "pull_request" in on
    assert "pull_request_target" not in on


def test_the_archive_and_the_citation_say_the_same():
    archive = json.loads(read(ROOT / ".zenodo.json"))
    citation = yaml.safe_load(read(ROOT / "CITATION.cff"))
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    paper = citation["preferred-citation"]
    assert archive["title"] == citation["title"]
    assert archive["description"] == citation["abstract"]
    assert archive["keywords"] == citation["keywords"] == project["keywords"]
    assert archive["license"] == citation["license"].lower() == project["license"].lower()
    assert [each["name"] for each in archive["creators"]] == [
        a["name"] for a in citation["authors"]
    ]
    related = {each["identifier"] for each in archive["related_identifiers"]}
    assert related == {paper["doi"], *(each["value"] for each in paper["identifiers"])}
    assert (archive["upload_type"], archive["access_right"]) == ("software", "open")
