"""The command line, ``sbt-utils``: load curves, sweeps and reports.

Help must appear at once: PyTorch, xarray and matplotlib are imported by the commands that use them.
"""

import argparse
import json
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sbt_utils.data.downloads import NAMES, DatasetError
from sbt_utils.measuring.curves import MEASURES, LoadCurve
from sbt_utils.sweeping import experiments
from sbt_utils.sweeping.shards import SHARD_SIZE, SweepError
from sbt_utils.training.ranges import OPTIMIZERS, RANGES


def main(arguments: Sequence[str] | None = None, program: str = "sbt-utils") -> int:
    """Run a command and return the exit status: 0, or 2 for a fault in the input.

    `arguments` replace those of the process; `program` is its name in messages.

    >>> main(["load-curve", "--epochs", "0"])
    2
    """
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help()
        return 0
    try:
        options.run(options)
    except (ValueError, TypeError, OSError, DatasetError, SweepError) as error:
        print(f"{program}: error: {_with_notes(error)}", file=sys.stderr)
        return 2
    return 0


# Options --------------------------------------------------------------------------------------


def _parser(program: str) -> ArgumentParser:
    parser = ArgumentParser(program, description="Measure the load curves of neural networks.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_add_load_curve, _add_sweep, _add_report):
        command = add(commands)
        command.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser


def _add(commands: Any, name: str, run: Any, text: str, more: str, **settings: Any) -> Any:
    """Add a command: the list of commands shows `text`, its own help `text` and `more`."""
    command = commands.add_parser(name, help=text, description=text.capitalize() + more, **settings)
    command.set_defaults(run=run)
    return command


def _add_load_curve(commands: Any) -> ArgumentParser:
    command: ArgumentParser = _add(
        commands,
        "load-curve",
        run_load_curve,
        "train networks and print, write or plot their load curves",
        ". The defaults are the published protocol.",
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    _add_settings(command)
    output = command.add_argument_group("output")
    output.add_argument("--measure", choices=MEASURES, default="trace", help="of data separation")
    output.add_argument("--json", type=Path, metavar="FILE", help="write the curves to this file")
    output.add_argument("--plot", type=Path, metavar="FILE", help="plot the curves to this file")
    return command


def _add_sweep(commands: Any) -> ArgumentParser:
    command: ArgumentParser = _add(
        commands,
        "sweep",
        run_sweep,
        "train the networks of a phase diagram, or of a grid of your own",
        ", and write their load curves to a netCDF file. A sweep that was stopped resumes when the "
        "command is repeated. Settings that are not given are those of the experiment.",
        epilog="A grid of your own: --axis width 50 100 200 --axis dropout 0 0.1 0.2",
    )
    noises = ", ".join(noise for noise, _ in experiments.PHASE_DIAGRAMS)
    command.add_argument("experiment", nargs="?", help=noises)
    command.add_argument("--profile", default="paper", help="smoke, quick or paper (the default)")
    command.add_argument(
        "--axis",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "LEVEL"),
        help="twice, in place of an experiment; " + ", ".join(experiments.PARAMETERS),
    )
    for setting in _add_settings(command):
        setting.default = argparse.SUPPRESS
    running = command.add_argument_group("running")
    running.add_argument("--out", type=Path, metavar="FILE.nc", help="write the results here")
    running.add_argument("--workers", type=int, help="processes; default: threads of this one")
    running.add_argument("--shard-size", type=int, default=SHARD_SIZE, help="networks per shard")
    running.add_argument("--no-resume", action="store_true", help="start over, replacing FILE.nc")
    running.add_argument("--dry-run", action="store_true", help="only say how long it would take")
    return command


def _add_report(commands: Any) -> ArgumentParser:
    command: ArgumentParser = _add(
        commands,
        "report",
        run_report,
        "map the loads of a saved model, layer by layer",
        ", with intervals, and say what stands out. The model's class is imported and called, so "
        "use your own; the checkpoint may be anybody's.",
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    command.add_argument("model", metavar="package.module:Name", help="class or function")
    command.add_argument("checkpoint", type=Path, help="file with its state_dict")
    command.add_argument("--arguments", metavar="JSON", help='for the call, such as {"width": 50}')
    command.add_argument("--train", type=Path, metavar="FILE.npz", help="images and labels")
    command.add_argument("--test", type=Path, metavar="FILE.npz", help="the same, unseen")
    command.add_argument("--dataset", choices=NAMES, help="instead of files")
    command.add_argument(
        "--layers", nargs="+", metavar="NAME", help="default: blocks or activations"
    )
    command.add_argument("--resamples", type=int, default=200, help="of the bootstrap")
    command.add_argument("--batch-size", type=int, default=512, help="images in a forward pass")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the map to this file")
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw the map to this file")
    return command


def _add_settings(command: ArgumentParser) -> list[argparse.Action]:
    """Add the settings of an experiment, under the names of `Experiment`'s arguments."""
    network = command.add_argument_group("network")
    training = command.add_argument_group("training")
    data = command.add_argument_group("data")
    return [
        network.add_argument("--hidden-layers", type=int, default=7),
        network.add_argument("--width", type=int, default=100, help="units of a hidden layer"),
        network.add_argument("--negative-slope", type=float, default=0.0, help="0 ReLU, 1 linear"),
        network.add_argument("--dropout", type=float, default=0.0, help="probability"),
        training.add_argument("--seeds", type=int, default=3, help="number of networks"),
        training.add_argument("--learning-rate", type=float, default=1e-3),
        training.add_argument("--batch-size", type=int, help="default: all training images"),
        training.add_argument("--data-noise", type=float, default=0.0),
        training.add_argument("--epochs", type=int, default=100),
        training.add_argument("--optimizer", choices=OPTIMIZERS, default="adam"),
        data.add_argument("--dataset", choices=NAMES, default="mnist"),
        data.add_argument("--train", type=int, default=2560, help="training images"),
        data.add_argument("--test", type=int, help="test images; default: all"),
        data.add_argument("--size", type=int, default=10, help="height and width in pixels"),
    ]


# Commands -------------------------------------------------------------------------------------


def run_load_curve(options: Namespace) -> None:
    """Train networks and print, write or plot their load curves."""
    from sbt_utils.data.datasets import load_data
    from sbt_utils.drawing import load_curves
    from sbt_utils.measuring.evaluation import evaluate
    from sbt_utils.training.networks import MLP
    from sbt_utils.training.trainer import train

    if options.seeds < 1:
        raise ValueError(f"seeds={options.seeds}: give at least 1")
    _check_outputs(options)
    options.device = _device(options.device)
    data = load_data(options.dataset, options.train, options.test, options.size)
    images = {"train": (data.train_images, data.train_labels)}
    images["test"] = (data.test_images, data.test_labels)
    inputs = data.train_images[0].numel()
    model = MLP(inputs, options.width, options.hidden_layers, data.classes)
    names = (*RANGES, "batch_size", "epochs", "optimizer", "device")
    settings: Any = {name: getattr(options, name) for name in names}
    trained = train(model, *images["train"], seeds=range(options.seeds), **settings)
    networks = list(trained.networks)
    measured = {part: evaluate(networks, *images[part], options.measure) for part in images}
    seeds = [
        {
            "seed": seed,
            "separation_train": measured["train"].separation[seed].values.tolist(),
            "separation_test": measured["test"].separation[seed].values.tolist(),
            "accuracy_test": measured["test"].accuracy[seed].item(),
        }
        for seed in range(options.seeds)
    ]
    if collapsed := [s["seed"] for s in seeds if not np.isfinite(s["separation_test"]).all()]:
        raise ValueError(f"seeds {collapsed} have collapsed, D is undefined: train more gently")
    curves = {part: LoadCurve(measured[part].separation.values) for part in images}
    named = {"training images": curves["train"], "test images": curves["test"]}
    shown = {k: v for k, v in vars(options).items() if k not in ("run", "json", "plot")}
    text = json.dumps({"configuration": shown, "seeds": seeds}, indent=1)
    _write(options, text, lambda: load_curves(named))
    print("layer      " + "".join(f"{layer:8d}" for layer in range(len(curves["train"].mean))))
    for seed in seeds:
        values = "".join(f"{value:8.3f}" for value in seed["separation_train"])
        print(f"D, seed {seed['seed']:<3d}{values}   test accuracy {seed['accuracy_test']:.2%}")
    for part, curve in curves.items():
        print(f"{part}: {curve.verdict}; r = {curve.linearity:.4f}")


def run_sweep(options: Namespace) -> None:
    """Train the networks of a phase diagram, or of a grid, and write their load curves."""
    from sbt_utils.sweeping.sweeps import sweep
    from sbt_utils.sweeping.tasks import plan
    from sbt_utils.sweeping.workers import LocalProcesses

    experiment = _experiment(options)
    device = _device(options.device)
    if options.dry_run:
        costs = plan(experiment, options.shard_size, device)
        print(f"{costs['networks']} networks in {costs['shards']} shards")
        print(f"{costs['operations']:.2g} floating-point operations in training")
        print(f"at most {timedelta(seconds=round(costs['seconds']))} on this machine")
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
    """Print, write or draw the stress map of a saved model."""
    from sbt_utils.data.datasets import load_data
    from sbt_utils.drawing import stress_map
    from sbt_utils.reporting.model_files import load_images, load_model
    from sbt_utils.reporting.stress_map import report
    from sbt_utils.training.settings import check_device

    _check_outputs(options)
    if bool(options.dataset) == bool(options.train):
        raise ValueError("train: give --train FILE.npz, or --dataset NAME in its place")
    if options.dataset and options.test:
        raise ValueError("test: --dataset brings its own test images; leave --test out")
    if options.dataset:
        data = load_data(options.dataset)
        parts: list[Any] = [(data.train_images, data.train_labels)]
        parts.append((data.test_images, data.test_labels))
    else:
        parts = [load_images(path) for path in (options.train, options.test) if path]
    device = _device(options.device)
    check_device(device)
    model = load_model(options.model, options.checkpoint, _arguments(options.arguments))
    try:
        stress = report(
            model.to(device),
            *parts,
            layers=options.layers,
            resamples=options.resamples,
            batch_size=options.batch_size,
        )
    except RuntimeError as error:  # the model's own
        shapes = " and ".join(str(tuple(images.shape)) for images, _ in parts)
        raise ValueError(
            f"model={options.model}: fails on images of shape {shapes} ({_with_notes(error)}); "
            "give images like those it was trained on"
        ) from error
    _write(options, stress.to_json(), lambda: stress_map(stress))
    print(stress)


def _with_notes(error: BaseException) -> str:
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


def _arguments(text: str | None) -> Any:
    """Return the arguments of a model from JSON."""
    try:
        arguments = None if text is None else json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"arguments={text!r}: not JSON ({error})") from None
    if not isinstance(arguments, (dict, list, type(None))):
        example = """'{"width": 50}'"""
        raise ValueError(f"arguments={text!r}: give an object or a list, such as {example}")
    return arguments


def _experiment(options: Namespace) -> experiments.Experiment:
    names = {field.name for field in fields(experiments.Experiment)} - {"axes"}
    settings = {name: value for name, value in vars(options).items() if name in names}
    if bool(options.experiment) == bool(options.axis):
        raise ValueError("experiment: name one, or give --axis twice")
    if options.experiment:
        return experiments.published(options.experiment, options.profile, **settings)
    axes = {name: [_level(name, level) for level in levels] for name, *levels in options.axis}
    return experiments.Experiment(axes, **settings)


def _level(name: str, text: str) -> float | int | str:
    """Return a level of an axis; `Experiment` refuses text where it needs a number."""
    kind = int if name in experiments.COUNTS else float if name in RANGES else str
    try:
        return kind(text)
    except ValueError:
        return text


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _check_outputs(options: Namespace) -> None:
    """Raise ValueError now, not after minutes of training, if a file cannot be written."""
    from matplotlib.figure import Figure

    suffixes = [f".{kind}" for kind in sorted(Figure().canvas.filetypes)]
    if options.plot and options.plot.suffix not in suffixes:
        raise ValueError(f"plot={options.plot}: end the name in one of {' '.join(suffixes)}")
    for name, path in (("json", options.json), ("plot", options.plot)):
        if path and path.is_dir():
            raise ValueError(f"{name}={path}: this is a folder; give the name of a file")
        if path and not path.parent.is_dir():
            raise ValueError(f"{name}={path}: there is no folder {path.parent}; make it first")


def _write(options: Namespace, text: str, draw: Callable[[], Any]) -> None:
    """Write the text to ``--json`` and the figure to ``--plot``, if they are given."""
    from sbt_utils.outputs import whole_file

    if options.json:
        with whole_file(options.json) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    if options.plot:
        with whole_file(options.plot) as temporary:
            draw().savefig(temporary, format=options.plot.suffix[1:])
