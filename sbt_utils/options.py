"""The options of the command line. Nothing here loads PyTorch: help must appear at once."""

import argparse
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from pathlib import Path
from typing import Any, NoReturn

from sbt_utils.data.downloads import NAMES
from sbt_utils.measuring.curves import MEASURES
from sbt_utils.sweeping import experiments
from sbt_utils.sweeping.shards import SHARD_SIZE
from sbt_utils.text import shown
from sbt_utils.training.ranges import OPTIMIZERS

POOLS = ("mean", "cls", "last")  # as in models/pools.py, which loads PyTorch


class _Defaults(ArgumentDefaultsHelpFormatter):
    """Help names the defaults that there are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class _Parser(ArgumentParser):
    """Whatever was typed is no message's length, and steers no terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(shown(message, 600))


def parser(program: str) -> ArgumentParser:
    """Return the parser; what it returns says which command to run, unless none is named."""
    all_commands = _Parser(program, description="Measure the load curves of neural networks.")
    commands = all_commands.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_add_load_curve, _add_sweep, _add_report):
        command = add(commands)
        command.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return all_commands


def _add(commands: Any, name: str, text: str, more: str, **settings: Any) -> Any:
    """Add a command: the list of commands shows `text`, its own help `text` and `more`."""
    command = commands.add_parser(name, help=text, description=text.capitalize() + more, **settings)
    command.set_defaults(run=name)
    return command


def _add_load_curve(commands: Any) -> ArgumentParser:
    command: ArgumentParser = _add(
        commands,
        "load-curve",
        "train networks and print, write or plot their load curves",
        ". The defaults are the published protocol.",
        formatter_class=_Defaults,
    )
    _add_settings(command)
    output = command.add_argument_group("output")
    output.add_argument("--measure", choices=MEASURES, default="trace", help="of data separation")
    output.add_argument("--json", type=_file, metavar="FILE", help="write the curves to this file")
    output.add_argument("--plot", type=_file, metavar="FILE", help="plot the curves to this file")
    return command


def _add_sweep(commands: Any) -> ArgumentParser:
    command: ArgumentParser = _add(
        commands,
        "sweep",
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
    running.add_argument("--out", type=_file, metavar="FILE.nc", help="write the results here")
    running.add_argument("--workers", type=int, help="processes; default: threads of this one")
    running.add_argument("--shard-size", type=int, default=SHARD_SIZE, help="networks per shard")
    running.add_argument("--no-resume", action="store_true", help="start over, replacing FILE.nc")
    running.add_argument("--dry-run", action="store_true", help="only say how long it would take")
    return command


def _add_report(commands: Any) -> ArgumentParser:
    command: ArgumentParser = _add(
        commands,
        "report",
        "map the loads of a saved model, layer by layer",
        ", with intervals, and say what stands out. The model's class is imported and called, so "
        "use your own; the checkpoint may be anybody's: nothing in it is run. Several checkpoints "
        "are compared with the first.",
        formatter_class=_Defaults,
    )
    command.add_argument("model", metavar="package.module:Name", help="class or function")
    command.add_argument(
        "checkpoint",
        type=_file,
        nargs="+",
        help="file of torch.save, safetensors or Lightning, or a folder of Hugging Face",
    )
    command.add_argument(
        "--weights",
        metavar="NAME",
        help="a key or a prefix in the checkpoint, such as ema, if several have the model's names",
    )
    command.add_argument("--arguments", metavar="JSON", help='for the call, such as {"width": 50}')
    command.add_argument(
        "--train",
        type=_file,
        metavar="FILE.npz",
        help="arrays images and labels; or, in place of images, the model's arguments by name, "
        "such as input_ids and attention_mask",
    )
    command.add_argument("--test", type=_file, metavar="FILE.npz", help="the same, unseen")
    command.add_argument("--dataset", choices=NAMES, help="instead of files")
    command.add_argument(
        "--layers", nargs="+", metavar="NAME", help="default: repeated blocks or activations"
    )
    command.add_argument(
        "--pool",
        choices=POOLS,
        help="over tokens; default: the mean of those that count where a mask says so, else none",
    )
    command.add_argument("--resamples", type=int, default=200, help="of the bootstrap")
    command.add_argument("--batch-size", type=int, default=512, help="inputs in a forward pass")
    command.add_argument("--json", type=_file, metavar="FILE", help="write the map to this file")
    command.add_argument("--plot", type=_file, metavar="FILE", help="draw the map to this file")
    return command


def _file(text: str) -> Path:
    """Return the path of a file that is named; without a name, it would be this folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; give that of a file")
    return Path(text)


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
        training.add_argument("--weight-noise", type=float, default=0.0),
        training.add_argument("--epochs", type=int, default=100),
        training.add_argument("--optimizer", choices=OPTIMIZERS, default="adam"),
        data.add_argument("--dataset", choices=NAMES, default="mnist"),
        data.add_argument("--train", type=int, default=2560, help="training images"),
        data.add_argument("--test", type=int, help="test images; default: all"),
        data.add_argument("--size", type=int, default=10, help="height and width in pixels"),
    ]
