"""The command line, ``sbt-utils``: load curves, sweeps and reports.

Help must appear at once: PyTorch, xarray and matplotlib are imported by the commands that use them.
"""

import io
import json
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import fields
from datetime import timedelta
from importlib import import_module
from typing import Any

import numpy as np

from sbt_utils.data.downloads import DatasetError, by_hand
from sbt_utils.measuring.curves import LoadCurve
from sbt_utils.options import parser
from sbt_utils.outputs import check_outputs, named, whole_file
from sbt_utils.sweeping import experiments
from sbt_utils.sweeping.shards import SweepError
from sbt_utils.text import printable, quoted, shown
from sbt_utils.training.ranges import RANGES


def main(
    arguments: Sequence[str] | None = None,
    program: str = "sbt-utils",
    imported: Callable[[], Any] = lambda: None,
) -> int:
    """Run a command and return the exit status: 0, 2 for a fault in the input, 130 for Ctrl-C.

    `arguments` replace those of the process; `program` is its name in messages. `imported` is
    called when a command has imported what takes long, and is about to work.

    >>> main(["load-curve", "--epochs", "0"])
    2
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller; it gets the lowest number, so no file does
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals that lack α
    commands = {"load-curve": run_load_curve, "sweep": run_sweep, "report": run_report}
    try:
        options = parser(program).parse_args(arguments)
        if "run" in options:
            import_module("sbt_utils.training.trainer")  # and with it PyTorch and xarray
            imported()
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_: _complain(
                    f"{program}: warning: {printable(str(message))}"
                )
                commands[options.run](options)
        else:
            parser(program).print_help()
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        kept = getattr(stop, "__notes__", ["nothing is kept"])
        _complain(f"{program}: {'; '.join(['interrupted', *kept])}")
        return 130
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        _complain(f"{program}: error: {_explained(error)}")
        if isinstance(error, BrokenPipeError):
            _close_output()
        return 2
    return 0


def _complain(text: str) -> None:
    with suppress(OSError):  # nobody reads it; the exit status is left
        print(text, file=sys.stderr)


def _explained(error: Exception) -> str:
    """Return what to tell about an error, in a line where it is not our own."""
    if isinstance(error, ValueError | TypeError | OSError | DatasetError | SweepError):
        return printable(_with_notes(error))
    text = shown(str(error).strip().partition("\n")[0], 300)
    if isinstance(error, MemoryError) or "alloc" in text or "out of memory" in text:
        return f"out of memory ({text}); ask for less: smaller numbers, or a smaller --shard-size"
    return f"{type(error).__name__}: {text}; `python -X dev -m sbt_utils ...` shows where"


def _close_output() -> None:
    """Send what is left to print nowhere: nobody reads it, and Python would complain at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_load_curve(options: Namespace) -> None:
    """Train networks and print, write or plot their load curves."""
    from sbt_utils.data.datasets import load_data
    from sbt_utils.drawing import load_curves
    from sbt_utils.measuring.evaluation import evaluate
    from sbt_utils.training.networks import MLP
    from sbt_utils.training.trainer import train

    if not 1 <= options.seeds <= experiments.MOST_NETWORKS:
        raise ValueError(
            f"seeds={options.seeds}: give at least 1 and at most {experiments.MOST_NETWORKS}"
        )
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
    separation = {part: measured[part].separation.values for part in images}
    sound = np.isfinite(np.hstack(list(separation.values()))).all(1)
    if not sound.any():
        raise ValueError(
            f"seeds {list(range(options.seeds))} have collapsed, D is undefined: train more gently"
        )
    seeds = [
        {
            "seed": seed,
            "separation_train": _numbers(separation["train"][seed]),
            "separation_test": _numbers(separation["test"][seed]),
            "accuracy_test": measured["test"].accuracy[seed].item(),
        }
        for seed in range(options.seeds)
    ]
    curves = {part: LoadCurve(separation[part][sound]) for part in images}
    named = {"training images": curves["train"], "test images": curves["test"]}
    left_out = ("run", "json", "plot")
    configuration = {k: v for k, v in vars(options).items() if k not in left_out}
    text = json.dumps({"configuration": configuration, "seeds": seeds}, indent=1)
    with _written(options, text, lambda: load_curves(named)):
        _print_curves(seeds, sound, curves)


def _print_curves(
    seeds: list[dict[str, Any]], sound: np.ndarray, curves: dict[str, LoadCurve]
) -> None:
    """Print a line for each seed, and what the curves of those that are sound have in common."""
    print("layer      " + "".join(f"{layer:8d}" for layer in range(len(curves["train"].mean))))
    for seed in seeds:
        numbers = (np.nan if value is None else value for value in seed["separation_train"])
        values = "".join(f"{value:8.3f}" for value in numbers)
        print(f"D, seed {seed['seed']:<3d}{values}   test accuracy {seed['accuracy_test']:.2%}")
    if not sound.all():
        collapsed = np.flatnonzero(~sound).tolist()
        print(f"seeds {collapsed} have collapsed and are left out of what follows")
    for part, curve in curves.items():
        print(f"{part}: {curve.verdict}; r = {curve.linearity:.4f}")


def _numbers(curve: np.ndarray) -> list[float | None]:
    """Return a curve for JSON, which knows no nan."""
    return [float(value) if np.isfinite(value) else None for value in curve]


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
    if differing := diagram.attrs.get("shards_differ_in"):
        print(f"its shards were not all made alike: {shown(differing, 1000)}")


def run_report(options: Namespace) -> None:
    """Print, write or draw the stress map of a saved model."""
    from sbt_utils.data.datasets import load_data
    from sbt_utils.drawing import stress_map
    from sbt_utils.reporting.model_files import load_images, load_model
    from sbt_utils.reporting.stress_map import report

    _check_outputs(options)
    if bool(options.dataset) == bool(options.train):
        raise ValueError("train: give --train FILE.npz, or --dataset NAME in its place")
    if options.dataset and options.test:
        raise ValueError("test: --dataset brings its own test images; leave --test out")
    for name in ("checkpoint", "train", "test"):
        path = getattr(options, name)
        if path and not path.exists():
            raise ValueError(f"{name}={shown(path, 200)}: there is no such file; give another")
    if options.dataset:
        data = load_data(options.dataset)
        parts: list[Any] = [(data.train_images, data.train_labels)]
        parts.append((data.test_images, data.test_labels))
    else:
        parts = [load_images(path) for path in (options.train, options.test) if path]
    device = _device(options.device)
    if not sys.flags.safe_path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # as `python -m` does; last, so that it hides no package
    model = load_model(options.model, options.checkpoint, _arguments(options.arguments))
    _check_outputs(options, **_code())
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
    with _written(options, stress.to_json(), lambda: stress_map(stress)):
        print(stress)


def _with_notes(error: BaseException) -> str:
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


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
    """Return the name of the device to compute on; raise ValueError if it is not here."""
    import torch

    from sbt_utils.training.settings import check_device

    return check_device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def _check_outputs(options: Namespace, **inputs: Any) -> None:
    """Raise ValueError now, not after minutes of training, if a file must not be written."""
    if options.run == "report":
        inputs |= {name: getattr(options, name) for name in ("checkpoint", "train", "test")}
    with suppress(DatasetError):  # told to those who read data from there
        inputs |= by_hand()
    check_outputs({"json": options.json, "plot": options.plot}, inputs)
    if options.plot:
        from matplotlib.figure import Figure

        figure, kind = Figure(), options.plot.suffix[1:]
        figure.text(0, 0, "D")  # some kinds need other programs for text
        if kind not in figure.canvas.filetypes:
            kinds = " ".join(f".{kind}" for kind in sorted(figure.canvas.filetypes))
            raise ValueError(f"plot={named(options.plot)}: end the name in one of {kinds}")
        try:
            figure.savefig(io.BytesIO(), format=kind)
        except Exception as error:
            reason = shown(str(error), 100)
            raise ValueError(
                f"plot={named(options.plot)}: cannot be drawn here ({reason}); end the name in "
                ".svg, .pdf or .png"
            ) from error


def _code() -> dict[str, Any]:
    """Return the files of all modules that are loaded: the model may be made of several."""
    modules = list(sys.modules.items())
    return {f"module {name}": getattr(module, "__file__", None) for name, module in modules}


@contextmanager
def _written(options: Namespace, text: str, draw: Callable[[], Any]) -> Iterator[None]:
    """Write the text to ``--json`` and the figure to ``--plot``, if given, before the block prints.

    A file that cannot be written costs neither the other nor what is printed.
    """
    faults = []
    try:
        if options.json:
            with whole_file(options.json) as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        faults.append(f"json={options.json}: cannot be written ({error.strerror})")
    try:
        if options.plot:
            with whole_file(options.plot) as temporary:
                draw().savefig(temporary, format=options.plot.suffix[1:])
    except Exception as error:  # matplotlib's own, too
        reason = getattr(error, "strerror", None) or shown(error, 100)
        faults.append(f"plot={options.plot}: cannot be written ({reason})")
    yield
    if faults:
        raise OSError(f"{'; '.join(faults)}; what was printed is whole")
