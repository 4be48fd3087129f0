"""Load curves of any unit, and what is none."""

import numpy as np
import pytest
import torch

from sbt_utils.measuring.curves import LoadCurve, curve_statistics, scaled

CURVE = np.array([[6.0, 3.0, 2.0, 0.0], [8.0, 3.0, 1.0, 1.0]])
SHAPES = ("scaled", "convexity", "convexity_interval", "linearity", "imbalance", "verdict")
SIZES = ("mean", "spread", "loads")


@pytest.mark.parametrize("power", [-1000, -600, -300, 300, 600, 990])
def test_no_unit_changes_the_shape_of_a_curve(power):
    """Squares of distances below 1e-154 or above 1e154 leave the range of float64."""
    curve, expected = LoadCurve(CURVE * 2.0**power), LoadCurve(CURVE)
    for name in SHAPES:
        np.testing.assert_array_equal(getattr(curve, name), getattr(expected, name), name)
    for name in SIZES:
        wanted = getattr(expected, name) * 2.0**power
        np.testing.assert_array_equal(getattr(curve, name), wanted, name)


def test_values_that_cannot_be_added():
    with pytest.raises(ValueError, match=r"^separation: 1\.7e\+308 is too large; give it in a la"):
        LoadCurve([[1.0, 0.0], [1.0, -1.7e308]])
    np.testing.assert_array_equal(scaled([1.7e308, 0.0, -1.7e308]), [1, 0.5, 0])


def test_a_curve_that_ends_where_it_began_is_not_lifted_by_rounding():
    curve = LoadCurve([0.1, 0.1, 0.2, 0.9, 0.1])
    assert curve.loads.mean() > 0
    assert np.isnan(curve.imbalance)
    assert np.isnan(curve.convexity)


@pytest.mark.parametrize(
    "points",
    [
        *(["a", "b"], "ab", ["1", "0"], [b"1", b"0"], [1 + 2j, 3], [[1, 2], [3]], [None, 1], {}),
        *([10**400, 1], np.array([3, 1], "M8[s]"), np.array([3, 1], "m8[s]"), (n for n in (1, 2))),
        *(np.ma.masked_greater([1.0, 2.0], 1), torch.ones(2, requires_grad=True)),
        *(torch.ones(2, device="meta"), [torch.tensor(1.0, requires_grad=True)] * 2),
    ],
    ids=lambda points: type(points).__name__,
)
def test_what_are_no_points(points):
    with pytest.raises(TypeError, match=r"^separation: .* given; give real numbers, in an array"):
        LoadCurve(points)
    for function in (scaled, lambda curves: curve_statistics(curves, "convexity")):
        with pytest.raises(TypeError, match=r"^curves: .* given; give real numbers, in an array"):
            function(points)


def test_points_in_other_makes():
    for points in (torch.tensor([1.0, 0.0]), torch.tensor([1, 0]), np.array([1, 0], ">f4")):
        np.testing.assert_array_equal(LoadCurve(points).separation, [1, 0])
    with pytest.raises(ValueError, match=r"^separation: NaN or infinite values"):
        LoadCurve(np.array([1, 0]) * np.longdouble("1e4000"))


@pytest.mark.parametrize("layers", ["ab", [1, 2], None, 3, {"a", "b"}, np.array("ab"), [["a"]]])
def test_what_are_no_names(layers):
    with pytest.raises(TypeError, match=r"^layers: .* given; give a sequence of names$"):
        LoadCurve([1, 0], layers=layers)


def test_names_in_other_makes():
    for layers in (["a", "b"], np.array(["a", "b"]), (name for name in "ab")):
        assert LoadCurve([1, 0], layers=layers).layers == ("a", "b")


def test_statistics_of_what_is_no_curve_or_of_no_curves():
    for curves in (3.0, [], [[1.0]], np.ones((2, 0))):
        for function in (scaled, lambda curves: curve_statistics(curves, "convexity")):
            with pytest.raises(ValueError, match=r"^curves: shape \(.*\); give \(\.\.\., L \+ 1"):
                function(curves)
    assert curve_statistics(np.ones((0, 3)), "convexity").shape == (0,)
    for name in ("loads", None, []):
        with pytest.raises(ValueError, match=r"^name: .* is unknown; choose one of \('convexity'"):
            curve_statistics([1, 0], name)


def test_curves_that_are_infinite_or_unknown():
    np.testing.assert_array_equal(scaled([[2.0, 1.0, 0.0], [np.nan, 1.0, 0.0]])[1], [np.nan] * 3)
    for function in (scaled, lambda curves: curve_statistics(curves, "convexity")):
        with pytest.raises(ValueError, match=r"^curves: infinite values; leave such curves out"):
            function([[2.0, 1.0, 0.0], [np.inf, 1.0, 0.0]])
