"""Vector graphics and CSV, and what is kept of the outputs of notebooks."""

import base64
import hashlib
import io
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sbt_book.pictures import as_csv, as_svg
from sbt_book.pictures.variants import keep, load_ipython_extension
from sbt_utils.drawing import STYLE

TABLE = pd.DataFrame({"r": [1 / 3, 0.1 + 0.2], "word": ["a, b", 'ü "c"']}, ["one", "two"])


def figure_of(points):
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6))
        for axes in figure.subplots(1, 2):
            axes.scatter(*np.random.default_rng(0).normal(size=(2, points)), label="points")
            axes.set(title="points", xlabel="x")
    return figure


def test_a_vector_graphic_holds_no_script_and_no_date_and_is_always_the_same():
    text = as_svg(figure_of(20))
    tree = ET.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert "path" in names
    assert not names & {"script", "image", "date", "foreignObject"}
    assert text == as_svg(figure_of(20))


def test_many_points_become_a_picture_within_it():
    text = as_svg(figure_of(50_000))
    assert len(text) < 300_000
    assert sum(element.tag.endswith("}image") for element in ET.fromstring(text).iter()) == 2


def test_many_points_stay_points_in_the_figure_itself():
    figure = figure_of(50_000)
    as_svg(figure)
    assert not any(axes.collections[0].get_rasterized() for axes in figure.axes)


def read(text, **options):
    return pd.read_csv(io.StringIO(text), **options)


def test_a_table_comes_back_from_its_csv():
    assert str(0.1 + 0.2) in as_csv(TABLE)
    pd.testing.assert_frame_equal(read(as_csv(TABLE), index_col=0), TABLE, rtol=1e-14)
    styler = TABLE.style.format(precision=2)
    assert as_csv(styler) == as_csv(TABLE)


def test_what_a_page_hides_is_not_in_the_csv():
    shown = TABLE.style.hide(axis="index").hide(["word"], axis="columns")
    pd.testing.assert_frame_equal(read(as_csv(shown)), TABLE[["r"]].reset_index(drop=True))


class Shell:
    """What an extension needs of IPython."""

    class display_formatter:
        @staticmethod
        def format(shown, include=None, exclude=None):
            if isinstance(shown, Figure):
                file = io.BytesIO()
                shown.savefig(file)
                return {"image/png": base64.b64encode(file.getvalue()).decode()}, {"of": "png"}
            html = getattr(shown, "to_html", str)()
            return {"text/html": html}, {}


def test_what_is_shown_is_kept_by_the_digest_of_its_output(tmp_path, monkeypatch):
    monkeypatch.setenv("SBT_VARIANTS", str(tmp_path / "variants"))
    load_ipython_extension(Shell)
    data, metadata = Shell.display_formatter.format(figure_of(20))
    assert (set(data), metadata) == ({"image/png"}, {"of": "png"})
    name = hashlib.sha256(base64.b64decode(data["image/png"])).hexdigest()
    files = tmp_path / "variants"
    assert {file.name for file in files.iterdir()} == {f"{name}.svg", f"{name}-narrow.png"}
    with Image.open(files / f"{name}-narrow.png") as narrow:
        assert narrow.height > narrow.width
    data, _ = Shell.display_formatter.format(TABLE.style.set_uuid("one"))
    name = hashlib.sha256(data["text/html"].encode()).hexdigest()
    text = (files / f"{name}.csv").read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(read(text, index_col=0), TABLE)


@pytest.mark.parametrize("shown", [3, "text", Figure(), TABLE])
def test_what_is_no_picture_or_table_of_a_page_is_not_kept(tmp_path, shown):
    keep(shown, {"text/plain": "3"}, tmp_path)
    assert not list(tmp_path.iterdir())
