"""The command line, ``sbt-utils``: load curves, sweeps and reports.

Help must appear at once: PyTorch, xarray and matplotlib are imported by the commands that use them.
"""

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from sbt_utils.commands import load_curve, report, sweep
from sbt_utils.commands.files import with_notes
from sbt_utils.data.downloads import DatasetError
from sbt_utils.options import parser
from sbt_utils.sweeping.shards import SweepError
from sbt_utils.text import printable, shown


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
    commands = {"load-curve": load_curve.run, "sweep": sweep.run, "report": report.run}
    try:
        options = parser(program).parse_args(arguments)
        _check_given(vars(options))
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


def _check_given(options: dict[str, Any]) -> None:
    """Raise ValueError for an option without a value: argparse makes [] of ``--layers=--``."""
    for name, value in options.items():
        values = value if name == "axis" else [value]  # each time that it is given
        if [] in values:
            raise ValueError(f"{name}: no value given; write --{name.replace('_', '-')} VALUE")


def _complain(text: str) -> None:
    with suppress(OSError):  # nobody reads it; the exit status is left
        print(text, file=sys.stderr)


def _explained(error: Exception) -> str:
    """Return what to tell about an error, in a line where it is not our own."""
    if isinstance(
        error, ValueError | TypeError | OSError | ImportError | DatasetError | SweepError
    ):
        return printable(with_notes(error))
    text = shown(str(error).strip().partition("\n")[0], 300)
    if isinstance(error, MemoryError) or "alloc" in text or "out of memory" in text:
        return f"out of memory ({text}); ask for less: smaller numbers, or a smaller --shard-size"
    return f"{type(error).__name__}: {text}; `python -X dev -m sbt_utils ...` shows where"


def _close_output() -> None:
    """Send what is left to print nowhere: nobody reads it, and Python would complain at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
