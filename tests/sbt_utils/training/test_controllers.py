"""Controllers: against closed forms and on simulated plants."""

import math

import numpy as np
import pytest
from torch import nn

from sbt_utils.training.controllers import DropoutController, Schedule, set_dropout

ALWAYS = 1e9  # a limit that no error reaches


def follow(controller, plant, readings):
    """Return the dropouts and convexities of so many readings of a plant: p -> convexity."""
    dropouts, convexities = [], []
    for _ in range(readings):
        dropouts.append(controller.dropout)
        convexities.append(plant(controller.dropout))
        controller = controller.step(convexities[-1])
    return np.array(dropouts), np.array(convexities)


def test_integral_control_of_a_linear_plant_follows_its_geometric_series():
    slope, straight, start, gain = 2.0, 0.2, 0.05, 0.15
    controller = DropoutController(start, gain=0, integral_gain=gain, limit=ALWAYS)
    dropouts, _ = follow(controller, lambda p: slope * (p - straight), 30)
    ratio = 1 - slope * gain
    np.testing.assert_allclose(
        dropouts, straight + (start - straight) * ratio ** np.arange(30), atol=1e-12
    )


@pytest.mark.parametrize("target", [-0.1, 0.0, 0.15])
def test_a_lagging_drifting_plant_is_brought_to_the_target(target):
    """Convexity that follows the dropout slowly and whose zero moves, as a network's does."""
    state = {"convexity": -0.6, "zero": 0.3}

    def plant(dropout):
        state["zero"] = 0.15 + 0.95 * (state["zero"] - 0.15)
        state["convexity"] += 0.4 * (1.5 * (dropout - state["zero"]) - state["convexity"])
        return state["convexity"]

    _, convexities = follow(DropoutController(0.1, target=target), plant, 150)
    assert abs(convexities[0] - target) > 0.2
    assert abs(convexities[-1] - target) < 0.01


def test_the_proportional_part_acts_at_once_and_is_not_remembered():
    controller = DropoutController(0.1, gain=0.5, integral_gain=0).step(-0.2)
    assert controller.dropout == pytest.approx(0.1 + 0.5 * 0.2)
    assert controller.step(0.0).dropout == 0.1


def test_the_dropout_stays_in_its_range_and_leaves_its_ends_at_once():
    controller = DropoutController(0.1, gain=0.3, integral_gain=0.2, limit=0.2, highest=0.4)
    lazy, active = controller, controller
    for _ in range(50):
        lazy, active = lazy.step(-1.0), active.step(1.0)
    assert (lazy.dropout, active.dropout) == (0.4, 0.0)
    # Fifty readings at an end are forgotten in one.
    assert lazy.step(0.2).dropout == pytest.approx(0.4 - (0.3 + 0.2) * 0.2)
    assert active.step(-0.2).dropout == pytest.approx((0.3 + 0.2) * 0.2)


def test_an_error_counts_up_to_the_limit():
    controller = DropoutController(0.1, limit=0.2)
    assert controller.step(-0.2) == controller.step(-5.0) == controller.step(-math.inf)
    assert controller.step(-0.2) != controller.step(-0.1)


def test_no_convexity_leaves_everything_as_it_is():
    controller = DropoutController(0.1).step(-0.1)
    assert controller.step(math.nan) == controller


def test_without_gain_the_dropout_is_constant():
    dropouts, _ = follow(DropoutController(0.1, gain=0, integral_gain=0), lambda p: -0.3, 5)
    assert (dropouts == 0.1).all()


def test_a_schedule_ignores_what_is_read_and_keeps_its_last_level():
    dropouts, _ = follow(Schedule((0.2, 0.1, 0.0)), lambda p: -0.3, 5)
    assert dropouts.tolist() == [0.2, 0.1, 0.0, 0.0, 0.0]


def test_every_dropout_module_is_set():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout2d(0.5)))
    set_dropout(model, 0.25)
    assert [each.p for each in model.modules() if hasattr(each, "p")] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DropoutController(-0.1), r"dropout=-0.1: give a number in \[0, 1\)"),
        (lambda: DropoutController(highest=1.0), r"dropout=1.0: give a number in \[0, 1\)"),
        (lambda: DropoutController(0.6), "memory=0.6 is above highest=0.5"),
        (lambda: DropoutController(gain=-1.0), "gain=-1.0: give a finite number of at least 0"),
        (lambda: DropoutController(integral_gain=math.nan), "integral_gain=nan: give a finite"),
        (lambda: DropoutController(limit=math.inf), "limit=inf: give a finite number"),
        (lambda: DropoutController(gain=10**400), "gain=inf: give a finite number"),
        (lambda: DropoutController(error=-(10**400)), "error=-inf: give a finite number"),
        (lambda: DropoutController(target=math.nan), "target=nan: give a finite convexity"),
        (lambda: Schedule(()), "levels: give a sequence of one value or more"),
        (lambda: Schedule(None), "levels: give a sequence of one value or more"),
        (lambda: Schedule([0.1, "0.2"]), r"dropout=\[0.1, '0.2'\]: give a number in \[0, 1\)"),
        (lambda: set_dropout(nn.Dropout(), [0.1]), r"dropout=\[0.1\]: give one number"),
        (lambda: Schedule((0.1, 1.5)), r"dropout=1.5: give a number in \[0, 1\)"),
        (lambda: set_dropout(nn.Linear(2, 2), 0.1), "Linear has no dropout module"),
        (lambda: set_dropout(nn.Dropout(), 1.0), r"dropout=1.0: give a number in \[0, 1\)"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("odd", [None, "0.1", [0.1], 1j, np.array(0.1)])
def test_what_is_no_number_is_named(odd):
    with pytest.raises(TypeError, match=r"convexity=.*: give a number"):
        DropoutController().step(odd)
    for name in ("memory", "gain", "target", "error"):
        with pytest.raises(TypeError, match=rf"{name}=.*: give a number"):
            DropoutController(**{name: odd})


def test_a_convexity_beyond_all_bounds_counts_as_the_limit():
    assert DropoutController().step(-(10**400)) == DropoutController().step(-math.inf)
