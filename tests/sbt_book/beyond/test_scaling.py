"""Laws of depth and width, against closed forms and other libraries."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from sbt_book.beyond.scaling import (
    chain_convexity,
    chains_of_depth,
    collapse,
    difference_interval,
    extrapolated,
    judged_numbers,
    number_words,
    shape_convexities,
)
from sbt_book.common.statistics import mean_interval

USUAL = {"hidden_layers": 7, "width": 100, "learning_rate": 1e-3}
USUAL |= {"hidden_scale": 1.0, "readout_scale": 1.0}


def shapes(curves):
    """Return a dataset of curves of several lengths, by their depth: lists of curves."""
    longest = max(curves) + 1
    seeds = max(map(len, curves.values()))
    values = np.full((len(curves), seeds, longest), np.nan)
    for row, (depth, found) in zip(values, curves.items(), strict=True):
        row[: len(found), : depth + 1] = found
    return xr.Dataset(
        {"separation_train": (("shape", "seed", "layer"), values)},
        {"hidden_layers": ("shape", list(curves))},
    )


def test_intervals_are_those_of_student_and_welch(rng):
    one, other = rng.normal(size=4), 1 + 2 * rng.normal(size=6)
    mean, *ends = mean_interval(np.append(one, np.nan))
    assert mean == pytest.approx(one.mean())
    expected = stats.ttest_1samp(one, 0).confidence_interval()
    np.testing.assert_allclose(ends, expected)
    mean, *ends = difference_interval(np.append(one, np.nan), other)
    assert mean == pytest.approx(one.mean() - other.mean())
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    np.testing.assert_allclose(ends, expected)


def test_curves_end_at_their_last_layer():
    parabola = {depth: [(1 - np.linspace(0, 1, depth + 1)) ** 2] for depth in (2, 5, 3)}
    parabola[5] *= 2
    found = shape_convexities(shapes(parabola))
    # Of (1 - u)^2 below its chord 1 - u: the mean of u (1 - u) over the inner layers.
    inner = {depth: np.arange(1, depth) / depth for depth in parabola}
    expected = [np.mean(u * (1 - u)) for u in inner.values()]
    np.testing.assert_allclose(found[:, 0], expected)
    assert np.isnan(found[0, 1])
    assert found[1, 1] == pytest.approx(expected[1])


def test_a_chain_at_rest_has_loads_that_grow_by_its_friction():
    # All blocks move: loads d_1 + (l - 1) mu, and with the end at 1 all L + 1 of them add up to 1.
    blocks, friction = 4, 0.02
    first = 1 / (blocks + 1) - blocks / 2 * friction
    loads = first + friction * np.arange(blocks)
    height = 1 - np.concatenate([[0], np.cumsum(loads)])
    chord = height[0] + (height[-1] - height[0]) * np.linspace(0, 1, blocks + 1)
    expected = np.mean((chord - height)[1:-1]) / (height[0] - height[-1])
    assert chain_convexity(blocks, friction) == pytest.approx(expected)
    assert expected < 0


def test_the_same_friction_makes_a_longer_chain_lazier():
    found = chains_of_depth(-0.1, (3, 7, 15))
    assert found[7] == pytest.approx(-0.1)
    assert found[3] > -0.1 > found[15]


def test_one_shape_at_any_depth_collapses_and_a_bend_that_grows_does_not(rng):
    def made(bend):
        curves = {}
        for depth in (4, 8, 16):
            u = np.linspace(0, 1, depth + 1)
            noise = 0.03 * rng.normal(size=(4, 1))
            curves[depth] = [1 - u + (bend * depth + n) * u * (1 - u) for n in noise]
        return shapes(curves)

    shares = [collapse(made(0.0), draws=200)[1] for _ in range(30)]
    # Chance: each share is as likely as any other.
    assert stats.kstest(shares, "uniform").pvalue > 1e-3
    apart, share = collapse(made(0.02), draws=200)
    assert apart > 10
    assert share < 0.01


def test_each_law_finds_itself(rng):
    widths = np.array([25, 50, 100, 200])
    for name, law in {"1 / width": 1 / widths, "log width": np.log(widths)}.items():
        known = dict(zip(widths.tolist(), -0.3 + 2 * law, strict=True))
        further = {"1 / width": 1 / 400, "log width": np.log(400)}[name]
        assert extrapolated(known, [400])[name].item() == pytest.approx(-0.3 + 2 * further)


@pytest.fixture
def bent():
    """Return shapes of known convexity: of each that is given, 0.01 less, as much, and more."""
    series = {
        ("depth", "hidden_layers"): {4: -0.1, 7: -0.2, 12: -0.3, 20: -0.4, 32: -0.45},
        ("depth, dropout", "hidden_layers"): {4: -0.05, 7: 0.0, 12: 0.15},
        ("width", "width"): {25: 0.0, 50: -0.1, 100: -0.2, 200: -0.25, 400: -0.28},
        ("width, rate", "width"): {25: 0.02, 50: -0.12, 100: -0.2, 200: -0.18},
        ("hidden scale", "hidden_scale"): {0.25: -0.1, 1.0: -0.2, 4.0: -0.3},
        ("rate", "learning_rate"): {4e-3: -0.11, 1e-3: -0.2, 2.5e-4: -0.33},
        ("readout scale", "readout_scale"): {0.25: -0.05, 1.0: -0.2, 4.0: -0.45},
    }
    rows, curves = [], []
    for (name, setting), bends in series.items():
        for value, bend in bends.items():
            row = USUAL | {"series": name, setting: value}
            u = np.linspace(0, 1, row["hidden_layers"] + 1)
            # The mean over the inner layers is how far the curve lies below its chord.
            bow = (u * (1 - u)) / (u * (1 - u))[1:-1].mean()
            found = [1 - u - (bend + shift) * bow for shift in (-0.01, 0.0, 0.01)]
            curves.append(np.pad(found, ((0, 0), (0, 33 - len(u))), constant_values=np.nan))
            rows.append(row)
    coordinates = {name: ("shape", [row[name] for row in rows]) for name in rows[0]}
    return xr.Dataset(
        {"separation_train": (("shape", "seed", "layer"), np.array(curves))}, coordinates
    )


def test_predictions_are_judged_by_the_networks_that_they_name(bent):
    chain = {4: -0.1, 7: -0.2, 12: -0.28, 20: -0.35, 32: -0.4}
    numbers = judged_numbers(bent, chain)
    half = stats.t.ppf(0.975, 2) * 0.01 / 3**0.5
    half_of_two = stats.t.ppf(0.975, 4) * 0.01 * (2 / 3) ** 0.5
    expected = {
        "depth, distance to the chain": (np.mean([0, 0.02, 0.05, 0.05]), None),
        "depth, distance to a collapse": (np.mean([0.1, 0.1, 0.2, 0.25]), None),
        "20 layers": (-0.4, half),
        "32 layers": (-0.45, half),
        "dropout, 12 layers less 4": (0.2, half_of_two),
        "dropout, 12 layers less 7": (0.15, half_of_two),
        "400 units": (-0.28, half),
        "range of widths, rate 0.001": (0.25, None),
        "range of widths, rate 0.1 / width": (0.22, None),
        "hidden weights × 1/4 less rate × 4": (0.01, half_of_two),
        "hidden weights × 4 less rate × 1/4": (0.03, half_of_two),
        "hidden weights × 1/4 less rate × 1/4": (0.23, half_of_two),
        "hidden weights × 4 less rate × 4": (-0.19, half_of_two),
        "read-out × 4 less × 1/4": (-0.4, half_of_two),
    }
    assert list(numbers.index) == list(expected)
    for name, (value, width) in expected.items():
        ends = (np.nan, np.nan) if width is None else (value - width, value + width)
        np.testing.assert_allclose(numbers.loc[name], [value, *ends], err_msg=name)
    words = number_words(numbers)
    assert words["400 units"] == "-0.280 (-0.305 to -0.255)"
    assert words["range of widths, rate 0.001"] == "0.250"
