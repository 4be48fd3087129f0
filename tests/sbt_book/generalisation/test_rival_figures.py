"""The figure of the rivals."""

import numpy as np
import pytest
import xarray as xr
from drawing import drawn, legend_of

from sbt_book.generalisation.rival_figures import orders
from sbt_book.generalisation.rival_scores import NAMES

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")


def test_a_row_for_each_measure_and_a_mark_for_each_share(rng):
    shape = (2, len(NAMES))
    low, value, high = np.sort(rng.uniform(-1, 1, size=(3, *shape)), axis=0)
    columns = {"low": low, "value": value, "high": high}
    table = xr.Dataset(
        {name: (("share", "measure"), values) for name, values in columns.items()},
        {"share": [0.1, 1.0], "measure": list(NAMES)},
    )
    twins = table.where(table.measure != "less noise")
    figure = drawn(orders({"settings": table, "twins": twins}))
    assert legend_of(figure) == ["after 10% of the training", "after 100% of the training"]
    for axes, shown in zip(figure.axes, (table, twins.isel(measure=slice(-1))), strict=True):
        names = [NAMES[name] for name in shown.measure.values]
        assert [text.get_text() for text in axes.get_yticklabels()] == names
        for bars, share in zip(axes.containers, (0.1, 1.0), strict=True):
            line, _, (stems,) = bars
            here = shown.sel(share=share)
            assert line.get_xdata() == pytest.approx(here.value.values)
            assert np.round(line.get_ydata()).tolist() == list(range(len(names)))
            ends = np.array([stem[:, 0] for stem in stems.get_segments()])
            assert ends == pytest.approx(np.stack([here.low, here.high], axis=1))
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert dashed[0].get_xdata()[0] == value[1, -1]
    assert not [line for line in figure.axes[1].lines if line.get_linestyle() == "--"]
