"""Compiled steps of a spring-block chain, and of its mean field; noise comes from outside.

Both integrators treat dry friction implicitly (Moreau-Jean): a velocity that friction would have to
reverse becomes exactly 0.0, so that blocks stick. See Acary & Brogliato, Systems & Control Letters
59 (2010) 284, doi 10.1016/j.sysconle.2010.03.002. Solvers of stochastic equations such as sdeint
take friction explicitly, so that no block ever rests, and are hundreds of times slower
(`benchmarks/spring_block.py`); those of nonsmooth mechanics such as Siconos know no noise.

Compiled functions that call one another stand in one file: numba's cache watches no other.
"""

# mypy: allow-untyped-defs
import math
from typing import NamedTuple

import numpy as np

from sbt_utils.compiling import compiled

_ROOT_PI = math.sqrt(math.pi)
_SMALL = 0.01  # forces in units of the noise: below, differences of functions of them lose digits


class Forces(NamedTuple):
    """What acts on the blocks but for pull and noise; mass and damping are of second order."""

    spring: float
    last_spring: float  # 0 where a force draws the end
    drive: float
    mass: float
    damping: float
    friction_right: np.ndarray  # (L,)
    friction_left: np.ndarray


@compiled(nogil=True, error_model="numpy")
def langevin_steps(state, forces, pulls, kicks, dt, done, every, kept):
    """Advance positions and velocities, shape (2, L), in place; keep every n-th state.

    `pulls` (steps, 2) are the forces of the end on the last block, and of the drive on every block,
    but for what their own positions take off; `kicks` (steps, L), or (steps, 1) for noise common to
    all blocks, the momentum that noise transfers in each step. ``kept[:, n]`` takes the state after
    ``n * every`` steps, counted from `done` steps before these.
    """
    end = state.shape[1] - 1
    # v' = v + dt / m (F - γ v' - friction) + kick / m, solved for v': damping is implicit too.
    inertia = 1.0 + forces.damping * dt / forces.mass
    h = dt / forces.mass / inertia
    for step in range(len(kicks)):
        left = 0.0
        for block in range(end + 1):
            here = state[0, block]
            if block < end:
                force = forces.spring * (left - 2.0 * here + state[0, block + 1])
            else:
                force = forces.spring * (left - here) + (pulls[step, 0] - forces.last_spring * here)
            force += pulls[step, 1] - forces.drive * here
            kick = kicks[step, 0] if kicks.shape[1] == 1 else kicks[step, block]
            free = (state[1, block] + (dt * force + kick) / forces.mass) / inertia
            # Friction slows the block down at most to rest: a soft threshold.
            to_right = max(free - h * forces.friction_right[block], 0.0)
            to_left = min(free + h * forces.friction_left[block], 0.0)
            moved = here + dt * (to_right + to_left)
            # A velocity too small to move the block is rounding.
            state[1, block] = to_right + to_left if moved != here else 0.0
            state[0, block] = moved
            left = here
        if (done + step + 1) % every == 0:
            _keep(state, kept, (done + step + 1) // every)


@compiled(nogil=True)
def overdamped_steps(state, forces, pulls, kicks, dt, done, every, kept):
    """Advance positions, shape (1, L), as `langevin_steps` does; here the kicks are forces."""
    positions = state[0]
    blocks = len(positions)
    spring, last_spring, drive = forces.spring, forces.last_spring, forces.drive
    spring_force = np.empty(blocks)
    for step in range(len(kicks)):
        pull, drive_pull = pulls[step, 0], pulls[step, 1]
        _spring_forces(positions, spring, last_spring, pull, drive, drive_pull, spring_force)
        kick = kicks[step]
        for block in range(blocks):
            force = spring_force[block] + (kick[0] if len(kick) == 1 else kick[block])
            to_right = max(force - forces.friction_right[block], 0.0)
            to_left = min(force + forces.friction_left[block], 0.0)
            positions[block] += dt * (to_right + to_left)
        if (done + step + 1) % every == 0:
            _keep(state, kept, (done + step + 1) // every)


@compiled(nogil=True, error_model="numpy")
def lane_steps(state, forces, pulls, kicks, dt, done, every, kept):
    """Advance trajectories side by side, each to the last bit as the two functions above do.

    `state` (3, L + 1, lanes) holds positions, velocities and room for forces, from the wall on.
    `kicks` are (steps, L or 1, lanes); `kept` is (lanes, 2, n, L), or (lanes, 1, n, L) in first
    order. Inner loops run over the lanes, which become vector instructions: NumPy's error model
    spares them the question whether a divisor is zero.
    """
    blocks, lanes, overdamped = state.shape[1] - 1, state.shape[2], kept.shape[1] == 1
    inertia = 1.0 + forces.damping * dt / forces.mass
    h = 1.0 if overdamped else dt / forces.mass / inertia
    for step in range(len(kicks)):
        pull, drive_pull = pulls[step, 0], pulls[step, 1]
        for block in range(1, blocks + 1):
            left, here, force = state[0, block - 1], state[0, block], state[2, block]
            if block < blocks:
                right = state[0, block + 1]
                for lane in range(lanes):
                    force[lane] = forces.spring * (left[lane] - 2.0 * here[lane] + right[lane])
            else:
                for lane in range(lanes):
                    at_end = pull - forces.last_spring * here[lane]
                    force[lane] = forces.spring * (left[lane] - here[lane]) + at_end
        for block in range(1, blocks + 1):
            here, velocity, force = state[0, block], state[1, block], state[2, block]
            kick = kicks[step, 0 if kicks.shape[1] == 1 else block - 1]
            drag_right = h * forces.friction_right[block - 1]
            drag_left = h * forces.friction_left[block - 1]
            for lane in range(lanes):
                x = here[lane]
                free = force[lane] + (drive_pull - forces.drive * x)
                if overdamped:
                    free += kick[lane]
                else:
                    free = (velocity[lane] + (dt * free + kick[lane]) / forces.mass) / inertia
                slowed = max(free - drag_right, 0.0) + min(free + drag_left, 0.0)
                here[lane] = x + dt * slowed
                velocity[lane] = slowed if here[lane] != x else 0.0
        if (done + step + 1) % every == 0:
            number = (done + step + 1) // every
            for lane in range(lanes):
                for row in range(kept.shape[1]):
                    for block in range(blocks):
                        kept[lane, row, number, block] = state[row, block + 1, lane]


@compiled(nogil=True)
def _keep(state, kept, number):
    """Write ``kept[:, number] = state``, whose error numba would take seconds to compile."""
    for row in range(len(state)):
        for block in range(state.shape[1]):
            kept[row, number, block] = state[row, block]


@compiled(nogil=True)
def _spring_forces(positions, spring, last_spring, pull, drive, drive_pull, spring_force):
    """Write the springs' force on each block, k (x_{l+1} - 2 x_l + x_{l-1}) + κ (y - x_l)."""
    end = len(positions) - 1
    for block in range(1, end):
        left, right = positions[block - 1], positions[block + 1]
        spring_force[block] = spring * (left - 2.0 * positions[block] + right)
    if end > 0:
        spring_force[0] = spring * (positions[1] - 2.0 * positions[0])
        spring_force[end] = spring * (positions[end - 1] - positions[end])
    else:
        spring_force[0] = -spring * positions[0]
    spring_force[end] += pull - last_spring * positions[end]
    if drive > 0.0:
        for block in range(len(positions)):
            spring_force[block] += drive_pull - drive * positions[block]


@compiled(nogil=True)
def relax(x, t, until, longest_step, forces, pulls, amplitude, decay, overdamped, at_most):
    """Lead positions (L,) of the mean field, x'_l = V(F_l), from t towards a later time.

    In place, by classical Runge-Kutta steps, `at_most` of them; return the time that is reached.
    `amplitude` and `decay` are the noise's.
    """
    blocks = len(x)
    spring, last_spring, drive = forces.spring, forces.last_spring, forces.drive
    pull, drive_pull = pulls
    spring_force = np.empty(blocks)
    slopes = np.zeros((4, blocks))
    # Short steps at first, while the front of the pull crosses the chain and the noise decays.
    shortest = longest_step / 50 if decay * longest_step < 5 else 0.1 / decay
    for _ in range(at_most):
        if not t < until:
            break
        h = min(longest_step, shortest + t / 20, until - t)
        for stage in range(4):
            ahead = 0.0 if stage == 0 else (h if stage == 3 else h / 2)
            reached = x + ahead * slopes[stage - 1]
            _spring_forces(reached, spring, last_spring, pull, drive, drive_pull, spring_force)
            noise = amplitude * math.exp(-decay * (t + ahead))
            drifts(spring_force, forces, noise, overdamped, slopes[stage])
        x += h / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])
        t = until if h == until - t else t + h  # free of rounding
    return t


@compiled()
def drifts(spring_force, forces, noise, overdamped, velocities):
    """Write the mean velocity V(F) of each block, as `chain_theory.drift` defines it."""
    for block in range(len(spring_force)):
        # What holds the block back from either side.
        right = forces.friction_right[block] - spring_force[block]
        left = forces.friction_left[block] + spring_force[block]
        if noise < 1e-100:  # as good as none: the squares of right / noise would overflow
            velocity = max(-right, 0.0) - max(-left, 0.0)
            velocities[block] = velocity if overdamped else velocity / forces.damping
        elif overdamped:
            velocities[block] = noise * _mean_step(right / noise, left / noise)
        else:
            unit = noise * math.sqrt(forces.damping / forces.mass)
            velocities[block] = unit / forces.damping * _mean_velocity(right / unit, left / unit)


@compiled()
def _mean_step(a, b):
    """Return G(a) - G(b)."""
    if max(abs(a), abs(b)) > _SMALL:
        return _excess(a) - _excess(b)
    densities = (math.expm1(-a * a / 2) - math.expm1(-b * b / 2)) / math.sqrt(2 * math.pi)
    return densities + (b * math.erfc(b / math.sqrt(2)) - a * math.erfc(a / math.sqrt(2))) / 2


@compiled()
def _excess(u):
    """Return the mean of what a standard normal exceeds u by."""
    return math.exp(-u * u / 2) / math.sqrt(2 * math.pi) - u * math.erfc(u / math.sqrt(2)) / 2


@compiled()
def _mean_velocity(a, b):
    """Return (g(a) - g(b)) / sqrt(π) / (erfcx a + erfcx b)."""
    if a < -20.0:  # the block slides without end: erfcx a overflows soon after
        return -a
    if b < -20.0:
        return b
    first, second = _erfcx(a), _erfcx(b)
    if max(abs(a), abs(b)) <= _SMALL:
        return (b * second - a * first) / (first + second)
    return (_gap(a, first) - _gap(b, second)) / (_ROOT_PI * (first + second))


@compiled()
def _erfcx(u):
    """Return exp(u²) erfc(u), for u > -26; scipy's is out of reach of compiled code."""
    if u < 20.0:
        return math.exp(u * u) * math.erfc(u)
    return (1 - _gap(u, 0.0)) / (u * _ROOT_PI)


@compiled()
def _gap(u, erfcx):
    """Return g(u) = 1 - sqrt(π) u erfcx(u)."""
    if u < 20.0:
        return 1 - _ROOT_PI * u * erfcx
    w = 1 / (2 * u * u)  # both terms nearly cancel: the asymptotic series of what is left
    return w * (1 - 3 * w * (1 - 5 * w * (1 - 7 * w * (1 - 9 * w * (1 - 11 * w)))))
