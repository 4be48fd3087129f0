"""What the tests of the figures share."""

import io

import numpy as np
from matplotlib.figure import Figure


def drawn(figure):
    """Return a figure after having it drawn, as the book and the command line do."""
    assert isinstance(figure, Figure)
    for kind, magic in (("png", b"\x89PNG\r\n"), ("svg", b"<?xml")):
        file = io.BytesIO()
        figure.savefig(file, format=kind)
        assert file.getvalue().startswith(magic)
    return figure


def band(collection):
    """Return the lower and upper edge of a band over l = 0, 1, ..."""
    x, y = collection.get_paths()[0].vertices.T
    layers = range(round(x.max()) + 1)
    edges = [[extreme(y[x == layer]) for layer in layers] for extreme in (min, max)]
    return np.array(edges)


def legend_of(drawing):
    """Return the words in the legend of axes, or in the first one of a figure."""
    legend = drawing.legends[0] if isinstance(drawing, Figure) else drawing.get_legend()
    return [text.get_text() for text in legend.get_texts()]


def frames_of(gif):
    """Return the frames of a film in shades of grey, and for how many ms each of them stands."""
    frames, pauses = [], []
    for number in range(gif.n_frames):
        gif.seek(number)
        pauses.append(gif.info["duration"])
        frames.append(np.asarray(gif.convert("L"), int))
    return frames, pauses
