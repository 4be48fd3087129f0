"""The files that describe the project say the same thing."""

import ast
import re
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from sbt_book.common.committed import RESULTS
from sbt_book.phase_diagram.published import agreement_table, compare, published_diagram
from sbt_utils.results import load
from sbt_utils.sweeping.experiments import PHASE_DIAGRAMS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
INSTALLED = PROJECT["dependencies"], EXTRAS["book"], EXTRAS["test"]  # by make
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}
# What comes with a package that is listed, under the name by which it is imported.
BROUGHT = {
    "cycler": "matplotlib",
    "PIL": "matplotlib",
    "traitlets": "ipywidgets",
    "triton": "torch",
}


# Used where they are installed; whoever needs one without it is told how to install it.
OPTIONAL = {"safetensors", "torchcrepe", "transformers"}


def requirements(*lists):
    found = (Requirement(line) for lines in lists for line in lines)
    return {canonicalize_name(r.name): r.specifier for r in found}


def imported_packages(package):
    """Return the packages of others that a package of ours imports, by their names on PyPI."""
    names = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    names -= {"sbt_utils", "sbt_book", *sys.stdlib_module_names}
    return {BROUGHT.get(name, name) for name in names}


def test_the_base_install_is_what_the_library_imports():
    base, book = requirements(PROJECT["dependencies"]), requirements(EXTRAS["book"])
    # xarray writes netCDF files by h5netcdf, which reads and writes by h5py.
    assert set(base) == imported_packages("sbt_utils") - OPTIONAL | {"h5netcdf", "h5py"}
    assert imported_packages("sbt_book") - OPTIONAL <= set(base) | set(book)
    assert not set(base) & set(book)


def test_no_version_of_pytorch_that_lets_code_in_is_accepted():
    """By CVE-2025-32434, the versions before 2.6 may run code where they read weights alone."""
    accepted = requirements(PROJECT["dependencies"])["torch"]
    assert [v for v in ("1.13.1", "2.0.0", "2.5.0", "2.5.1", "2.6.0") if v in accepted] == ["2.6.0"]


def test_environment_lists_the_dependencies_and_the_book():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    expected = requirements(PROJECT["dependencies"], EXTRAS["book"])
    expected = {CONDA_NAMES.get(name, name): ranges for name, ranges in expected.items()}
    found = requirements(conda)
    assert found.pop("pip") == SpecifierSet()
    assert PROJECT["requires-python"] in str(found.pop("python"))
    assert found == expected
    assert pip == {"pip": ["-e ."]}


def test_constraints_pin_every_requirement_of_make_within_its_range():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = requirements(line for line in lines if not line.startswith("#"))
    for name, ranges in requirements(*INSTALLED).items():
        (pin,) = pins[name]
        assert pin.operator == "=="
        assert pin.version in ranges, name


def test_citation_is_of_this_version_and_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["preferred-citation"]["doi"] == "10.1103/ys4n-2tj3"


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "book/index.md", "book/running.md"]
)
def test_commands_in_the_prose_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M))
    assert named
    assert named <= targets


def reference():
    """Yield each module that the pages of the reference show, with the names they show of it."""
    for page in sorted((ROOT / "book/api").glob("*.rst")):
        entry = r"automodule:: (\S+)$(?:\n +:members: (.+)$)?"
        for module, names in re.findall(entry, page.read_text(encoding="utf-8"), re.M):
            yield module, set(names.split(", ")) - {""}


def offers(package):
    """Return the names that each module of a package offers by the package's `__init__.py`."""
    path = ROOT / package.replace(".", "/") / "__init__.py"
    (call,) = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "exports"
    )
    return {f"{package}.{m}": set(n.split()) for m, n in ast.literal_eval(call.args[1]).items()}


def test_every_module_has_its_place_in_the_reference():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("sbt_utils", "sbt_book")
        for path in (ROOT / package).rglob("[!_]*.py")
    }
    assert sorted(module for module, _ in reference()) == sorted(modules)


def test_the_reference_shows_the_names_that_folders_offer_and_no_others():
    for module, names in reference():
        package, _, _ = module.rpartition(".")
        if "." in package:
            assert names == offers(package).get(module, set()), module


def test_the_reference_finds_a_docstring_for_each_name_where_it_is_defined():
    for module, names in reference():
        path = (ROOT / module.replace(".", "/")).with_suffix(".py")
        body = ast.parse(path.read_text(encoding="utf-8")).body
        documented = {
            node.name
            for node in body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)
        }
        for node, after in pairwise(body):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                documented |= {ast.unparse(target) for target in targets}
        assert names <= documented, f"{module}: {names - documented}"


def test_the_reference_shows_the_front_door():
    shown = dict(reference())
    for module, names in offers("sbt_utils").items():
        assert names <= shown[module], module


def test_the_readme_quotes_the_results():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    networks = 0
    for noise, _ in PHASE_DIAGRAMS:
        networks += load(RESULTS / f"{noise}.nc").accuracy_test.size
    assert f"{networks:,} networks" in readme
    for noise in ("dropout", "learning_rate"):
        cells = compare(load(RESULTS / f"{noise}.nc"), published_diagram(noise))
        row = agreement_table({noise: cells}).loc[noise]
        columns = ["mean deviation", "90 % of cells below", "largest deviation"]
        numbers = [f"{row[name]:.4f}" for name in columns] + [f"{row['rank correlation']:.3f}"]
        assert " | ".join([f"| {noise.replace('_', ' ')}", *numbers]) in readme


def test_the_readme_quotes_the_times_on_a_gpu():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    gpu, convolutions = (load(RESULTS / f"{name}.nc") for name in ("gpu", "cnn_dropout"))
    diagrams = [load(RESULTS / f"{noise}.nc") for noise, _ in PHASE_DIAGRAMS]
    seconds = sum(diagram.wall_time_seconds for diagram in diagrams)
    times = [f"{gpu.accuracy_test.size:,} networks", f"{gpu.wall_time_seconds:.0f} s"]
    times += [f"{seconds:,.0f} s", f"{seconds / gpu.wall_time_seconds:.0f} times faster"]
    assert " | ".join(times) in readme
    networks = convolutions.accuracy_test.isel(checkpoint=-1).size
    assert f"| {convolutions.wall_time_seconds:.0f} s for {networks} |" in readme
    assert f"an {gpu.card}," in readme
    assert convolutions.card == gpu.card
