"""What the commands share: the device that is meant, and the files that they write."""

import io
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sbt_utils.data.downloads import DatasetError, by_hand
from sbt_utils.outputs import check_outputs, is_of_another_kind, named, whole_file
from sbt_utils.text import shown


def device_named(name: str) -> str:
    """Return the name of the device to compute on; raise ValueError if it is not here."""
    import torch

    from sbt_utils.training.settings import check_device

    return check_device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def check_files(options: Namespace, **inputs: Any) -> None:
    """Raise ValueError now, not after minutes of training, if a file must not be written."""
    with suppress(DatasetError):  # told to those who read data from there
        inputs |= by_hand()
    check_outputs({"json": options.json, "plot": options.plot}, inputs)
    if options.json and is_of_another_kind(options.json, b"{"):
        raise ValueError(
            f"json={named(options.json)}: there is a file that is not JSON; give another name"
        )
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


@contextmanager
def written(options: Namespace, text: str, draw: Callable[[], Any]) -> Iterator[None]:
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


def with_notes(error: BaseException) -> str:
    """Return the message of an error, and what was noted about it on its way."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])
