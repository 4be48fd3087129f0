"""The command line: ``python -m sbt_utils``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sbt_utils.commands import run_load_curves, run_report, run_sweep
from sbt_utils.data import datasets
from sbt_utils.measuring.separation import MEASURES
from sbt_utils.sweeping.experiments import PARAMETERS, PHASE_DIAGRAMS
from sbt_utils.sweeping.shards import SHARD_SIZE
from sbt_utils.sweeping.sweeps import SweepError
from sbt_utils.training.ranges import OPTIMIZERS


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
    command.set_defaults(run=run_load_curves)
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
    command.set_defaults(run=run_sweep)
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

    text = "map the loads of a saved model, layer by layer"
    command = commands.add_parser(
        "report",
        help=text,
        description=f"{text.capitalize()}, with intervals, and say what stands out. The model's "
        "class is imported and called, so it has to be yours; the checkpoint may be anybody's.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.set_defaults(run=run_report)
    command.add_argument("model", metavar="package.module:Name", help="class or function")
    command.add_argument("checkpoint", type=Path, help="file with its state_dict")
    command.add_argument("--arguments", metavar="JSON", help='for the call, such as {"width": 50}')
    command.add_argument("--train", type=Path, metavar="FILE.npz", help="images, labels")
    command.add_argument("--test", type=Path, metavar="FILE.npz", help="the same, unseen")
    command.add_argument("--dataset", metavar="NAME", help="in place of files: a data set here")
    command.add_argument(
        "--layers", nargs="+", metavar="NAME", help="default: blocks, or activations"
    )
    command.add_argument("--resamples", type=int, default=200, help="of the bootstrap")
    command.add_argument("--batch-size", type=int, default=512, help="images in a forward pass")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the map here")
    command.add_argument("--plot", type=Path, metavar="FILE", help="draw the map here")
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


if __name__ == "__main__":
    sys.exit(main())
