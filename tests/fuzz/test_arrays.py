"""Arrays at random, of every type, shape, scale and make: measured right, or refused by name."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from exact_separation import exact_influence, real
from fuzzing import REFUSED, answer, tried
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_arrays import anything, as_type, check, problems, values

from sbt_utils.measuring.curves import MEASURES, LoadCurve, curve_statistics, scaled
from sbt_utils.measuring.scatter import ProjectedScatter, ScatterStatistics
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.bootstrap import SampledScatter, bootstrap

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:labels. class .* left out"),
]

MEASURE = st.sampled_from(MEASURES)


@tried(22)
@given(problem=problems(), measure=MEASURE)
def test_the_separation_of_any_features(problem, measure):
    before = repr(values(problem[0]))
    found = answer(lambda: data_separation(*problem, measure), "features", "labels")
    assert repr(values(problem[0])) == before
    check(found, *problem, measure)


@tried(6)
@given(problem=problems(forms=("as it is", "a tensor")), measure=MEASURE, data=st.data())
def test_batches_cut_anywhere(problem, measure, data):
    x, labels = problem
    count = len(labels)
    ends = data.draw(st.lists(st.integers(1, count - 1), max_size=4, unique=True)).copy()
    bounds = [0, *sorted(ends), count]

    def streamed():
        statistics = ScatterStatistics()
        for start, end in itertools.pairwise(bounds):
            statistics.update(x[start:end], labels[start:end])
        if measure == "fuzziness":
            statistics = ProjectedScatter(statistics)
            for start, end in reversed(list(itertools.pairwise(bounds))):
                statistics.update(x[start:end], labels[start:end])
        return statistics.separation

    check(answer(streamed, "features", "labels"), x, labels, measure)


@tried(5)
@given(seed=st.integers(0, 10**6), measure=MEASURE, power=st.integers(-900, 900))
def test_what_leaves_the_separation_as_it_is(seed, measure, power):
    rng = np.random.default_rng(seed)
    count, width, classes = rng.integers([60, 1, 2], [200, 300, 9])
    labels = rng.permutation(np.arange(count) % classes)
    x = rng.normal(size=(classes, width))[labels] + rng.normal(size=(count, width))
    expected = data_separation(x, labels, measure)
    order, other = rng.permutation(count), rng.permutation(classes) * 7
    turned = np.linalg.qr(rng.normal(size=(width, width)))[0]
    for features, names in [
        (x[order], labels[order]),
        (x, other[labels]),
        (x[:, rng.permutation(width)], labels),
        (x @ turned, labels),
        (np.column_stack([0.6 * x, -0.8 * x]), labels),
        (np.concatenate([x, x]), np.concatenate([labels, labels])),
    ]:
        found = data_separation(features, names, measure)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert data_separation(x * 2.0**power, labels, measure) == expected


@tried(14)
@given(
    x=anything | st.just(np.arange(12.0).reshape(6, 2) ** 2),
    labels=anything | st.just([0, 1, 0, 1, 2, 2]),
    measure=MEASURE | st.text(max_size=3) | st.none() | st.lists(MEASURE, max_size=1),
)
def test_what_may_be_no_array_at_all(x, labels, measure):
    found = answer(lambda: data_separation(x, labels, measure), "features", "labels", "measure")
    if found is not REFUSED:
        check(found, x, labels, measure)


# Load curves ----------------------------------------------------------------------------------


@st.composite
def curves(draw):
    """Draw D_0..D_L of one repeat or more, of any unit and offset."""
    shape = *draw(st.sampled_from([(), (1,), (2,), (5,)])), draw(st.integers(2, 7))
    cell = draw(st.sampled_from([st.integers(-3, 3), st.integers(-999, 999), st.floats(-1, 1)]))
    curve = draw(hnp.arrays(np.float64, shape, elements=cell.map(float), fill=st.nothing()))
    curve = (curve + draw(st.sampled_from([0, 0, 0, 1, -1e8]))) * 10.0 ** draw(
        st.just(0) | st.integers(-300, 298)
    )
    return as_type(curve, draw(st.sampled_from([*["float64"] * 5, "float32", ">f8", "int64"])))


def exact_shape(curve):
    """Return convexity, linearity and imbalance of a curve of Fractions, NaN where undefined."""
    points, fall = len(curve), curve[0] - curve[-1]
    convexity = imbalance = linearity = math.nan
    places = [Fraction(number, points - 1) for number in range(points)]
    if fall > 0:
        bulge = sum(curve[0] - fall * x - y for x, y in zip(places, curve, strict=True))
        convexity = float(real(bulge / (points - 2) / fall)) if points > 2 else math.nan
        loads = [(a - b) / fall * (points - 1) - 1 for a, b in itertools.pairwise(curve)]
        imbalance = float(mpmath.sqrt(real(sum(load**2 for load in loads) / len(loads))))
    x = [place - Fraction(1, 2) for place in places]
    y = [value - sum(curve) / points for value in curve]
    if any(y):
        with mpmath.workdps(50):
            product = sum(a * b for a, b in zip(x, y, strict=True))
            square = product**2 / (sum(a * a for a in x) * sum(b * b for b in y))
            linearity = math.copysign(math.sqrt(square), product)
    return {"convexity": convexity, "linearity": linearity, "imbalance": imbalance}


@tried(9)
@given(curve=curves())
def test_the_shape_of_any_load_curve(curve):
    before = curve.copy()
    made = answer(lambda: LoadCurve(curve), "separation")
    np.testing.assert_array_equal(curve, before)
    if made is REFUSED:
        assert not (np.abs(curve.astype(float)) < 1e300).all()
        return
    repeats = [[Fraction(float(value)) for value in row] for row in np.atleast_2d(curve)]
    mean = [sum(column) / len(repeats) for column in zip(*repeats, strict=True)]
    largest = max(abs(value) for row in repeats for value in row)
    near = {"rtol": 0, "atol": 2.0**-49 * float(largest)}
    np.testing.assert_allclose(made.mean, [float(value) for value in mean], **near)
    loads = [float(a - b) for a, b in itertools.pairwise(mean)]
    np.testing.assert_allclose(made.loads, loads, **near)
    if len(repeats) > 1:
        away = [[v - m for v, m in zip(row, mean, strict=True)] for row in repeats]
        squares = [sum(v**2 for v in c) / (len(repeats) - 1) for c in zip(*away, strict=True)]
        expected = [float(mpmath.sqrt(real(square))) for square in squares]
        np.testing.assert_allclose(made.spread, expected, **near)
    height, fall = max(mean) - min(mean), mean[0] - mean[-1]
    for name, exact in exact_shape(mean).items():
        base = abs(height if name == "linearity" else fall)
        # Rounding moves the points by a fraction of the largest.
        condition = float(real(largest / base)) if base else math.inf
        for found in (getattr(made, name), curve_statistics(made.mean, name)[()]):
            if condition < 2**40:
                assert found == pytest.approx(exact, abs=2.0**-46 * condition**2, nan_ok=True), name
    if largest and height / largest > 2.0**-40:
        expected = [float((value - min(mean)) / height) for value in mean]
        np.testing.assert_allclose(made.scaled, expected, atol=2.0**-46 * largest / height)
    assert made.verdict.startswith(made.regime)


@tried(8)
@given(
    curve=anything | curves(),
    layers=st.lists(st.text(max_size=2), max_size=3) | anything,
    name=st.sampled_from(["convexity", "linearity", "imbalance"]) | st.text(max_size=2) | st.none(),
)
def test_what_may_be_no_load_curve(curve, layers, name):
    made = answer(lambda: LoadCurve(curve, layers=layers), "separation", "layers")
    if made is not REFUSED:
        np.testing.assert_array_equal(made.separation, np.asarray(curve))
        assert made.layers in ((), tuple(layers))
    answer(lambda: scaled(curve), "curves")
    answer(lambda: curve_statistics(curve, name), "curves", "separation", "name")


# The bootstrap --------------------------------------------------------------------------------


@tried(6)
@given(problem=problems(forms=("as it is",)), batch=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_bootstrap_of_any_features(problem, batch, seed):
    x, labels = problem
    scatter = SampledScatter()

    def draws():
        for start in range(0, len(labels), batch):
            part = slice(start, start + batch)
            scatter.update(x[part], labels[part])
        return bootstrap([scatter], 2000, seed)[:, 0]

    found = answer(draws, "features", "labels")
    if found is REFUSED:
        check(found, x, labels)
        return
    check(scatter.separation, x, labels)
    exact, noise = exact_influence(values(x), np.asarray(labels).tolist())
    np.testing.assert_allclose(scatter.influence(), exact, atol=noise)
    # An image has a weight of mean 1 and of variance 1 - 1/n, if its class has n.
    variance = sum(exact**2) / len(exact) ** 2
    assert found.mean() == pytest.approx(scatter.separation, abs=1e-9 * found.std() + 1e-12)
    assert found.std() == pytest.approx(variance**0.5, rel=0.25, abs=noise)
