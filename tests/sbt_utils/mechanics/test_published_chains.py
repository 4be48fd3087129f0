"""The units of k y in which diagrams and fits give forces, and chains that have none."""

from dataclasses import replace

import numpy as np
import pytest

from sbt_utils.mechanics.published_chains import (
    SECOND_ORDER,
    in_units,
    relaxed_curve,
    theory_diagram,
)

SMALL = replace(SECOND_ORDER, blocks=4, spring_constant=0.3, end=2.0)  # k y = 0.6


def test_units_are_the_force_that_stretches_one_spring_by_the_whole_chain(common):
    chain = in_units(replace(SMALL, common_noise=common), 0.05, 0.25)
    assert chain.friction_right == pytest.approx(0.05 * 0.6)
    assert chain.amplitude == pytest.approx(0.25 * 0.6)
    assert chain.noise == pytest.approx(0.25 * 0.6 / (2 if common else 1))  # sqrt(4)
    assert replace(chain, friction_right=0.003, noise=0.003) == replace(SMALL, common_noise=common)


@pytest.mark.parametrize("chain", [replace(SMALL, force=0.1), replace(SMALL, end=0.0)])
def test_units_need_an_end_that_is_held_to_the_right_of_the_wall(chain):
    for function in (
        lambda: in_units(chain, 0.1, 0.1),
        lambda: theory_diagram(chain, [0.1], [0.1]),
    ):
        with pytest.raises(ValueError, match="chain: forces in units of k y need a held end; give"):
            function()


@pytest.mark.parametrize("duration", [-1.0, float("nan"), float("inf")])
def test_a_duration_out_of_range_is_named(duration):
    with pytest.raises(ValueError, match=f"duration={duration}: give a finite number, 0 or more"):
        relaxed_curve(SMALL, duration)


def test_levels_may_be_any_numbers():
    theory = theory_diagram(SMALL, [np.float16(0.125)], [1, np.float32(0.25)])
    assert theory.friction.values.tolist() == [0.125]
    assert theory.noise.values.tolist() == [1.0, 0.25]


def test_what_is_no_number_or_no_levels_is_named():
    for arguments, message in (
        ((SMALL, "1", 1), "friction_right='1'"),
        ((SMALL, 1, 1j), "noise=1j"),
    ):
        with pytest.raises(TypeError, match=f"{message}: give a number"):
            in_units(*arguments)
    with pytest.raises(ValueError, match="friction: give a sequence of one value or more"):
        theory_diagram(SMALL, [], [0.1])
    with pytest.raises(ValueError, match="noise: give a sequence of one value or more"):
        theory_diagram(SMALL, [0.1], 0.1)
    with pytest.raises(ValueError, match="friction: give a sequence of one value or more"):
        theory_diagram(SMALL, np.array(0.1), [0.1])
    with pytest.raises(ValueError, match="duration=inf: give a finite number"):
        relaxed_curve(SMALL, 10**5000)
