"""Films for a page: animated GIFs, and what plays them when a reader asks for it."""

import base64
import html
import io
from collections.abc import Callable

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


def gif(figure: Figure, show: Callable[[int], None], frames: int, seconds: float) -> bytes:
    """Return an endless animated GIF of a figure, drawn after each call of `show` with 0, 1, ...

    The last frame stays for a second.
    """
    canvas, pictures = FigureCanvasAgg(figure), []
    for number in range(frames):
        show(number)
        canvas.draw()
        if number == 0:
            figure.set_layout_engine("none")  # nothing may jump between frames
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    # One palette for all frames, without dithering: what stands still must not flicker.
    palette = pictures[-1].quantize(24)
    pictures = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in pictures]
    pause = [round(1000 * seconds / frames)] * (frames - 1) + [1000]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=pause, loop=0)
    return file.getvalue()


def player(film: bytes, words: str) -> str:
    """Return HTML that shows an animated GIF when it is opened, and stops it when it is closed.

    Nothing moves on a page unless a reader asks for it, by mouse, finger or keyboard. `words`, the
    line to open it by and its alternative text, say what it shows.

    Examples
    --------
    >>> player(b"GIF89a", "A slow pull")[:52]
    '<details class="film"><summary>A slow pull</summary>'
    """
    words, data = html.escape(words), base64.b64encode(film).decode()
    picture = f'<img src="data:image/gif;base64,{data}" alt="{words}" style="max-width: 100%">'
    return f'<details class="film"><summary>{words}</summary>{picture}</details>'
