"""The layout: which folder imports which, how full folders are, what the front door offers."""

import ast
import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sbt_book
import sbt_utils

ROOT = Path(__file__).parents[2]
# A folder imports those before it in this order, and no other of its own row.
LIBRARY = (
    {"lazily", "text", "compiling"},
    {"work_folders", "threads", "numbers"},
    {"outputs"},
    {"data", "models", "ensembles", "results"},
    {"measuring"},
    {"language"},
    {"training", "reporting", "mechanics"},
    {"sweeping", "drawing"},
    {"options", "watching"},
    {"commands"},
    {"__main__"},
)
CHAPTERS = {"law", "ruler", "chain", "phase_diagram", "in_time"}
CHAPTERS |= {"generalisation", "gallery", "trained_models", "steering"}
CHAPTERS |= {"gradients", "friction", "beyond", "language", "language_training"}
COMPANION = ({"common"}, CHAPTERS, {"advice", "status", "live", "pictures"})
MOST_FILES, MOST_LINES = 12, 350


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for package in ("sbt_utils", "sbt_book")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def offered_names(package):
    """Yield (name, module) for what the `__init__.py` of a package offers lazily."""
    for node in ast.walk(SOURCES[package]):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "exports":
            for module, names in ast.literal_eval(node.args[1]).items():
                yield from ((name, f"{package}.{module}") for name in names.split())


OFFERED = {
    f"{package}.{name}": module for package in SOURCES for name, module in offered_names(package)
}


def imported_modules(tree):
    """Yield the modules that a file imports: for type checkers or by a folder's offer, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in SOURCES else OFFERED.get(whole, node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


EDGES = {
    name: {m for m in imported_modules(tree) if m in SOURCES and m != name}
    for name, tree in SOURCES.items()
    if name != "sbt_utils"  # the front door names everything, and imports it when asked
}


def row(name):
    package, *rest = name.split(".")
    rows = LIBRARY if package == "sbt_utils" else COMPANION
    return next(number for number, folders in enumerate(rows) if rest[0] in folders)


def test_the_library_does_not_import_the_book():
    for name, targets in EDGES.items():
        if name.startswith("sbt_utils"):
            assert not [target for target in targets if target.startswith("sbt_book")], name


def test_the_library_does_not_use_its_front_door():
    # What a module needs would stay hidden from the tests of circles and of the order.
    for name, targets in EDGES.items():
        if name.startswith("sbt_utils"):
            assert "sbt_utils" not in targets, name


def test_an_import_by_a_folder_counts_as_one_of_its_module():
    tree = ast.parse("from sbt_utils.data import load_data\nfrom sbt_utils import train")
    assert list(imported_modules(tree)) == ["sbt_utils.data.datasets", "sbt_utils.training.trainer"]


def test_imports_make_no_circle():
    order = list(TopologicalSorter(EDGES).static_order())
    assert set(EDGES) <= set(order)


@pytest.mark.parametrize("name", [name for name in EDGES if "." in name])
def test_folders_import_only_what_lies_below(name):
    for target in EDGES[name]:
        ours = target.split(".")[0] == name.split(".")[0]
        if ours and "." in target and target.split(".")[1] != name.split(".")[1]:
            assert row(target) < row(name), f"{name} imports {target}"


def test_no_folder_is_crowded():
    for folder in {
        path.parent for p in ("sbt_utils", "sbt_book") for path in (ROOT / p).rglob("*")
    }:
        if folder.name != "__pycache__":
            files = [path for path in folder.iterdir() if path.is_file()]
            assert len(files) <= MOST_FILES, folder


def test_no_file_is_long():
    for name in SOURCES:
        path = ROOT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= MOST_LINES, f"{path} has {lines} lines: split it"


def is_compiled(function):
    """Tell whether a function is decorated with numba's njit or jit, and whether it is cached."""
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(called).split(".")[-1] in ("njit", "jit", "vectorize", "guvectorize"):
            words = decorator.keywords if isinstance(decorator, ast.Call) else []
            return True, any(w.arg == "cache" and ast.literal_eval(w.value) for w in words)
    return False, False


def compiled_functions(tree):
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name: node for node in functions if is_compiled(node)[0]}


def foreign_compiled_calls(trees):
    """Yield (module, cached function, name) where a cached function uses another file's code."""
    compiled = {(name, function) for name in trees for function in compiled_functions(trees[name])}
    for name, tree in trees.items():
        foreign = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if (node.module, alias.name) in compiled
        }
        for function in compiled_functions(tree).values():
            if is_compiled(function)[1]:
                used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                yield from ((name, function.name, called) for called in sorted(used & foreign))


def test_cached_functions_call_compiled_code_of_their_own_file_only():
    # numba watches the file of the cached function alone: an edit elsewhere would go unnoticed.
    assert list(foreign_compiled_calls(SOURCES)) == []


def test_a_cached_function_that_calls_another_file_is_found():
    trees = {
        "a": ast.parse("@njit\ndef inner(x):\n    return x\n"),
        "b": ast.parse("from a import inner\n@njit(cache=True)\ndef f(x):\n    return inner(x)\n"),
    }
    assert list(foreign_compiled_calls(trees)) == [("b", "f", "inner")]


def packages():
    for root in (sbt_utils, sbt_book):
        yield root
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if found.ispkg:
                yield importlib.import_module(found.name)


@pytest.mark.parametrize("package", list(packages()), ids=lambda package: package.__name__)
def test_what_a_folder_offers_is_there_and_no_module_hides_it(package):
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    offered = getattr(package, "__all__", [])
    assert not modules & set(offered)
    assert set(offered) <= set(dir(package))
    for name in offered:
        assert getattr(package, name).__doc__ or name.isupper(), name


def test_the_front_door_names_for_editors_what_it_offers():
    (block,) = (node for node in SOURCES["sbt_utils"].body if isinstance(node, ast.If))
    named = {
        alias.asname: getattr(importlib.import_module(node.module), alias.name)
        for node in block.body
        for alias in node.names
    }
    assert sorted(named) == sorted(sbt_utils.__all__)
    for name, value in named.items():
        assert getattr(sbt_utils, name) is value


def test_the_front_door_knows_its_version():
    assert sbt_utils.__version__ == importlib.metadata.version("sbt-utils")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'sbt_utils' has no attribute 'loadcurve'"):
        sbt_utils.loadcurve  # noqa: B018


SLOWEST = {"torch", "matplotlib"}
HEAVY = SLOWEST | {"xarray", "pandas", "numba"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import sbt_utils; sbt_utils.__all__, dir(sbt_utils)", HEAVY | {"numpy"}),
        ("from sbt_utils.commands import main", HEAVY),
        ("import sbt_utils.sweeping as s; s.Experiment, s.SweepError, s.LocalProcesses", HEAVY),
        ("import sbt_book, sbt_book.law", HEAVY | {"numpy"}),
        ("import sbt_utils as sbt; sbt.SpringBlockChain, sbt.FoldingRuler", SLOWEST),
        ("import sbt_utils as sbt; sbt.Hand, sbt.LoadCurve", SLOWEST),
        (
            "import sbt_utils as sbt; sbt.load_curve, sbt.train, sbt.report, sbt.LoadCurveCallback",
            {"matplotlib"},
        ),
    ],
)
def test_importing_loads_no_more_than_it_needs(code, absent):
    code += f"; import sys; print(sorted({absent} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
