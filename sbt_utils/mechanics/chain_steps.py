"""Steps of a spring-block chain: compiled, and handed their noise from outside.

Both integrators treat dry friction implicitly (Moreau-Jean): a velocity that friction would have to
reverse becomes exactly 0.0, so that blocks stick. See Acary & Brogliato, Systems & Control Letters
59 (2010) 284, doi 10.1016/j.sysconle.2010.03.002.
"""

from typing import NamedTuple

import numpy as np
from numba import njit


class Forces(NamedTuple):
    """What acts on the blocks, as the compiled steps take it.

    Attributes
    ----------
    spring, last_spring : float
        Constants of all springs but the last, and of the last: 0 where a force draws the end.
    mass, damping : float
        Unused in first order.
    friction_right, friction_left : ndarray of float64, shape (L,)
    """

    spring: float
    last_spring: float
    mass: float
    damping: float
    friction_right: np.ndarray
    friction_left: np.ndarray


@njit(cache=True, nogil=True)
def langevin_steps(
    state: np.ndarray,
    forces: Forces,
    pulls: np.ndarray,
    kicks: np.ndarray,
    dt: float,
    done: int,
    every: int,
    kept: np.ndarray,
) -> None:
    """Advance a second-order chain in place, and keep every k-th of its states.

    Parameters
    ----------
    state : ndarray of float64, shape (2, L)
        Positions and velocities.
    forces : Forces
        What acts on the blocks.
    pulls : ndarray of float64, shape (steps,)
        Force on the last block to the right, but for what its own position takes off.
    kicks : ndarray of float64, shape (steps, L) or (steps, 1)
        Momentum that noise transfers to each block in a step; one column is common to all.
    dt : float
        Time step.
    done : int
        Steps before these.
    every : int
        A state is kept whenever this divides the number of steps done.
    kept : ndarray of float64, shape (2, states, L)
        ``kept[:, n]`` takes the state after ``n * every`` steps.
    """
    positions, velocities = state
    blocks = len(positions)
    inertia = 1.0 + forces.damping * dt / forces.mass
    h = dt / forces.mass / inertia
    pulled = np.empty(blocks)
    for step in range(len(kicks)):
        spring_forces(positions, forces.spring, forces.last_spring, pulls[step], pulled)
        kick = kicks[step]
        for block in range(blocks):
            momentum = dt * pulled[block] + (kick[0] if len(kick) == 1 else kick[block])
            free = (velocities[block] + momentum / forces.mass) / inertia
            to_right = max(free - h * forces.friction_right[block], 0.0)
            to_left = min(free + h * forces.friction_left[block], 0.0)
            velocities[block] = to_right + to_left
        for block in range(blocks):
            moved = positions[block] + dt * velocities[block]
            if moved == positions[block]:  # what is left is rounding
                velocities[block] = 0.0
            positions[block] = moved
        if (done + step + 1) % every == 0:
            kept[:, (done + step + 1) // every] = state


@njit(cache=True, nogil=True)
def overdamped_steps(
    state: np.ndarray,
    forces: Forces,
    pulls: np.ndarray,
    kicks: np.ndarray,
    dt: float,
    done: int,
    every: int,
    kept: np.ndarray,
) -> None:
    """Advance a first-order chain in place; `langevin_steps` says what the parameters are.

    Here the kicks are forces, and positions are the whole state, shape (1, L).
    """
    positions = state[0]
    blocks = len(positions)
    pulled = np.empty(blocks)
    for step in range(len(kicks)):
        spring_forces(positions, forces.spring, forces.last_spring, pulls[step], pulled)
        kick = kicks[step]
        for block in range(blocks):
            force = pulled[block] + (kick[0] if len(kick) == 1 else kick[block])
            to_right = max(force - forces.friction_right[block], 0.0)
            to_left = min(force + forces.friction_left[block], 0.0)
            positions[block] += dt * (to_right + to_left)
        if (done + step + 1) % every == 0:
            kept[:, (done + step + 1) // every] = state


@njit(cache=True, nogil=True)
def spring_forces(
    positions: np.ndarray, spring: float, last_spring: float, pull: float, pulled: np.ndarray
) -> None:
    """Write the springs' force on each block, k (x_{l+1} - 2 x_l + x_{l-1})."""
    end = len(positions) - 1
    for block in range(1, end):
        left, right = positions[block - 1], positions[block + 1]
        pulled[block] = spring * (left - 2.0 * positions[block] + right)
    if end > 0:
        pulled[0] = spring * (positions[1] - 2.0 * positions[0])
        pulled[end] = spring * (positions[end - 1] - positions[end])
    else:
        pulled[0] = -spring * positions[0]
    pulled[end] += pull - last_spring * positions[end]
