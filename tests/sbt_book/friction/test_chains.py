"""Chains with a force on a block, against the library's chains and closed forms."""

import numpy as np
import pytest

import sbt_utils as sbt
from sbt_book.friction import chains


def test_without_a_force_they_are_the_chains_of_the_library():
    steps, dt, noise = 400, 0.02, 0.1
    chain = sbt.SpringBlockChain(
        blocks=7,
        spring_constant=1.0,
        friction_right=0.04,
        friction_left=0.04,
        noise=noise,
        noise_decay=0.0,
        common_noise=False,
    )
    expected = chain.simulate_overdamped(duration=steps * dt, dt=dt, seed=2, every=50)
    kicks = noise * np.random.default_rng(2).standard_normal((steps, 7))
    found = chains.overdamped(np.zeros(7), kicks, 0.04, np.ones(steps), dt=dt, every=50)
    assert found == pytest.approx(expected.positions[1:], abs=1e-12)


def test_a_pull_without_noise_leaves_the_static_loads():
    still = np.zeros((100 * chains.STEPS_PER_EPOCH, 7))
    chain = sbt.SpringBlockChain(spring_constant=1.0, friction_right=0.04, friction_left=0.04)
    positions = np.concatenate([[0.0], chains.pulled(still, 0.04), [1.0]])
    assert np.diff(positions) == pytest.approx(chain.static_loads(), abs=1e-6)


def test_pushed_blocks_give_as_a_free_chain_or_not_at_all():
    forces = [-0.05, -0.01, 0.05]
    free, stuck = chains.pushed_chains(forces, 4, [0.0, 0.04], [0.0], [0, 1])[:, 0]
    # Two springs in parallel, of k / 4 to either side.
    assert free == pytest.approx(np.tile(np.array(forces) / (1 / 4 + 1 / 4), (2, 1)), rel=1e-3)
    # It rests at the edge of going on to the right: to the left, twice the friction holds it.
    assert (stuck[:, :2] == 0).all()
    assert (stuck[:, 2] > 0.05).all()


def test_chains_that_are_not_shaken_are_read_where_the_pull_is_lowest():
    cycled = chains.cycled_chains(40, [0], 0.04, (0.0, 0.0), (1.0, 1.5), readings=8)
    assert cycled.shape == (1, 13)
    # Dry friction: once round, the chain comes back to where it was.
    assert cycled[0, 0] == pytest.approx(cycled[0, 8], abs=5e-3)
    assert cycled[0, 4] < cycled[0, 0] - 0.05


def test_in_honey_chains_are_as_late_as_in_less_time():
    # Without friction nothing but the time that it takes sets a scale.
    thick, thin = (
        chains.cycled_chains(period, [0], 0.0, (0.0, 0.0), (1.0, 1.5), 4, mobility)
        for period, mobility in ((8, 0.25), (2, 1.0))
    )
    assert np.ptp(thin) > 0.05
    assert thick == pytest.approx(thin, abs=2e-3)


def test_the_wave_goes_up_and_down():
    assert chains.triangle(np.arange(9), 8) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]
    )


def test_shaken_chains_begin_where_the_pull_ends():
    states = chains.shaken(0.0, 0.04, 0, (100, 1))
    assert states.shape == (chains.STEPS_PER_EPOCH + 1, 7)
    assert states == pytest.approx(np.tile(states[0], (len(states), 1)), abs=1e-6)
