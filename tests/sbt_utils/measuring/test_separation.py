"""Data separation against textbook and exact computations; shapes against closed forms."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sbt_utils.measuring import scatter
from sbt_utils.measuring.curves import MEASURES, REGIME_TOLERANCE, LoadCurve, curve_statistics
from sbt_utils.measuring.scatter import ProjectedScatter, ScatterStatistics
from sbt_utils.measuring.separation import data_separation


def problem(seed, samples=40, width=6, classes=4, condition=1.0):
    """Gaussian classes with means on scales from 1 to 1 / condition, mixed by a rotation."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(np.arange(classes), 2), rng.integers(0, classes, samples)])
    scales = condition ** -np.linspace(0, 1, width)
    rotation, _ = np.linalg.qr(rng.normal(size=(width, width)))
    means = 2 * rng.normal(size=(classes, width)) * scales
    noise = rng.normal(size=(len(labels), width)) * rng.uniform(0.1, 1)
    # Within-class scatter smaller along the weak directions too, for half of the problems.
    noise = noise * scales if seed % 2 else noise
    return (means[labels] + noise) @ rotation, labels


def textbook(features, labels, measure):
    """Sum the d x d matrices sample by sample and class by class, as the definitions read."""
    count, width = features.shape
    grand = features.mean(0)
    within, between = np.zeros((width, width)), np.zeros((width, width))
    for c in np.unique(labels):
        members = features[labels == c]
        centre = members.mean(0)
        between += len(members) / count * np.outer(centre - grand, centre - grand)
        for h in members:
            within += np.outer(h - centre, h - centre) / count
    if measure == "trace":
        return math.log(np.trace(within) / np.trace(between))
    return math.log(np.trace(within @ np.linalg.pinv(between, rcond=1e-12, hermitian=True)))


def solve(matrix, right):
    """Gauss-Jordan elimination in exact arithmetic."""
    size = len(matrix)
    rows = [list(a) + list(b) for a, b in zip(matrix, right, strict=True)]
    for i in range(size):
        pivot = next(k for k in range(i, size) if rows[k][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [entry / rows[i][i] for entry in rows[i]]
        for k in range(size):
            if k != i and rows[k][i] != 0:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[size:] for row in rows]


def exact(features, labels, measure):
    """Return D from rational arithmetic: no rounding up to the last logarithm.

    Σb = A W A^T with A (d x k) of full column rank, k = min(d, C - 1), so that
    Σb^+ = A (A^T A)^-1 W^-1 (A^T A)^-1 A^T: the Moore-Penrose conditions hold by inspection.
    """
    data = [[Fraction(float(entry)) for entry in row] for row in features]
    width, names = len(data[0]), sorted(set(labels.tolist()))
    members = {c: [h for h, y in zip(data, labels, strict=True) if y == c] for c in names}
    share = {c: Fraction(len(members[c]), len(data)) for c in names}

    def dot(a, b):
        return sum(p * q for p, q in zip(a, b, strict=True))

    mean = {c: [sum(col) / len(members[c]) for col in zip(*members[c], strict=True)] for c in names}
    grand = [sum(share[c] * mean[c][j] for c in names) for j in range(width)]
    off = {c: [a - b for a, b in zip(mean[c], grand, strict=True)] for c in names}
    residuals = [
        [a - b for a, b in zip(h, mean[c], strict=True)] for c in names for h in members[c]
    ]
    if measure == "trace":
        within = sum(dot(r, r) for r in residuals) / len(data)
        return math.log(within / sum(share[c] * dot(off[c], off[c]) for c in names))
    if width >= len(names):
        # The offset of the last class follows from the others: basis A = the others.
        basis = [off[c] for c in names[:-1]]
        last = share[names[-1]]
        weights = [
            [share[a] * share[b] / last + (share[a] if a == b else 0) for b in names[:-1]]
            for a in names[:-1]
        ]
    else:
        basis = [[Fraction(int(i == j)) for j in range(width)] for i in range(width)]
        weights = [
            [sum(share[c] * off[c][i] * off[c][j] for c in names) for j in range(width)]
            for i in range(width)
        ]
    gram = [[dot(a, b) for b in basis] for a in basis]
    coordinates = solve(gram, [[dot(a, r) for r in residuals] for a in basis])
    dual = solve(weights, coordinates)
    total = sum(dot(a, b) for a, b in zip(coordinates, dual, strict=True))
    return math.log(total / len(data))


def test_integers_that_numpy_rounds_beside_others():
    beside = [[0.0], [1.0], [3.0]]
    assert np.isfinite(data_separation([*beside, [2**63]], [0, 0, 1, 1]))
    with pytest.raises(TypeError, match=r"features: integers of 2\*\*53 or more are rounded"):
        data_separation([*beside, [2**63 + 1]], [0, 0, 1, 1])


def test_equals_the_exact_value_on_fifty_problems(measure):
    for seed in range(50):
        condition = 10.0 ** (seed % 5)  # up to 1e4 in the class means, 1e8 in Σb
        shape = {"width": 2 + seed % 6, "classes": 2 + seed % 4}
        features, labels = problem(seed, samples=16, condition=condition, **shape)
        truth = exact(features, labels, measure)
        # Relative error of the scatter ratio exp(D); D itself may cross zero.
        assert math.expm1(data_separation(features, labels, measure) - truth) == pytest.approx(
            0, abs=1e-10
        ), f"seed {seed}, condition {condition}"


def test_equals_the_textbook_matrices_where_those_are_accurate(measure):
    for seed in range(10):
        features, labels = problem(seed, samples=200, width=30, classes=7)
        expected = textbook(features, labels, measure)
        assert data_separation(features, labels, measure) == pytest.approx(expected, rel=1e-10)


def test_fuzziness_keeps_weak_directions_that_a_float32_inverse_drops():
    features, labels = problem(1, samples=100, width=3, classes=4, condition=1e5)
    truth = exact(features, labels, "fuzziness")
    assert data_separation(features, labels, "fuzziness") == pytest.approx(truth, abs=1e-8)
    centred = features - features.mean(0)
    means = np.stack([centred[labels == c].mean(0) for c in range(4)])
    share = np.bincount(labels) / len(labels)
    between = (means.T * share @ means).astype(np.float32)
    residuals = (centred - means[labels]).astype(np.float32)
    naive = np.log(np.trace(residuals.T @ residuals / len(labels) @ np.linalg.pinv(between)))
    assert abs(naive - truth) > 0.1


def test_rank_deficient_class_means_count_only_where_they_differ():
    # Five classes on a line: one direction, by hand D = log(0.25 / (2 * 9)).
    centres = np.arange(5.0) * 3
    features = np.zeros((20, 4))
    labels = np.repeat(np.arange(5), 4)
    features[:, 0] = centres[labels] + np.tile([0.5, -0.5, 0.5, -0.5], 5)
    features[:, 1] = np.tile([7.0, 7.0, -7.0, -7.0], 5)  # within the classes only
    assert data_separation(features, labels, "fuzziness") == pytest.approx(math.log(0.25 / 18))
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    turned = data_separation(features @ rotation, labels, "fuzziness")
    assert turned == pytest.approx(math.log(0.25 / 18), rel=1e-10)


seeds = st.integers(0, 10_000)
checks = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=seeds, power=st.integers(-30, 30), shift=st.floats(-1e3, 1e3))
def test_invariant_under_translation_rotation_scaling_permutation_renaming(
    measure, seed, power, shift
):
    features, labels = problem(seed)
    expected = data_separation(features, labels, measure)
    rng = np.random.default_rng(seed + 1)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    order, names = rng.permutation(len(labels)), rng.permutation(9)[:4]
    for changed, renamed in (
        (features + shift * rng.normal(size=6), labels),
        (features @ rotation, labels),
        (features * 1.7 * 2.0**power, labels),
        (features[order], labels[order]),
        (features, names[labels]),
    ):
        assert data_separation(changed, renamed, measure) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=seeds)
def test_not_invariant_under_a_general_linear_map(measure, seed):
    features, labels = problem(seed)
    stretched = features * np.array([30.0, 1, 1, 1, 1, 1])
    before, after = (data_separation(h, labels, measure) for h in (features, stretched))
    assert abs(after - before) > 1e-6


def streamed(features, labels, measure, cuts):
    batches = list(zip(np.split(features, cuts), np.split(labels, cuts), strict=True))
    batches = [batch for batch in batches if len(batch[1])]
    statistics = ScatterStatistics()
    for batch in batches:
        statistics.update(*batch)
    if measure == "fuzziness":
        statistics = ProjectedScatter(statistics)
        for batch in reversed(batches):
            statistics.update(*batch)
    return statistics.separation


@pytest.mark.parametrize("measure", MEASURES)
@checks
@given(seed=seeds, cuts=st.lists(st.integers(0, 48), max_size=48), ordered=st.booleans())
def test_any_split_into_batches_gives_the_same(measure, seed, cuts, ordered):
    features, labels = problem(seed)
    if ordered:  # whole classes turn up late
        features, labels = features[np.argsort(labels)], np.sort(labels)
    whole = data_separation(features, labels, measure)
    assert streamed(features, labels, measure, sorted(cuts)) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("kind", ["float64", "other byte order", "bfloat16"])
def test_blocks_of_rows_give_the_same(measure, kind, monkeypatch):
    features, labels = problem(3)
    if kind == "other byte order":
        features = features.astype(">f8")
    elif kind == "bfloat16":
        features = torch.from_numpy(features).bfloat16()
    whole = data_separation(features, labels, measure)
    monkeypatch.setattr(scatter, "_BLOCK", 20)  # three samples a block
    assert data_separation(features, labels, measure) == pytest.approx(whole, abs=1e-12)


def test_torch_and_numpy_and_every_dtype_take_the_same_road(measure):
    features, labels = problem(5)
    expected = data_separation(features, labels, measure)
    assert (
        data_separation(torch.from_numpy(features), torch.from_numpy(labels), measure) == expected
    )
    assert data_separation(features.tolist(), labels.tolist(), measure) == expected
    assert data_separation(features.astype(">f8"), labels.astype(np.uint8), measure) == expected
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        low = torch.from_numpy(features).to(dtype).requires_grad_()
        high = data_separation(low.detach().double(), labels, measure)
        # Halves are summed by PyTorch, the others in loops: equal but for the last digit.
        found = data_separation(low, torch.from_numpy(labels).int(), measure)
        assert found == pytest.approx(high, rel=1e-14)
    whole = np.round(features * 10).astype(np.int16)
    assert data_separation(whole, labels, measure) == data_separation(whole * 1.0, labels, measure)


def test_trailing_axes_are_flattened_and_inputs_are_left_alone():
    features, labels = problem(7, width=12)
    expected = data_separation(features, labels)
    for shaped in (features.reshape(-1, 3, 2, 2), torch.tensor(features).reshape(-1, 3, 2, 2)):
        assert data_separation(shaped, labels) == expected
    frozen = features.copy()
    frozen.setflags(write=False)
    assert data_separation(frozen, labels, "fuzziness") == data_separation(
        features, labels, "fuzziness"
    )
    np.testing.assert_array_equal(frozen, features)
    line = np.array([0.0, 2.0, 4.0, 6.0])
    assert data_separation(line, [3, 3, 8, 8]) == pytest.approx(math.log(1 / 4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_common_offset_costs_no_digits(measure, dtype):
    # Multiples of 1/16 stay exact in float32 up to 1e6.
    features, labels = problem(11)
    features = np.round(features * 16) / 16
    expected = data_separation(features, labels, measure)
    moved = (features + 1e6).astype(dtype)
    assert data_separation(moved, labels, measure) == pytest.approx(expected, abs=1e-12)


def test_a_hundred_thousand_features_match_the_product_of_samples():
    # Isometric embedding of a small problem in many dimensions: the same D.
    features, labels = problem(13, width=5)
    wide = np.zeros((len(labels), 100_000), dtype=np.float64)
    wide[:, :: 100_000 // 5] = features
    for measure in MEASURES:
        expected = data_separation(features, labels, measure)
        assert data_separation(wide, labels, measure) == pytest.approx(expected, abs=1e-11)


good = np.array([[0.0, 1.0], [1.0, 0.5], [4.0, 2.0], [6.0, 1.0]])
pairs = [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("features", "labels", "error", "message"),
    [
        ([[0.0], [np.nan], [1.0], [2.0]], pairs, ValueError, r"features: sample 1 .*NaN"),
        ([[np.inf], [2.0], [1.0], [2.0]], pairs, ValueError, r"features: sample 0 .*infinite"),
        (np.full((4, 1), 1j), pairs, TypeError, r"features: complex128 .*real"),
        (np.empty((0, 3)), [], ValueError, r"features: shape \(0, 3\) is empty"),
        (np.empty((4, 0)), pairs, ValueError, r"features: shape \(4, 0\) is empty"),
        (3.0, [0], ValueError, r"features: shape \(\) is empty"),
        (good, [0, 0, 1], ValueError, r"labels: shape \(3,\) does not match .*give 4 labels"),
        (good, [[0, 1]] * 4, ValueError, r"labels: shape \(4, 2\) does not match"),
        (good, [0, 0, -1, -1], ValueError, r"labels: -1 is negative; number the classes from 0"),
        (good, [0.0, 0.0, 1.0, 1.0], TypeError, r"labels: float64 .*integers"),
        (good, torch.tensor(pairs).bfloat16(), TypeError, r"labels: torch.bfloat16 .*integers"),
        (good, [False, False, True, True], TypeError, r"labels: bool .*integers"),
        (good, [2, 2, 2, 2], ValueError, r"labels: one class only, \[2\]; .*2 or more"),
        (good, [0, 1, 2, 3], ValueError, r"class 0 has 1 sample; give at least 2"),
        (np.ones((4, 2)), pairs, ValueError, r"zero variance between the classes.* infinite"),
        ([[1.0], [-1.0], [1.0], [-1.0]], pairs, ValueError, r"zero variance between the classes"),
        ([[1.0], [1.0], [2.0], [2.0]], pairs, ValueError, r"zero variance within .*minus infinity"),
    ],
)
def test_bad_input_names_argument_value_and_remedy(features, labels, error, message, measure):
    with pytest.raises(error, match=message):
        data_separation(features, labels, measure)


def test_classes_with_one_sample_are_left_out(rng, measure):
    features = rng.normal(size=(30, 4))
    labels = np.arange(30) % 3
    expected = data_separation(features, labels, measure)
    for more, message in (
        ([7], "^labels: class 7 has 1 sample and is left out: D needs 2 samples of a class$"),
        ([9, 8, 7], "^labels: class 7 and 2 more are left out: D needs 2 samples of a class$"),
    ):
        extended = np.concatenate([features[: len(more)] + 5, features])
        with pytest.warns(UserWarning, match=message):
            found = data_separation(extended, [*more, *labels], measure)
        assert found == pytest.approx(expected, rel=1e-12)
    with (
        pytest.warns(UserWarning, match="class 3 has 1 sample"),
        pytest.raises(ValueError, match=r"labels: one class only, \[0\]"),
    ):
        data_separation(features[:4], [0, 0, 0, 3], measure)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_that_float64_would_round_are_refused(dtype, measure):
    """Such as times in nanoseconds: rounded to steps of 256, they would lose what differs."""
    features = np.array([[0], [1], [10], [12]], dtype=dtype)
    expected = data_separation(features, [0, 0, 1, 1], measure)
    near, far = features + np.array(2**53 - 20, dtype), features + np.array(2**60, dtype)
    assert data_separation(near, [0, 0, 1, 1], measure) == pytest.approx(expected, rel=1e-12)
    for array in (far, torch.from_numpy(far)):
        with pytest.raises(ValueError, match=r"^features: integers of 2\^53 and .* subtract"):
            data_separation(array, [0, 0, 1, 1], measure)


def test_longer_floats_than_float64_holds():
    features = np.array([[0.0], [1.0], [10.0], [12.0]], np.longdouble)
    assert data_separation(features, [0, 0, 1, 1]) == pytest.approx(math.log(0.625 / 27.5625))
    with pytest.raises(ValueError, match=r"^features: sample 1 of batch 0 holds NaN or infinite"):
        data_separation(features * np.longdouble("1e4000"), [0, 0, 1, 1])


def test_class_means_that_differ_by_rounding_count_as_equal(rng):
    half = rng.normal(size=(500, 3))
    features, labels = np.concatenate([half, half[::-1]]), np.repeat([0, 1], 500)
    for measure in MEASURES:
        with pytest.raises(ValueError, match="zero variance between the classes"):
            data_separation(features, labels, measure)


def test_fuzziness_without_scatter_along_the_class_means():
    features = np.array([[0.0, 1.0], [0.0, -1.0], [3.0, 1.0], [3.0, -1.0]])
    assert data_separation(features, pairs) == pytest.approx(math.log(1 / 2.25))
    with pytest.raises(ValueError, match="zero variance within the classes, so D is minus"):
        data_separation(features, pairs, "fuzziness")


def test_unknown_measure():
    with pytest.raises(ValueError, match=r"measure: 'fuzzy' is unknown; choose one of \('trace'"):
        data_separation(good, pairs, "fuzzy")


def test_passes_and_batches_that_do_not_fit():
    statistics = ScatterStatistics()
    statistics.update(good, pairs)
    with pytest.raises(ValueError, match="3 values per sample, but 2 in an earlier batch"):
        statistics.update(np.ones((2, 3)), [0, 1])
    second = ProjectedScatter(statistics)
    with pytest.raises(ValueError, match="0 samples in the second pass after 4 in the first"):
        _ = second.separation
    with pytest.raises(ValueError, match="class 7 is new; read the same samples twice"):
        second.update(good, [0, 0, 7, 7])


# Load curves


def parabola(convexity, layers=7):
    depth = np.linspace(0, 1, layers + 1)
    bulge = depth * (1 - depth)
    return 1 - depth - convexity * bulge / bulge[1:-1].mean()


@pytest.mark.parametrize("layers", [2, 3, 7, 20])
def test_a_straight_line_is_equiseparated(layers):
    curve = LoadCurve(5 - 0.3 * np.arange(layers + 1))
    np.testing.assert_allclose(curve.loads, 0.3)
    assert curve.convexity == pytest.approx(0, abs=1e-14)
    assert curve.linearity == pytest.approx(-1)
    assert curve.imbalance == pytest.approx(0, abs=1e-12)
    assert curve.regime == "equiseparated"
    assert curve.spread is None
    assert curve.convexity_interval is None


@pytest.mark.parametrize(("convexity", "regime"), [(0.2, "active"), (-0.2, "lazy")])
def test_a_parabola_has_the_convexity_it_was_given(convexity, regime):
    curve = LoadCurve(3 + 2 * parabola(convexity))
    assert curve.convexity == pytest.approx(convexity)
    assert curve.regime == regime
    assert curve.verdict.startswith(f"{regime} (con")
    np.testing.assert_allclose(curve.scaled, parabola(convexity), atol=1e-12)


@pytest.mark.parametrize("sign", [-1, 1])
def test_regimes_change_at_the_tolerance(sign):
    below, above = (LoadCurve(parabola(sign * REGIME_TOLERANCE * f)).regime for f in (0.99, 1.01))
    assert (below, above) == ("equiseparated", "active" if sign > 0 else "lazy")
    assert LoadCurve(parabola(sign * REGIME_TOLERANCE)).linearity == pytest.approx(
        -0.9972, abs=5e-5
    )


def test_shape_measures_by_hand():
    curve = LoadCurve([4.0, 1.0, 0.0], measure="extension", layers=["wall", "1", "2"])
    np.testing.assert_array_equal(curve.loads, [3.0, 1.0])
    assert curve.convexity == pytest.approx((2 - 1) / 4)
    assert curve.linearity == pytest.approx(-4 / np.sqrt(2 * 26 / 3))
    assert curve.imbalance == pytest.approx(1 / 2)
    np.testing.assert_array_equal(curve.scaled, [1.0, 0.25, 0.0])
    assert curve.layers == ("wall", "1", "2")


def test_repeats_give_mean_spread_and_interval(rng):
    convexities = rng.normal(0.2, 0.02, size=50)
    curves = np.stack([parabola(c) for c in convexities])
    curve = LoadCurve(curves)
    np.testing.assert_allclose(curve.mean, curves.mean(0))
    np.testing.assert_allclose(curve.spread, curves.std(0, ddof=1))
    assert curve.convexity == pytest.approx(convexities.mean())
    np.testing.assert_allclose(curve.loads, -np.diff(curves.mean(0)))
    assert curve.convexity_interval == pytest.approx(np.percentile(convexities, [2.5, 97.5]))
    assert curve.verdict.startswith("active (convex, shallow layers do more): convexity 0.2")
    assert "95 % of 50 repeats" in curve.verdict
    assert "at the edge" not in curve.verdict


@pytest.mark.parametrize("convexities", [(0.04, 0.08), (-0.06, -0.04), (-0.1, 0.1)])
def test_an_interval_over_a_boundary_is_at_the_edge(convexities):
    verdict = LoadCurve([parabola(c) for c in convexities]).verdict
    assert "; at the edge: the interval reaches over the tolerance of ± 0.05" in verdict


def test_one_repeat_has_no_spread():
    curve = LoadCurve(parabola(0.3)[None])
    assert curve.spread is None
    assert curve.convexity_interval is None
    assert curve.loads.shape == (7,)


@pytest.mark.parametrize("values", [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 3.0, 1.0]])
def test_a_curve_that_does_not_fall_is_unresolved(values):
    curve = LoadCurve(values)
    assert math.isnan(curve.convexity)
    assert math.isnan(curve.imbalance)
    assert curve.regime == "unresolved"
    assert "does not fall" in curve.verdict
    assert np.isnan(LoadCurve([1.0, 1.0]).scaled).all()
    assert math.isnan(LoadCurve([0.1, 0.1, 0.1]).linearity)


def test_one_repeat_that_does_not_fall_leaves_no_interval():
    curve = LoadCurve([parabola(0.2), parabola(0.2), np.linspace(0, 0.1, 8)])
    assert curve.regime == "active"
    assert np.isnan(curve.convexity_interval).all()
    assert "at the edge: some repeats do not fall" in curve.verdict


def test_a_single_layer_has_no_shape():
    curve = LoadCurve([1.0, 0.0])
    assert curve.regime == "unresolved"
    np.testing.assert_array_equal(curve.loads, [1.0])


def test_a_load_curve_is_immutable_and_its_own():
    source = np.array([2.0, 1.0, 0.0])
    curve = LoadCurve(source)
    source[0] = 9.0
    assert curve.separation[0] == 2.0
    with pytest.raises(ValueError, match="read-only"):
        curve.separation[0] = 3.0
    with pytest.raises(AttributeError):
        curve.measure = "other"
    assert curve == curve
    assert curve != LoadCurve([2.0, 1.0, 0.0])
    assert len({curve, curve}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"separation": 1.0}, r"separation: shape \(\); give \(L \+ 1,\) or"),
        ({"separation": [1.0]}, r"separation: shape \(1,\)"),
        ({"separation": np.zeros((0, 3))}, r"separation: shape \(0, 3\)"),
        ({"separation": np.zeros((2, 2, 2))}, r"separation: shape \(2, 2, 2\)"),
        ({"separation": [1.0, np.nan]}, r"separation: NaN or infinite"),
        ({"separation": [1.0, 0.0], "layers": ("a",)}, r"layers: 1 names for 2 points"),
    ],
)
def test_bad_load_curves(arguments, message):
    with pytest.raises(ValueError, match=message):
        LoadCurve(**arguments)


@pytest.mark.parametrize("name", ["convexity", "linearity", "imbalance"])
def test_statistics_of_many_curves_are_those_of_each(name):
    curves = np.cumsum(np.random.default_rng(0).uniform(size=(2, 3, 8)), axis=-1)[..., ::-1].copy()
    curves[1, 0, 2] = np.nan
    found = curve_statistics(curves, name)
    assert found.shape == (2, 3)
    assert np.isnan(found[1, 0])
    for place in ((0, 0), (0, 2), (1, 2)):
        assert found[place] == getattr(LoadCurve(curves[place]), name)
