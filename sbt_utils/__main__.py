"""The command line: ``python -m sbt_utils``."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from sbt_utils import datasets
from sbt_utils.descent import OPTIMIZERS
from sbt_utils.evaluation import evaluate
from sbt_utils.experiments import COUNTS, PARAMETERS, PHASE_DIAGRAMS, Experiment, published
from sbt_utils.figures import load_curves
from sbt_utils.networks import MLP
from sbt_utils.results import whole_file
from sbt_utils.separation import MEASURES, LoadCurve
from sbt_utils.settings import RANGES
from sbt_utils.shards import SHARD_SIZE, plan
from sbt_utils.sweep import SweepError, sweep
from sbt_utils.training import train
from sbt_utils.workers import LocalProcesses


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        In place of the process's own.

    Returns
    -------
    int
        0, or 2 where the input was at fault; the reason is on standard error.

    Examples
    --------
    >>> main(["load-curve", "--epochs", "0"])
    2
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help()
        return 0
    try:
        options.run(options)
    except (ValueError, TypeError, OSError, datasets.DatasetError, SweepError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sbt_utils", description="Load curves of networks and of spring-block chains."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    text = "train networks and print, write or plot their load curves"
    command = commands.add_parser(
        "load-curve",
        help=text,
        description=f"{text.capitalize()}. The defaults are the published protocol.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.set_defaults(run=_load_curve)
    _add_settings(command)
    output = command.add_argument_group("output")
    output.add_argument("--measure", choices=MEASURES, default="trace", help="of data separation")
    output.add_argument("--json", type=Path, metavar="FILE", help="write the curves here")
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves here")

    text = "train the networks of a phase diagram, or of a grid of your own"
    command = commands.add_parser(
        "sweep",
        help=text,
        description=f"{text.capitalize()}, and write their load curves to a netCDF file. Stopped, "
        "it goes on where it was when it is called again. Settings that are not given are those of "
        "the experiment.",
        epilog="A grid of your own: --axis width 50 100 200 --axis dropout 0 0.1 0.2",
    )
    command.set_defaults(run=_sweep)
    command.add_argument(
        "experiment", nargs="?", help=", ".join(noise for noise, _ in PHASE_DIAGRAMS)
    )
    command.add_argument("--profile", default="paper", help="smoke, quick or paper (the default)")
    command.add_argument(
        "--axis",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "LEVEL"),
        help="twice, in place of an experiment; " + ", ".join(PARAMETERS),
    )
    for setting in _add_settings(command):
        setting.default = argparse.SUPPRESS
    running = command.add_argument_group("running")
    running.add_argument("--out", type=Path, metavar="FILE.nc", help="write the results here")
    running.add_argument("--workers", type=int, help="processes; default: threads of this one")
    running.add_argument("--shard-size", type=int, default=SHARD_SIZE, help="networks of a shard")
    running.add_argument("--no-resume", action="store_true", help="start anew, replacing FILE.nc")
    running.add_argument("--dry-run", action="store_true", help="only say what it would take here")
    for each in commands.choices.values():
        each.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser


def _add_settings(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add the settings of an experiment, by the names of `Experiment`'s arguments."""
    network = command.add_argument_group("network")
    training = command.add_argument_group("training")
    data = command.add_argument_group("data")
    return [
        network.add_argument("--hidden-layers", type=int, default=7),
        network.add_argument("--width", type=int, default=100, help="units of a hidden layer"),
        network.add_argument(
            "--negative-slope", type=float, default=0.0, help="α: 0 ReLU, 1 linear"
        ),
        network.add_argument("--dropout", type=float, default=0.0, help="p"),
        training.add_argument("--seeds", type=int, default=3, help="how many networks"),
        training.add_argument("--learning-rate", type=float, default=1e-3),
        training.add_argument("--batch-size", type=int, help="default: all training images"),
        training.add_argument("--data-noise", type=float, default=0.0),
        training.add_argument("--epochs", type=int, default=100),
        training.add_argument("--optimizer", choices=OPTIMIZERS, default="adam"),
        data.add_argument("--dataset", default="mnist", help=", ".join(datasets.NAMES)),
        data.add_argument("--train", type=int, default=2560, help="training images"),
        data.add_argument("--test", type=int, help="test images; default: all"),
        data.add_argument("--size", type=int, default=10, help="pixels of an image's side"),
    ]


def _load_curve(options: argparse.Namespace) -> None:
    if options.seeds < 1:
        raise ValueError(f"seeds={options.seeds}: give at least 1")
    if options.dataset not in datasets.NAMES:
        choices = ", ".join(datasets.NAMES)
        raise ValueError(f"dataset={options.dataset!r} is not known; choose one of {choices}")
    _check_file("json", options.json)
    _check_file("plot", options.plot, [f".{kind}" for kind in Figure().canvas.filetypes])
    options.device = _device(options.device)
    data = datasets.load(options.dataset, options.train, options.test, options.size)
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
        text = json.dumps({"configuration": shown, "seeds": seeds}, indent=1) + "\n"
        with whole_file(options.json) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if options.plot:
        _plot(options.plot, seeds)


def _sweep(options: argparse.Namespace) -> None:
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


def _experiment(options: argparse.Namespace) -> Experiment:
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


if __name__ == "__main__":
    sys.exit(main())
