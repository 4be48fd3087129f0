"""What is published, and how: addresses, workflows, the archive's metadata."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
COLAB = "https://colab.research.google.com/github/"
NOT_OURS = (".*", "_build", "node_modules", "*.egg-info", "__pycache__", "results")


def read(path):
    return path.read_text(encoding="utf-8")


def repository(root):
    return tomllib.loads(read(root / "pyproject.toml"))["project"]["urls"]["Repository"]


def pages_of(url):
    owner, name = url.removeprefix("https://github.com/").split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def notebooks(root):
    return [json.loads(read(path)) for path in sorted((root / "notebooks").glob("*.ipynb"))]


def check_addresses(root):
    """Whatever names the repository or the book names these."""
    url = repository(root)
    pages = pages_of(url)
    slug = url.removeprefix("https://github.com/")
    config = yaml.safe_load(read(root / "_config.yml"))
    citation = yaml.safe_load(read(root / "CITATION.cff"))
    assert tomllib.loads(read(root / "pyproject.toml"))["project"]["urls"]["Documentation"] == pages
    assert config["repository"] == {"url": url, "branch": "main"}
    assert config["html"]["baseurl"] == config["sphinx"]["config"]["ogp_site_url"] == pages
    assert (citation["repository-code"], citation["url"]) == (url, pages)
    for notebook in notebooks(root):
        first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        assert f"git clone -q --depth 1 {url} companion\n" in "".join(first["source"])
    readme = read(root / "README.md")
    assert pages in readme
    for link in re.findall(rf"{COLAB}([^)\s]+)", readme):
        assert link.startswith(f"{slug}/blob/main/")
        assert (root / link.removeprefix(f"{slug}/blob/main/")).is_file()


def test_addresses_agree():
    check_addresses(ROOT)


@pytest.mark.parametrize(
    "url", ["https://github.com/Ada-L/new.name", "https://github.com/x/X.github.io"]
)
def test_one_command_moves_them_all(tmp_path, url):
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_OURS))
    shutil.copy(ROOT / ".zenodo.json", copy)
    shutil.copytree(ROOT / ".github", copy / ".github")
    old = repository(copy)
    command = [sys.executable, copy / "scripts/set_repository.py"]
    for address in (f"{url}.git", old, url):  # there, back and there again
        subprocess.run([*command, address], check=True, capture_output=True)
        check_addresses(copy)
        if address == old:
            for path in sorted(copy.rglob("*.ipynb")):
                assert path.read_bytes() == (ROOT / path.relative_to(copy)).read_bytes()
    assert repository(copy) == url
    gone = (old.removeprefix("https://github.com/"), pages_of(old).removeprefix("https://"))
    for path in filter(Path.is_file, copy.rglob("*")):
        content = path.read_bytes()
        assert not any(name.encode() in content for name in gone), path


@pytest.mark.parametrize(
    "url", ["", "OWNER/name", "https://gitlab.com/a/b", "https://github.com/a/b/c"]
)
def test_other_addresses_are_refused(url):
    run = subprocess.run(
        [sys.executable, ROOT / "scripts/set_repository.py", url], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert f"URL={url}: give it as https://github.com/you/name" in run.stderr


def test_the_first_cell_does_nothing_in_a_checkout(monkeypatch):
    (source,) = {
        "".join(next(c for c in notebook["cells"] if c["cell_type"] == "code")["source"])
        for notebook in notebooks(ROOT)
    }
    # What IPython alone understands becomes a call that fails.
    plain = re.sub(r"^( +)[!%].*$", r"\1raise AssertionError", source, flags=re.M)
    assert plain.count("raise") == 3
    path = list(sys.path)
    exec(plain, {})
    assert sys.path == path


def test_an_installation_on_colab_finds_its_versions_accepted():
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    ranges = {r.name: r.specifier for r in map(Requirement, chain.from_iterable(lists))}
    for line in read(ROOT / ".github/colab.txt").splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            (version,) = (each.version for each in pin.specifier)
            assert version in ranges.get(pin.name, pin.specifier), line


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
