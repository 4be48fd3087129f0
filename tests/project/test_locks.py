"""What is installed is pinned with the hashes of its files, and installed by them."""

import re
import tomllib
from pathlib import Path

import install
import lock
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAMES = ("torch", "book", "test")


def read(name):
    """Return the lines of a lock: a package's requirement, and the hashes of its files."""
    text = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8")
    lines = re.sub(r" \\\n +", " ", text).splitlines()
    assert lines.pop(0).endswith("Made by `make lock`.")
    for line in lines:
        requirement, *hashes = line.split(" --hash=")
        yield Requirement(requirement), hashes


def pins(*names):
    return {r.name: str(r.specifier).removeprefix("==") for name in names for r, _ in read(name)}


@pytest.mark.parametrize("name", [*NAMES, "torch-cpu"])
def test_every_package_has_one_version_and_the_hashes_of_its_files(name):
    packages = list(read(name))
    assert packages
    for requirement, hashes in packages:
        assert re.fullmatch(r"==[\w.]+(\+cpu)?", str(requirement.specifier)), requirement
        assert hashes, requirement
        for digest in hashes:
            assert re.fullmatch("sha256:[0-9a-f]{64}", digest), requirement
    names = [requirement.name for requirement, _ in packages]
    assert len(names) == len(set(names))


def test_the_locks_hold_the_versions_of_the_constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constrained = [Requirement(line) for line in lines if not line.startswith("#")]
    locked = pins(*NAMES)
    for pin in constrained:
        name = canonicalize_name(pin.name)
        assert f"=={locked[name]}" == str(pin.specifier), f"{name}: run `make lock`"


def test_the_locks_hold_every_requirement():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    wanted = {"book": [*project["dependencies"], *extras["book"]]}
    wanted["test"] = wanted["book"] + extras["test"]
    for requirement in map(Requirement, wanted["test"]):
        assert canonicalize_name(requirement.name) in pins(*NAMES), "run `make lock`"
    for requirement in map(Requirement, wanted["book"]):
        assert pins("torch", "book")[canonicalize_name(requirement.name)] in requirement.specifier


def test_what_builds_the_package_is_pinned_and_locked():
    (build,) = map(Requirement, PYPROJECT["build-system"]["requires"])
    assert str(build.specifier) == f"=={pins('book')['setuptools']}"


def test_both_builds_of_pytorch_are_locked():
    (_, hashes), *more = read("torch-cpu")
    # For Python 3.11 on Linux and x86-64, where the checks run.
    assert "sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b" in hashes
    assert not more
    assert pins("torch-cpu") == {"torch": f"{pins('torch')['torch']}+cpu"}
    assert not [name for name in pins("book") if lock.CUDA.match(name)]


@pytest.fixture
def calls(monkeypatch):
    """Record the calls of pip; what is named in `fail` fails."""

    def record(*arguments, **_):
        calls.append(arguments)
        return Path(arguments[-1]).stem in calls.fail

    class Calls(list):
        fail = ()

    calls = Calls()
    monkeypatch.setattr(install, "pip", record)
    return calls


@pytest.mark.parametrize("only_cuda", [True, False])
@pytest.mark.parametrize("extra", ["book", "test"])
def test_only_what_is_locked_is_installed(calls, extra, only_cuda):
    calls.fail = ("torch-cpu",) if only_cuda else ()
    assert not install.install(extra)
    *installed, own, check = calls
    assert all({"--require-hashes", "--no-deps", "--only-binary=:all:"} < {*c} for c in installed)
    locks = [Path(call[-1]).stem for call in installed]
    assert locks[: 1 + only_cuda] == ["torch-cpu", "torch"][: 1 + only_cuda]
    assert locks[1 + only_cuda :] == ["book", "test"][: 1 + (extra == "test")]
    assert {"--no-deps", "--no-index", "--no-build-isolation"} < set(own)
    assert check == ("check",)


@pytest.mark.parametrize("fail", [("torch-cpu", "torch"), ("book",), ("test",)])
def test_nothing_follows_what_could_not_be_installed(calls, fail):
    calls.fail = fail
    assert install.install("test")
    assert Path(calls[-1][-1]).stem == fail[-1]


def test_other_constraints_are_not_locked(calls):
    assert not install.install("test", "/dev/null")
    assert calls == [("install", "-c", "/dev/null", "-e", ".[book,test]")]


def test_a_file_of_another_content_is_refused(tmp_path, monkeypatch, capfd):
    wheel = tmp_path / "torch-2.0-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    (tmp_path / "book.txt").write_text(f"torch==2.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(install, "LOCKS", tmp_path)
    for name, value in {
        "NO_INDEX": "1",
        "FIND_LINKS": tmp_path,
        "CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    assert install.locked("book")
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err


def test_a_lock_is_read_package_by_package():
    text = "# Title\na-b==1 ; os_name == 'nt' \\\n    --hash=sha256:" + "1" * 64 + " \\\n"
    text += "    --hash=sha256:" + "2" * 64 + "\nc==2 \\\n    --hash=sha256:" + "3" * 64 + "\n"
    entries = lock.entries(text)
    assert list(entries) == ["a-b", "c"]
    assert lock.hashes(entries["a-b"]) == {f"sha256:{digit * 64}" for digit in "12"}


def test_builds_without_cuda_are_found_in_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    for version, content in (("2.13.0+cpu", b"abc"), ("2.12.0+cpu", b"d"), ("2.13.0", b"e")):
        (tmp_path / f"torch-{version}-cp311-cp311-linux_x86_64.whl").write_bytes(content)
    abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180
    assert lock.without_cuda("uv", "torch==2.13.0") == {abc}
