"""What the prose of chapter 10 says in numbers is what the results say."""

import json
from pathlib import Path

import numpy as np
import pytest

from sbt_book.beyond import (
    DIRECTIONS,
    SEEDS,
    SERIES,
    chains_of_depth,
    collapse,
    diagrams_of,
    extrapolated,
    judged_numbers,
    measures_of,
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
def known():
    curves = load_committed("dropout").separation_train.sel(noise=0, slope=0)
    return convexity(curves).mean().item()


@pytest.fixture(scope="module")
def judged(known):
    shapes, chain = load_committed("shapes"), chains_of_depth(known, (4, 7, 12, 20, 32))
    assert shapes.sizes["seed"] == 10
    return {name: judged_numbers(shapes.isel(seed=each), chain) for name, each in SEEDS.items()}


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


def test_noise_of_the_weights_draws_curves_together(prose):
    shaken = load_committed("weight_noise").rename(weight_noise="noise", negative_slope="slope")
    curves = shaken.separation_train
    assert curves.sizes["seed"] == 10
    mean = convexity(curves.mean("seed"))
    relu = mean.sel(slope=0)
    assert f"from {relu.sel(noise=0):.2f} to {relu.sel(noise=0.2):.2f} at" in prose
    assert (np.diff(mean.sel(slope=1).transpose("noise")) < 0).all()
    ends = mean.sel(noise=0.4)
    assert f"lie between {ends.min():.2f} and {ends.max():.2f}" in prose
    fall = (curves.isel(layer=0) - curves.isel(layer=-1)).mean("seed").sel(slope=0)
    assert fall.sel(noise=0.4) / fall.sel(noise=0) == pytest.approx(0.11, abs=0.01)  # "a tenth"
    accuracy = 100 * shaken.accuracy_test.mean("seed").sel(slope=0)
    assert f"{accuracy.sel(noise=0.4):.0f} % of the test images instead of" in prose
    assert f"instead of {accuracy.sel(noise=0):.0f} %" in prose


def test_one_direction_of_weight_noise_failed(prose):
    shaken = load_committed("weight_noise").rename(weight_noise="noise", negative_slope="slope")
    some = shaken.separation_train.sel(noise=[0, 0.05, 0.1], slope=[0, 0.4, 0.8])
    table = vote_table(
        {seeds: shaken.separation_train.isel(seed=each) for seeds, each in SEEDS.items()}
        | {"learning": some.isel(seed=SEEDS["seven new"])}
    )
    noise, slope = (table.xs(direction, level=1) for direction in DIRECTIONS)
    assert f'less convex" has {100 * slope.votes["all ten"]:.0f} % of the votes' in prose
    assert f"with three seeds it had {100 * slope.votes['three seeds']:.0f} %" in prose
    assert f'more convex" has {100 * noise.votes["all ten"]:.0f} %' in prose
    assert slope.votes["three seeds"] < 0.8 <= slope.votes["all ten"]
    assert slope.low["all ten"] > slope.chance["all ten"]
    assert noise.votes["all ten"] < min(0.8, noise.chance["all ten"])
    learning = table.loc["learning"]
    assert (learning.votes == 1).all()
    assert (learning.low > learning.chance).all()
    assert f"(100 %, chance {100 * learning.chance.iloc[0]:.0f})" in prose


def interval(row):
    return f"{row.low:.3f} to {row.high:.3f}"


def test_depths_against_the_chain_and_a_collapse(prose, series, known, judged):
    chain = chains_of_depth(known, (4, 7, 12, 20, 32))
    words = f"{chain[4]:.3f}, {chain[12]:.3f}, {chain[20]:.3f} and {chain[32]:.3f}"
    assert f"the published network, {known:.3f}, gives" in prose
    assert words in prose
    ten, new = judged["all ten"], judged["seven new"]
    nearer, flat = (
        ten.value[f"depth, distance to {rival}"] for rival in ("the chain", "a collapse")
    )
    assert f"it is {nearer:.3f} off on average, a collapse {flat:.3f}" in prose
    assert 0.05 < nearer < flat
    found = shape_table(series["depth"], "hidden_layers")
    apart = [abs(found.convexity[depth] - chain[depth]) for depth in (4, 12)]
    assert "off by {:.2f} (three seeds had said 0.05), at 12 by {:.2f}".format(*apart) in prose
    assert f"foretells to {max(apart):.2f} how lazy" in prose
    assert f"classify {100 * found.accuracy[20]:.0f} % of the unseen ones" in prose
    deep = new.loc[["20 layers", "32 layers"]]
    assert "as predicted**, with {:.3f} and {:.3f}".format(*deep.value) in prose
    assert (deep.high < -0.5).all()
    with_dropout = shape_table(series["depth, dropout"], "hidden_layers").loc[12]
    assert f"{with_dropout.convexity:.3f} ({interval(with_dropout)})" in prose
    than_4, than_7 = (new.loc[f"dropout, 12 layers less {depth}"] for depth in (4, 7))
    assert f"more convex than 4 by {than_4.value:.3f} ({interval(than_4)})" in prose
    assert f"than 7 by {than_7.value:.3f} ({interval(than_7)})" in prose
    assert min(than_4.low, than_7.low) > 0
    for name in ("depth", "depth, dropout"):
        assert collapse(series[name])[1] < 0.05


def test_neither_law_of_the_width_holds(prose, series, judged):
    known = {25: 0.016, 50: -0.109, 100: -0.167, 200: -0.207}
    laws = extrapolated(known, [400]).loc[400]
    assert f"a constant plus 1/width says {laws['1 / width']:.3f} at 400" in prose
    assert f"the logarithm of the width says {laws['log width']:.3f}" in prose
    widest, three = judged["all ten"].loc["400 units"], judged["three seeds"].loc["400 units"]
    words = f"{widest.value:.3f}, with an interval from {widest.low:.3f} to {widest.high:.3f}"
    assert words in prose
    words = f"With three seeds the interval, from {interval(three)}, had contained the"
    assert f"{words} {laws['1 / width']:.3f} of 1/width" in prose
    assert three.low < laws["1 / width"] < three.high
    for seeds in ("all ten", "seven new"):
        assert (laws < judged[seeds].low["400 units"]).all()
    apart = widest.value - laws
    assert f"by {apart['1 / width']:.3f} from the mean" in prose
    assert f"The logarithm is off by {apart['log width']:.3f}" in prose
    smaller = shape_table(series["width"], "width").convexity.loc[:200].to_dict()
    anew = extrapolated(smaller, [400])["1 / width"].item()
    assert f"1/width says {anew:.3f}, which is outside" in prose
    assert anew < widest.low


def test_the_rate_does_not_make_wide_networks_lazy(prose, judged):
    usual, scaled = (
        judged["all ten"].value[f"range of widths, rate {rate}"]
        for rate in ("0.001", "0.1 / width")
    )
    assert f"the range is {scaled:.3f} instead of {usual:.3f}" in prose
    assert scaled > usual / 2


def test_scales_of_initial_weights(prose, judged):
    ten, new = judged["all ten"], judged["seven new"]
    names = ["hidden weights × 1/4 less rate × 4", "hidden weights × 4 less rate × 1/4"]
    apart = ten.loc[names]
    reverse = ten.value[
        ["hidden weights × 1/4 less rate × 1/4", "hidden weights × 4 less rate × 4"]
    ]
    assert "{:.3f} and {:.3f} apart".format(*apart.value) in prose
    assert "is {:.3f} and {:.3f} off".format(*reverse.abs()) in prose
    assert apart.value.abs().max() <= 0.03 < reverse.abs().min()
    assert (apart.high < 0).all()
    assert f"that of the second, from {interval(apart.iloc[1])}," in prose
    assert f"the seven new seeds alone put it at {new.value[names[1]]:.3f}, and fail" in prose
    assert abs(new.value[names[1]]) > 0.03


def test_larger_readouts_make_lazier_curves(prose, series, judged):
    ten, new, three = (
        judged[seeds].loc["read-out × 4 less × 1/4"]
        for seeds in ("all ten", "seven new", "three seeds")
    )
    words = f"lazier by {-ten.value:.3f}, with an interval from {interval(ten)}"
    assert words in prose
    assert f"undecided ({three.low:.3f} to {three.high:+.3f})" in prose
    assert f"alone decide it ({interval(new)})" in prose
    assert max(ten.high, new.high) < 0 < three.high
    readout = shape_table(series["readout scale"], "readout_scale")
    assert f"falls by {readout.fall[4]:.1f} with the large" in prose
    assert f"by {readout.fall[0.25]:.1f} with the small" in prose
