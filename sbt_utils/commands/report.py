"""``sbt-utils report``: the loads of a saved model are mapped."""

import json
import os
import sys
import traceback
from argparse import Namespace
from pathlib import Path
from typing import Any

from sbt_utils.commands.files import check_files, device_named, with_notes, written
from sbt_utils.text import quoted, shown


def run(options: Namespace) -> None:
    """Print, write or draw the stress map of a saved model, or those of several side by side."""
    from sbt_utils.drawing import compared_loads, stress_map
    from sbt_utils.reporting.comparison import compare
    from sbt_utils.reporting.model_files import load_model
    from sbt_utils.reporting.model_files.checkpoints import files_of

    files = {"train": options.train, "test": options.test}
    for path in options.checkpoint:
        _check_there("checkpoint", path)
        files |= {f"checkpoint {file}": file for file in files_of(path)}
    check_files(options, **files)
    parts = _parts(options)
    if len(set(options.checkpoint)) < len(options.checkpoint):
        raise ValueError("checkpoint: one is given twice; give different ones to compare")
    device = device_named(options.device)
    if not sys.flags.safe_path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # as `python -m` does; last, so that it hides no package
    arguments = _arguments(options.arguments)
    models = {
        str(path): load_model(options.model, path, arguments, options.weights)
        for path in options.checkpoint
    }
    check_files(options, **files, **_code())
    maps = {name: _mapped(model.to(device), parts, options) for name, model in models.items()}
    if len(maps) == 1:
        (stress,) = maps.values()
        with written(options, stress.to_json(), lambda: stress_map(stress)):
            print(stress)
        return
    comparison = compare(maps)
    objects = {name: json.loads(stress.to_json()) for name, stress in maps.items()}
    text = json.dumps(objects, indent=1, ensure_ascii=False)
    with written(options, text, lambda: compared_loads(comparison)):
        print(comparison)


def _parts(options: Namespace) -> list[Any]:
    """Return the training inputs and, if there are any, the unseen ones."""
    from sbt_utils.data.datasets import load_data
    from sbt_utils.reporting.model_files import load_inputs

    if bool(options.dataset) == bool(options.train):
        raise ValueError("train: give --train FILE.npz, or --dataset NAME in its place")
    if options.dataset and options.test:
        raise ValueError("test: --dataset brings its own test images; leave --test out")
    if options.dataset:
        data = load_data(options.dataset)
        return [(data.train_images, data.train_labels), (data.test_images, data.test_labels)]
    paths = {name: getattr(options, name) for name in ("train", "test") if getattr(options, name)}
    for name, path in paths.items():
        _check_there(name, path)
    return [load_inputs(path) for path in paths.values()]


def _check_there(name: str, path: Path) -> None:
    try:
        there = path.exists()
    except OSError:  # no file can have so long a name
        there = False
    if not there:
        raise ValueError(f"{name}={shown(path, 200)}: there is no such file; give another")


def _mapped(model: Any, parts: list[Any], options: Namespace) -> Any:
    """Return the stress map of a model."""
    from sbt_utils.reporting.stress_map import report

    try:
        return report(
            model,
            *parts,
            layers=options.layers,
            pool=options.pool,
            resamples=options.resamples,
            batch_size=options.batch_size,
        )
    except Exception as error:
        if isinstance(error, MemoryError) or _is_ours(error):
            raise
        shapes = " and ".join(map(_shapes, parts))
        raise ValueError(
            f"model={shown(options.model)}: fails on {shapes} ({shown(with_notes(error), 300)}); "
            "give inputs like those it was trained on"
        ) from error


def _is_ours(error: Exception) -> bool:
    """Tell whether this package raised an error itself, not the model or what it is made of."""
    innermost = traceback.extract_tb(error.__traceback__)[-1].filename
    return Path(innermost).is_relative_to(Path(__file__).parents[1])


def _shapes(part: Any) -> str:
    """Return what a model was given, in words."""
    if isinstance(part, tuple):
        return f"images of shape {tuple(part[0].shape)}"
    arrays = {name: array for name, array in part.items() if name != "labels"}
    return ", ".join(f"{shown(name)} {array.shape}" for name, array in arrays.items())


def _arguments(text: str | None) -> Any:
    """Return the arguments of a model from JSON."""
    try:
        arguments = None if text is None else json.loads(text)
    except (json.JSONDecodeError, TypeError) as error:  # argparse makes a list of --arguments=--
        raise ValueError(f"arguments={quoted(text)}: not JSON ({error})") from None
    if not isinstance(arguments, (dict, list, type(None))):
        example = """'{"width": 50}'"""
        raise ValueError(f"arguments={quoted(text)}: give an object or a list, such as {example}")
    return arguments


def _code() -> dict[str, Any]:
    """Return the files of all modules that are loaded: the model may be made of several."""
    modules = list(sys.modules.items())
    return {f"module {name}": getattr(module, "__file__", None) for name, module in modules}
