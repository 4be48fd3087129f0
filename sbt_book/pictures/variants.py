"""Files that pages offer beside their figures and tables, written while notebooks run.

An extension of IPython, which `make` loads; without it nothing is written. The folder that
SBT_VARIANTS names then holds, for each picture and each table in the notebooks' outputs, by the
SHA-256 of what is there: `.svg` and, where it can be narrowed, `-narrow.png`; `.csv`.
"""

import base64
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas.io.formats.style import Styler

from sbt_book.pictures.narrowing import copied, narrowed

DOTS = 120
"""Dots in an inch of a narrow picture, which then weighs what the wide one does."""

DENSE = 3000
"""More points than these are a picture within a vector graphic, which would weigh megabytes."""


def load_ipython_extension(shell: Any) -> None:
    """Write variants of whatever the shell shows from now on."""
    folder, whole = Path(os.environ["SBT_VARIANTS"]), shell.display_formatter.format

    def format_and_keep(shown: Any, *included: Any, **options: Any) -> Any:
        data, metadata = whole(shown, *included, **options)
        keep(shown, data, folder)
        return data, metadata

    shell.display_formatter.format = format_and_keep


def keep(shown: Any, data: dict[str, Any], folder: Path) -> None:
    """Write the variants of a figure or a table, of which `data` is shown, into a folder."""
    if isinstance(shown, Figure) and "image/png" in data:
        name = hashlib.sha256(base64.b64decode(data["image/png"])).hexdigest()
        write_variants(shown, folder / name)
    elif isinstance(shown, Styler | pd.DataFrame) and "text/html" in data:
        name = hashlib.sha256(data["text/html"].encode()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.csv").write_text(as_csv(shown), encoding="utf-8")


def write_variants(figure: Figure, path: Path) -> None:
    """Write `path`.svg and, where the figure can be narrowed, `path`-narrow.png."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.svg").write_text(as_svg(figure), encoding="utf-8")
    if narrow := narrowed(figure):
        path = path.with_name(f"{path.name}-narrow.png")
        narrow.savefig(path, dpi=DOTS, bbox_inches="tight")


def as_svg(figure: Figure) -> str:
    """Return a figure as a vector graphic that is always the same; what is dense is a picture."""
    figure = copied(figure) or figure
    for artist in figure.findobj(lambda artist: _points(artist) > DENSE):
        artist.set_rasterized(True)
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "sbt"}):
        about = {"Date": None}
        figure.savefig(file, format="svg", dpi=150, bbox_inches="tight", metadata=about)
    return file.getvalue()


def as_csv(table: Styler | pd.DataFrame) -> str:
    """Return a table as comma-separated values, in full precision, without what a page hides."""
    if isinstance(table, pd.DataFrame):
        return table.to_csv(lineterminator="\n")
    shown = table.data.iloc[
        :, [i for i in range(table.data.shape[1]) if i not in table.hidden_columns]
    ]
    return shown.to_csv(index=not all(table.hide_index_), lineterminator="\n")


def _points(artist: Any) -> int:
    """Return how many points a vector graphic would store for an artist."""
    if isinstance(artist, Line2D):
        return np.size(artist.get_xdata())
    if isinstance(artist, PathCollection):
        return len(np.atleast_2d(artist.get_offsets()))
    if isinstance(artist, LineCollection):
        return sum(map(len, artist.get_segments()))
    colours = artist.get_array() if isinstance(artist, QuadMesh) else None
    return 0 if colours is None else colours.size
