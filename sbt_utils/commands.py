"""What the commands of ``python -m sbt_utils`` do, given their parsed options."""

import json
from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from sbt_utils.data import datasets
from sbt_utils.drawing import load_curves, stress_map
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.reporting.model_files import load_images, load_model
from sbt_utils.reporting.stress_map import report
from sbt_utils.results import whole_file
from sbt_utils.sweeping.experiments import COUNTS, Experiment, published
from sbt_utils.sweeping.shards import plan
from sbt_utils.sweeping.sweeps import sweep
from sbt_utils.sweeping.workers import LocalProcesses
from sbt_utils.training.networks import MLP
from sbt_utils.training.ranges import RANGES
from sbt_utils.training.settings import check_device
from sbt_utils.training.trainer import train


def run_load_curves(options: Namespace) -> None:
    """Train networks and print, write or plot their load curves.

    Parameters
    ----------
    options : argparse.Namespace
        From the parser of ``sbt_utils.__main__``, as are all names.

    Raises
    ------
    ValueError, TypeError, OSError
        Options at fault.
    """
    if options.seeds < 1:
        raise ValueError(f"seeds={options.seeds}: give at least 1")
    _check_dataset(options.dataset)
    _check_outputs(options)
    options.device = _device(options.device)
    data = datasets.load_data(options.dataset, options.train, options.test, options.size)
    inputs = data.train_images[0].numel()
    trained = train(
        MLP(inputs, options.width, options.hidden_layers, data.classes),
        data.train_images,
        data.train_labels,
        seeds=range(options.seeds),
        negative_slope=options.negative_slope,
        dropout=options.dropout,
        learning_rate=options.learning_rate,
        data_noise=options.data_noise,
        batch_size=options.batch_size,
        epochs=options.epochs,
        optimizer=options.optimizer,
        device=options.device,
    )
    networks = list(trained.networks)
    on_train = evaluate(networks, data.train_images, data.train_labels, options.measure)
    on_test = evaluate(networks, data.test_images, data.test_labels, options.measure)
    seeds = [
        {
            "seed": seed,
            "separation_train": on_train.separation[seed].values.tolist(),
            "separation_test": on_test.separation[seed].values.tolist(),
            "accuracy_test": on_test.accuracy[seed].item(),
        }
        for seed in range(options.seeds)
    ]
    if collapsed := [s["seed"] for s in seeds if not np.isfinite(s["separation_test"]).all()]:
        raise ValueError(f"seeds {collapsed} have collapsed, D is undefined: train more gently")
    _print(seeds)
    if options.json:
        shown = {k: v for k, v in vars(options).items() if k not in ("run", "json", "plot")}
        _write(options.json, json.dumps({"configuration": shown, "seeds": seeds}, indent=1))
    if options.plot:
        _plot(options.plot, seeds)


def run_sweep(options: Namespace) -> None:
    """Train the networks of a phase diagram, or of a grid, and write their load curves.

    Parameters
    ----------
    options : argparse.Namespace
        From the parser of ``sbt_utils.__main__``, as are all names.

    Raises
    ------
    ValueError, TypeError, OSError
        Options at fault.
    """
    experiment = _experiment(options)
    device = _device(options.device)
    if options.dry_run:
        take = plan(experiment, options.shard_size, device)
        print(f"{take['networks']} networks in {take['shards']} shards")
        print(f"{take['operations']:.2g} floating-point operations in training")
        print(f"at most {timedelta(seconds=round(take['seconds']))} on this machine")
        return
    if options.out is None:
        raise ValueError("out: name a file for the results, --out FILE.nc")
    with nullcontext() if options.workers is None else LocalProcesses(options.workers) as executor:
        diagram = sweep(
            experiment,
            out=options.out,
            executor=executor,
            resume=not options.no_resume,
            device=device,
            shard_size=options.shard_size,
        )
    sizes = " x ".join(f"{size} {name}" for name, size in diagram.epochs.sizes.items())
    print(f"{options.out}: {sizes}, test accuracy {diagram.accuracy_test.mean():.2%} on average")


def run_report(options: Namespace) -> None:
    """Print, write or draw the stress map of a saved model.

    Parameters
    ----------
    options : argparse.Namespace
        From the parser of ``sbt_utils.__main__``, as are all names.

    Raises
    ------
    ValueError, TypeError, OSError
        Options at fault.
    """
    _check_outputs(options)
    if bool(options.dataset) == bool(options.train):
        raise ValueError("train: give --train FILE.npz, or --dataset NAME in its place")
    if options.dataset and options.test:
        raise ValueError("test: --dataset brings its own test images; leave --test out")
    if options.dataset:
        _check_dataset(options.dataset)
        data = datasets.load_data(options.dataset)
        parts: list[Any] = [(data.train_images, data.train_labels)]
        parts.append((data.test_images, data.test_labels))
    else:
        parts = [load_images(path) for path in (options.train, options.test) if path]
    device = _device(options.device)
    check_device(device)
    model = load_model(options.model, options.checkpoint, _arguments(options.arguments))
    try:
        found = report(
            model.to(device),
            *parts,
            layers=options.layers,
            resamples=options.resamples,
            batch_size=options.batch_size,
        )
    except RuntimeError as error:  # of the model's own
        shapes = " and ".join(str(tuple(images.shape)) for images, _ in parts)
        raise ValueError(
            f"model={options.model}: fails on images of shape {shapes} ({error}); give them as it "
            "was trained with"
        ) from error
    print(found)
    if options.json:
        _write(options.json, found.to_json())
    if options.plot:
        with whole_file(options.plot) as temporary:
            stress_map(found).savefig(temporary, format=options.plot.suffix[1:])


def _arguments(text: str | None) -> Any:
    """Return the arguments of a model from JSON: an object or a list."""
    if text is None:
        return None
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"arguments={text!r}: not JSON ({error})") from None
    if not isinstance(arguments, (dict, list)):
        raise ValueError(
            f"arguments={text!r}: give an object or a list, such as '{{\"width\": 50}}'"
        )
    return arguments


def _experiment(options: Namespace) -> Experiment:
    """Return the experiment that the options describe."""
    names = {field.name for field in fields(Experiment)} - {"axes"}
    settings = {name: value for name, value in vars(options).items() if name in names}
    if bool(options.experiment) == bool(options.axis):
        raise ValueError("experiment: name one, or give --axis twice")
    if options.experiment:
        return published(options.experiment, options.profile, **settings)
    axes = {name: [_level(name, level) for level in levels] for name, *levels in options.axis}
    return Experiment(axes, **settings)


def _level(name: str, text: str) -> float | int | str:
    """Return a level of an axis from the command line; what does not suit it is left as it is."""
    kind = int if name in COUNTS else float if name in RANGES else str
    try:
        return kind(text)
    except ValueError:
        return text


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _check_dataset(name: str) -> None:
    if name not in datasets.NAMES:
        choices = ", ".join(datasets.NAMES)
        raise ValueError(f"dataset={name!r} is not known; choose one of {choices}")


def _check_outputs(options: Namespace) -> None:
    _check_file("json", options.json)
    _check_file("plot", options.plot, [f".{kind}" for kind in Figure().canvas.filetypes])


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _check_file(argument: str, path: Path | None, suffixes: Sequence[str] = ()) -> None:
    """Raise now, not after minutes of training, if a file cannot be written."""
    if path is None:
        return
    if suffixes and path.suffix not in suffixes:
        raise ValueError(f"{argument}={path}: end the name in one of {' '.join(sorted(suffixes))}")
    if path.is_dir():
        raise ValueError(f"{argument}={path}: this is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise ValueError(f"{argument}={path}: there is no folder {path.parent}; make it first")


def _print(seeds: list[dict[str, Any]]) -> None:
    curves = {part: _curve(seeds, part) for part in ("train", "test")}
    layers = range(len(seeds[0]["separation_train"]))
    print("layer      " + "".join(f"{layer:8d}" for layer in layers))
    for seed in seeds:
        values = "".join(f"{value:8.3f}" for value in seed["separation_train"])
        print(f"D, seed {seed['seed']:<3d}{values}   test accuracy {seed['accuracy_test']:.2%}")
    for part, curve in curves.items():
        print(f"{part}: {curve.verdict}; r = {curve.linearity:.4f}")


def _plot(path: Path, seeds: list[dict[str, Any]]) -> None:
    curves = {"training images": _curve(seeds, "train"), "test images": _curve(seeds, "test")}
    load_curves(curves).savefig(path)


def _curve(seeds: list[dict[str, Any]], part: str) -> LoadCurve:
    return LoadCurve(np.array([seed[f"separation_{part}"] for seed in seeds]))
