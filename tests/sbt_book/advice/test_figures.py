"""Pictures of rates and of predictors: what they show is what they were given."""

from pathlib import Path

import numpy as np
import pytest
from drawing import drawn

from sbt_book.advice.figures import findings_by_condition, predictors_by_kind
from sbt_book.advice.found_by_map import raised_by_condition
from sbt_book.advice.removal_ranks import rank_table
from sbt_utils.results import load

pytestmark = pytest.mark.usefixtures("matplotlib_untouched")
RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def networks():
    found = load(RESULTS / "advice.nc").load()
    return found.isel(network=found.kind.isin(["MLP", "mixer", "residual network"]).values)


def test_each_number_stands_in_its_row_and_column(networks):
    (axes,) = drawn(findings_by_condition(networks)).axes
    parts = raised_by_condition(networks)
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == parts.columns[parts.max() > 0].tolist()
    assert [label.get_text() for label in axes.get_yticklabels()] == parts.index.tolist()
    written = np.zeros((len(parts), len(columns)))
    for text in axes.texts:
        column, row = text.get_position()
        written[row, column] = float(text.get_text()) / 100
    np.testing.assert_allclose(written, parts[columns], atol=0.005)


def test_predictors_have_a_point_for_each_kind_and_a_mean(networks):
    ranks = rank_table(networks)
    figure = drawn(predictors_by_kind(ranks))
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert ranks.loc["all", names].is_monotonic_increasing
    points = {line.get_label(): line for line in axes.lines[1:]}
    assert set(points) == set(ranks.index) - {"all"}
    for kind, line in points.items():
        np.testing.assert_allclose(line.get_xdata().astype(float), ranks.loc[kind, names])
        assert np.abs(line.get_ydata() - np.arange(len(names))).max() < 0.5
    for name, bar in zip(names, axes.patches, strict=True):
        ends = bar.get_x(), bar.get_x() + bar.get_width()
        np.testing.assert_allclose(ends, ranks.loc["all", [f"{name}_low", f"{name}_high"]])
