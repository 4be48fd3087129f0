"""What the prose of chapter 10 says in numbers is what the results say."""

import json
from pathlib import Path

import numpy as np
import pytest

from sbt_book.beyond import (
    DIRECTIONS,
    SERIES,
    chains_of_depth,
    collapse,
    diagrams_of,
    difference_interval,
    extrapolated,
    measures_of,
    shape_convexities,
    shape_table,
    vote_table,
)
from sbt_book.common.committed import load_committed
from sbt_book.common.selections import convexity

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "10_beyond_the_diagram.ipynb"


@pytest.fixture(scope="module")
def prose():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return " ".join(" ".join("".join(cell["source"]) for cell in cells).split())


@pytest.fixture(scope="module")
def series():
    shapes = load_committed("shapes")
    return {name: shapes.isel(shape=shapes.series.values == name) for name in SERIES}


@pytest.fixture(scope="module")
def of_nonlinearity():
    kinds = measures_of(load_committed("directions"))
    table = vote_table(diagrams_of(kinds))
    return table[table.index.get_level_values(1) == DIRECTIONS[1]]


def test_restricted_measures_get_what_chance_gets(prose, of_nonlinearity):
    fail = ("data_noise", "learning_rate", "batch_size")

    def shares(kind):
        rows = [((kind, source), DIRECTIONS[1]) for source in fail]
        return of_nonlinearity.loc[rows]

    restricted = shares("trace, class directions")
    low, high = restricted.votes.min(), restricted.votes.max()
    assert f"the votes fall to between {100 * low:.0f} and {100 * high:.0f} %" in prose
    assert (restricted.votes <= restricted.chance).all()
    leading = shares("fuzziness, 1 direction").votes
    words = (
        f"the leading direction alone gets {100 * leading.min():.0f} to {100 * leading.max():.0f}"
    )
    assert words in prose
    assert (shares("trace").votes > shares("trace").chance).all()


def test_the_second_prediction(prose, of_nonlinearity):
    bound = of_nonlinearity.loc[[(("least fuzziness", "batch_size"), DIRECTIONS[1])]].iloc[0]
    within = of_nonlinearity.loc[[(("trace, class directions", "batch_size"), DIRECTIONS[1])]].iloc[
        0
    ]
    assert f"{100 * bound.votes:.0f} % for the bound" in prose
    assert bound.pairs == 8  # "eight pairs"
    assert f"{100 * within.votes:.0f} % for the ratio of traces in the nine" in prose
    assert bound.votes >= 0.8 > within.votes


def test_samples_are_enough():
    weakest = load_committed("directions").isel(direction=-1)
    assert (9 / 2560 * weakest.within / weakest.between).max() < 0.1


def test_scatter_elsewhere_is_the_work_of_linear_networks():
    kinds = measures_of(load_committed("directions"))
    falls = (kinds.isel(layer=0, drop=True) - kinds.isel(layer=-1, drop=True)).drop_vars("source")
    mean = falls.groupby("slope").mean()
    off = (1 - mean["trace, class directions"] / mean["trace"]).values
    assert (np.diff(off) > 0).all()
    assert off[0] < 0.1
    assert off[-1] == pytest.approx(0.9, abs=0.05)  # "nine tenths"


def test_noise_of_the_weights_straightens(prose):
    shaken = load_committed("weight_noise").rename(weight_noise="noise", negative_slope="slope")
    curves = shaken.separation_train
    mean = convexity(curves.mean("seed"))
    relu = mean.sel(slope=0)
    assert f"from a convexity of {relu.sel(noise=0):.2f} to {relu.sel(noise=0.2):.2f}" in prose
    assert (np.diff(mean.sel(slope=1).transpose("noise")) < 0).all()
    table = vote_table({"all": curves}, draws=400)
    assert (table.votes < 0.8).all()
    learning = curves.sel(noise=[0, 0.05, 0.1], slope=[0, 0.4, 0.8])
    assert (vote_table({"some": learning}, draws=10).votes == 1).all()
    fall = (curves.isel(layer=0) - curves.isel(layer=-1)).mean("seed").sel(slope=0)
    assert fall.sel(noise=0.4) / fall.sel(noise=0) == pytest.approx(0.1, abs=0.02)  # "a tenth"


def test_depths_against_the_chain_and_a_collapse(prose, series):
    known = convexity(load_committed("dropout").separation_train.sel(noise=0, slope=0))
    known = known.mean().item()
    chain = chains_of_depth(known, (4, 7, 12, 20, 32))
    words = f"{chain[4]:.3f}, {chain[12]:.3f}, {chain[20]:.3f} and {chain[32]:.3f}"
    assert f"the published network, {known:.3f}, gives" in prose
    assert words in prose
    found = shape_table(series["depth"], "hidden_layers")
    apart = {depth: abs(found.convexity[depth] - chain[depth]) for depth in (4, 12, 20, 32)}
    flat = np.mean([abs(found.convexity[depth] - known) for depth in apart])
    nearer = np.mean(list(apart.values()))
    assert f"it is {nearer:.3f} off on average, a collapse {flat:.3f}" in prose
    assert round(max(apart[4], apart[12]), 3) <= 0.05 < min(apart[20], apart[32])
    assert f"classify {100 * found.accuracy[20]:.0f} % of the unseen ones" in prose
    assert (found.high[[20, 32]] < -0.5).all()
    with_dropout = shape_table(series["depth, dropout"], "hidden_layers").loc[12]
    words = f"{with_dropout.convexity:.3f} ({with_dropout.low:.3f} to {with_dropout.high:.3f})"
    assert words in prose
    for name in ("depth", "depth, dropout"):
        assert collapse(series[name])[1] < 0.05


def test_widths_and_rates(prose, series):
    known = {25: 0.016, 50: -0.109, 100: -0.167, 200: -0.207}
    laws = extrapolated(known, [400]).loc[400]
    assert f"a constant plus 1/width says {laws['1 / width']:.3f} at 400" in prose
    assert f"the logarithm of the width says {laws['log width']:.3f}" in prose
    table = shape_table(series["width"], "width")
    widest = table.loc[400]
    words = f"{widest.convexity:.3f}, with an interval from {widest.low:.3f} to {widest.high:.3f}"
    assert words in prose
    assert laws["log width"] < widest.low < laws["1 / width"] < widest.high
    scaled = shape_table(series["width, rate"], "width").convexity
    usual = table.convexity.loc[:200]
    ranges = [np.ptp(scaled.to_numpy()), np.ptp(usual.to_numpy())]
    assert "range as it was, {:.3f} instead of {:.3f}".format(*ranges) in prose


def test_scales_of_initial_weights(prose, series):
    hidden = shape_table(series["hidden scale"], "hidden_scale").convexity
    rates = shape_table(series["rate"], "learning_rate").convexity
    apart = [hidden[scale] - rates[1e-3 / scale] for scale in (0.25, 4)]
    reverse = [hidden[scale] - rates[1e-3 * scale] for scale in (0.25, 4)]
    assert "{:.3f} and {:.3f} apart".format(*apart) in prose
    assert "is {:.3f} and {:.3f} off".format(*np.abs(reverse)) in prose
    assert max(np.abs(apart)) <= 0.03 < min(np.abs(reverse))
    readout = shape_table(series["readout scale"], "readout_scale")
    large, small = (shape_convexities(series["readout scale"])[place].values for place in (2, 0))
    mean, low, high = difference_interval(large, small)
    words = f"lazier by {-mean:.3f}, but the interval of three seeds reaches from {low:.3f}"
    assert f"{words} to {high:+.3f}" in prose
    assert f"falls by {readout.fall[4]:.1f} with the large" in prose
    assert f"by {readout.fall[0.25]:.1f} with the small" in prose
