"""Pictures of steered networks."""

import numpy as np
import pytest
import xarray as xr
from drawing import drawn, legend_of

from sbt_book.steering.figures import accuracy_against_dropout, steering_in_time

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")
ARMS = ["fixed 0", "fixed 0.1", "fixed 0.2", "steered", "replayed"]


@pytest.fixture
def compared(rng):
    names = ("dropout", "convexity", "accuracy_validation")
    read = {name: (("arm", "seed", "reading"), rng.random((5, 3, 4))) for name in names}
    tested = {"accuracy_test": (("arm", "seed"), rng.random((5, 3)))}
    coordinates = {"arm": ARMS, "seed": [0, 1, 2], "reading": [5, 10, 15, 18]}
    return xr.Dataset(read | tested, coordinates)


def test_dropout_is_drawn_in_its_segment_and_convexity_at_its_reading(compared):
    compared["convexity"][3, :, 0] = np.nan
    arms = {arm: compared.sel(arm=arm) for arm in ("steered", "replayed")}
    figure = drawn(steering_in_time(arms))
    assert legend_of(figure) == ["steered", "replayed"]
    above, below = figure.axes
    np.testing.assert_allclose(above.lines[0].get_xdata(), [2.5, 7.5, 12.5, 16.5])
    np.testing.assert_allclose(
        above.lines[1].get_ydata(), compared.dropout.sel(arm="replayed").mean("seed")
    )
    np.testing.assert_allclose(below.lines[0].get_xdata(), [5, 10, 15, 18])
    shown = below.lines[0].get_ydata()
    assert np.isnan(shown[0])
    np.testing.assert_allclose(shown[1:], compared.convexity[3, :, 1:].mean("seed"))


def test_every_arm_is_drawn_at_its_mean_dropout_and_the_chosen_one_ringed(compared):
    figure = drawn(accuracy_against_dropout({"one": compared, "two": compared}))
    assert legend_of(figure) == ["fixed dropout", "steered", "replayed"]
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    place = compared.dropout.mean(("seed", "reading"))
    tested = 100 * compared.accuracy_test.mean("seed")
    (line, *_), *others = figure.axes[0].containers
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([place[:3], tested[:3]]))
    for container, arm in zip(others, ("steered", "replayed"), strict=True):
        point = [float(each.sel(arm=arm)) for each in (place, tested)]
        np.testing.assert_allclose(container[0].get_xydata(), [point])
    final = compared.accuracy_validation[:3, :, -1].mean("seed").argmax("arm").item()
    ring = figure.axes[0].lines[-1]
    chosen = [float(each[final]) for each in (place, tested)]
    np.testing.assert_allclose(ring.get_xydata().astype(float), [chosen])
