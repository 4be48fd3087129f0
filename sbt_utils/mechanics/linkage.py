"""The folding ruler in time: compiled steps from one position of the hand to the next."""

import math

import numpy as np
from numba import njit

CLOSED = 1e-9
"""Gap in radians at which a hinge counts as lying at its stop: rounding decides no contact."""
INSIDE = 1.0 - 1e-9
"""Fraction of the bound up to which friction holds."""
ROUNDING = 1e-11
"""Fraction of the highest speed up to which a point at the bound counts as resting."""


@njit(nogil=True, cache=True, error_model="numpy")
def advance(angles, hand, section, mass, table, hinge, dt, every):  # type: ignore[no-untyped-def]
    """Lead the ruler along the positions of the hand, one a step, starting at rest.

    Parameters
    ----------
    angles : ndarray, shape (N,)
        Of the sections to the x axis at the start, zigzag: the first one positive.
    hand : ndarray, shape (steps + 1, 2)
        Where the end is at the start and after each step.
    section, mass, table, hinge, dt : float
        Length, mass of a hinge point, friction force of a point, friction torque, time step.
    every : int
        Keep each so-manieth state, and the first.

    Returns
    -------
    kept : tuple of ndarray
        Angles and angular velocities (kept, N), velocities (kept, N + 1, 2), and (kept, 4) of
        kinetic energy, work of the hand, heat of the table and heat of the hinges.
    failed : int
        The step for which no solution was found, 0 if there was none.

    Examples
    --------
    >>> hand = np.array([[0.2, 0.0], [0.201, 0.0]])
    >>> kept, failed = advance(np.array([1.4706, -1.4706]), hand, 1.0, 1.0, 1.0, 0.0, 0.01, 1)
    >>> kept[0].shape, failed
    ((2, 2), 0)
    """
    size = len(angles)
    last = size - 1
    steps = len(hand) - 1
    angles = angles.copy()
    omega, v = np.zeros(size), np.zeros((size, 2))
    p, q, s = np.zeros((size, 2)), np.zeros(last), np.zeros(last)
    low, high, target, books = np.empty(last), np.empty(last), np.empty(2), np.zeros(4)
    kept = 1 + steps // every
    all_angles, all_omega = np.empty((kept, size)), np.zeros((kept, size))
    all_v, all_books = np.zeros((kept, size + 1, 2)), np.zeros((kept, 4))
    all_angles[0] = angles
    for n in range(1, steps + 1):
        x = y = 0.0
        for k in range(size):
            x += section * math.cos(angles[k])
            y += section * math.sin(angles[k])
        x, y = hand[n, 0] - x, hand[n, 1] - y
        if abs(x) + abs(y) < 1e-12 * section:  # the hand rests, but for rounding
            x = y = 0.0
        target[0], target[1] = x / dt, y / dt
        for j in range(last):
            # The zigzag turns right at even hinges, by an angle in [0, pi], and left at odd ones.
            turn = angles[j + 1] - angles[j]
            low[j] = (-math.pi if j % 2 == 0 else 0.0) - turn
            high[j] = low[j] + math.pi
            low[j] = 0.0 if low[j] > -CLOSED else low[j] / dt
            high[j] = 0.0 if high[j] < CLOSED else high[j] / dt
        bounds = dt * table, dt * hinge
        found = step(angles, v, target, low, high, section, mass, *bounds, omega, p, q, s)
        if found < 0:
            return (all_angles, all_omega, all_v, all_books), n
        _settle(angles, target, low, high, section, *bounds, omega, v, p, q, s)
        books[0] = 0.0
        for i in range(last):
            square = v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1]
            books[0] += 0.5 * mass * square
            books[2] += dt * table * math.sqrt(square)
            books[3] += dt * hinge * abs(omega[i + 1] - omega[i])
        # The hand gives the impulse that its constraint takes from the rest.
        books[1] -= p[last, 0] * v[last, 0] + p[last, 1] * v[last, 1]
        for k in range(size):
            angles[k] += dt * omega[k]
        if n % every == 0:
            all_angles[n // every], all_omega[n // every] = angles, omega
            all_v[n // every, 1:], all_books[n // every] = v, books
    return (all_angles, all_omega, all_v, all_books), 0


@njit(nogil=True, cache=True, error_model="numpy")
def _settle(angles, hand, low, high, section, table, hinge, omega, v, p, q, s):  # type: ignore[no-untyped-def]
    """Give what sticks the velocity 0.0, free of rounding: its friction is below the bound."""
    size = len(omega)
    last = size - 1
    swiftest = quickest = 0.0
    for k in range(size):
        swiftest = max(swiftest, abs(v[k, 0]) + abs(v[k, 1]))
        quickest = max(quickest, abs(omega[k]))
    # The ends of section k are the points k and k + 1, the pin included here.
    rests, locked = np.empty(size + 1, np.bool_), np.zeros(size, np.bool_)
    rests[0] = True
    rests[size] = hand[0] == 0.0 and hand[1] == 0.0
    for i in range(last):
        friction = math.sqrt(p[i, 0] * p[i, 0] + p[i, 1] * p[i, 1])
        speed = abs(v[i, 0]) + abs(v[i, 1])
        rests[i + 1] = friction < INSIDE * table or (speed <= ROUNDING * swiftest and table > 0.0)
        rate = abs(omega[i + 1] - omega[i])
        locked[i] = (
            abs(q[i]) < INSIDE * hinge
            or (s[i] > 0.0 and high[i] == 0.0)
            or (s[i] < 0.0 and low[i] == 0.0)
            or (rate <= ROUNDING * quickest and hinge > 0.0)
        )
    again = True
    while again:
        again = False
        start = 0
        for k in range(size):
            if locked[k]:
                continue
            # Sections start..k are one rigid piece; it rests if one of them has both ends at rest.
            total, fixed, free = 0.0, False, False
            for n in range(start, k + 1):
                total += omega[n]
                fixed = fixed or (rests[n] and rests[n + 1])
                free = free or not (rests[n] and rests[n + 1])
            for n in range(start, k + 1):
                omega[n] = 0.0 if fixed else total / (k + 1 - start)
                rests[n] = rests[n] or fixed
                rests[n + 1] = rests[n + 1] or fixed
            again = again or (fixed and free)
            start = k + 1
    x = y = 0.0
    for i in range(size):
        x -= section * math.sin(angles[i]) * omega[i]
        y += section * math.cos(angles[i]) * omega[i]
        if rests[i + 1]:
            x = y = 0.0
        v[i, 0], v[i, 1] = x, y


# Numba's cache looks at each file by itself: after a change here, save `linkage.py` anew as well.
STIFFNESS = 300.0
"""Of the dampers, in masses of a point; the result does not depend on it, the speed does."""


TOLERANCE = 1e-11
"""Of the impulses, relative to the largest that friction or inertia ask for in this step."""


PATIENCE = 60
"""Newton steps before the tolerance grows tenfold, at most to 1e-6; three or four are common."""


@njit(nogil=True, cache=True, error_model="numpy")
def step(angles, v, hand, low, high, section, mass, table, hinge, omega, p, q, s):  # type: ignore[no-untyped-def]
    """Minimise the function of the module; velocities and impulses are changed in place.

    What sticks has a velocity of the order of rounding, and a friction impulse below its bound.

    Parameters
    ----------
    angles : ndarray, shape (N,)
    v : ndarray, shape (N, 2)
        Velocities of the points before and after the step.
    hand : ndarray, shape (2,)
        Velocity of the hand.
    low, high : ndarray, shape (N - 1,)
        What the stops allow a hinge's rate to be.
    section, mass, table, hinge : float
        Length, mass, bounds of the friction impulses of a point and of a hinge.
    omega, p, q, s : ndarray, shapes (N,), (N, 2), (N - 1,), (N - 1,)
        Angular velocities; impulses against the motion: of the table on each point (the last:
        minus that of the hand), of the friction in the hinges and of their stops. As input, the
        first guess.

    Returns
    -------
    int
        Newton steps taken; -1 without a solution.

    Examples
    --------
    >>> omega, v, p = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2))
    >>> step(np.array([1.4706, -1.4706]), v, np.array([1.0, 0.0]), np.array([-9.0]),
    ...      np.array([9.0]), 1.0, 1.0, 0.1, 0.1, omega, p, np.zeros(1), np.zeros(1)) > 0
    True
    >>> v[1].round(9)
    array([1., 0.])
    """
    size = len(angles)
    last = size - 1
    fastest = math.sqrt(hand[0] * hand[0] + hand[1] * hand[1])
    for i in range(last):
        fastest = max(fastest, math.sqrt(v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1]))
    if fastest == 0.0:
        omega[:] = 0.0
        return 0
    friction = max(table, hinge / section)
    damping = STIFFNESS * max(mass, friction / fastest)
    turning = damping * section * section
    scale = max(friction, mass * fastest)
    allowed = TOLERANCE * scale

    tangent, old, d, dv = np.empty((size, 2)), v.copy(), np.empty(size), np.empty((size, 2))
    force, block, matrix = np.empty((size, 2)), np.empty((size, 3)), np.empty((size, size))
    for k in range(size):
        tangent[k, 0] = -section * math.sin(angles[k])
        tangent[k, 1] = section * math.cos(angles[k])
    count, solved, before = 0, False, math.inf
    while True:
        # Impulses at each point, and how they change with its velocity.
        _velocities(tangent, omega, v)
        for i in range(size):
            px, py = p[i, 0] + damping * v[i, 0], p[i, 1] + damping * v[i, 1]
            block[i, 0], block[i, 1], block[i, 2] = damping, 0.0, damping
            if i == last:
                force[i, 0], force[i, 1] = px - damping * hand[0], py - damping * hand[1]
                continue
            length = math.sqrt(px * px + py * py)
            if length >= table:
                ratio = damping * table / length if length > 0.0 else 0.0
                px, py = _unit(px, py)
                block[i, 0], block[i, 1], block[i, 2] = (
                    ratio * py * py,
                    -ratio * px * py,
                    ratio * px * px,
                )
                px, py = table * px, table * py
            block[i, 0] += mass
            block[i, 2] += mass
            force[i, 0] = px + mass * (v[i, 0] - old[i, 0])
            force[i, 1] = py + mass * (v[i, 1] - old[i, 1])
        # Gradient (in d) and matrix: on a section act all points beyond it.
        x = y = xx = xy = yy = 0.0
        for k in range(last, -1, -1):
            x += force[k, 0]
            y += force[k, 1]
            xx += block[k, 0]
            xy += block[k, 1]
            yy += block[k, 2]
            d[k] = tangent[k, 0] * x + tangent[k, 1] * y
            bx = xx * tangent[k, 0] + xy * tangent[k, 1]
            by = xy * tangent[k, 0] + yy * tangent[k, 1]
            for n in range(k + 1):
                matrix[n, k] = tangent[n, 0] * bx + tangent[n, 1] * by
        for j in range(last):
            turn = turning * (omega[j + 1] - omega[j])
            torque = _clip(q[j] + turn, -hinge, hinge)
            stop = s[j] + turn - _clip(s[j] + turn, turning * low[j], turning * high[j])
            d[j] -= torque + stop
            d[j + 1] += torque + stop
            slope = (turning if abs(q[j] + turn) < hinge else 0.0) + (turning if stop != 0 else 0.0)
            matrix[j, j] += slope
            matrix[j + 1, j + 1] += slope
            matrix[j, j + 1] -= slope
        worst = 0.0
        for k in range(size):
            worst = max(worst, abs(d[k]))
        if solved and worst <= allowed * section:
            # The impulses take over what the dampers do.
            change = swiftest = 0.0
            for i in range(size):
                swiftest = max(swiftest, abs(v[i, 0]), abs(v[i, 1]))
                px, py = _impulse(p[i], v[i], hand, damping, table, i == last)
                change = max(change, abs(px - p[i, 0]), abs(py - p[i, 1]))
                p[i, 0], p[i, 1] = px, py
            for j in range(last):
                turn = turning * (omega[j + 1] - omega[j])
                torque = _clip(q[j] + turn, -hinge, hinge)
                stop = s[j] + turn - _clip(s[j] + turn, turning * low[j], turning * high[j])
                change = max(change, abs(torque - q[j]) / section, abs(stop - s[j]) / section)
                q[j], s[j] = torque, stop
            if change <= max(allowed, 1e-13 * damping * fastest):
                break
            # Slow, and far from where rounding would enter: stiffer dampers.
            if (
                change > 0.3 * before
                and worst < 0.02 * allowed * section
                and damping * swiftest < 1e6 * scale
            ):
                damping, turning = 10.0 * damping, 10.0 * turning
            before, solved = change, False
            continue
        count += 1
        if count > 6 * PATIENCE:
            return -1
        if count % PATIENCE == 0:
            allowed, before = 10.0 * allowed, math.inf
        # Newton's direction, and along it the zero of the derivative, which only grows.
        first = _descend(matrix, d)
        if not first <= 0.0:
            return -1
        _velocities(tangent, d, dv)
        length, below, above = 1.0, 0.0, 1.0
        for _ in range(60):
            slope = 0.0
            for i in range(size):
                x, y = v[i, 0] + length * dv[i, 0], v[i, 1] + length * dv[i, 1]
                px, py = _impulse(p[i], (x, y), hand, damping, table, i == last)
                if i < last:
                    px += mass * (x - old[i, 0])
                    py += mass * (y - old[i, 1])
                slope += px * dv[i, 0] + py * dv[i, 1]
            for j in range(last):
                bend = d[j + 1] - d[j]
                turn = turning * (omega[j + 1] - omega[j] + length * bend)
                stop = s[j] + turn - _clip(s[j] + turn, turning * low[j], turning * high[j])
                slope += (_clip(q[j] + turn, -hinge, hinge) + stop) * bend
            if abs(slope) <= -0.1 * first or (length == 1.0 and slope < 0.0):
                break
            if slope > 0.0:
                above = length
            else:
                below = length
            length = 0.5 * (below + above)
        for k in range(size):
            omega[k] += length * d[k]
        solved = True
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def _velocities(tangent, omega, v):  # type: ignore[no-untyped-def]
    x = y = 0.0
    for i in range(len(omega)):
        x += tangent[i, 0] * omega[i]
        y += tangent[i, 1] * omega[i]
        v[i, 0], v[i, 1] = x, y


@njit(nogil=True, cache=True, error_model="numpy")
def _impulse(p, v, hand, damping, table, held):  # type: ignore[no-untyped-def]
    """Return the impulse against the motion of a point: unbounded if the hand holds it."""
    if held:
        return p[0] + damping * (v[0] - hand[0]), p[1] + damping * (v[1] - hand[1])
    px, py = p[0] + damping * v[0], p[1] + damping * v[1]
    if math.sqrt(px * px + py * py) < table:
        return px, py
    px, py = _unit(px, py)
    return table * px, table * py


@njit(nogil=True, cache=True, error_model="numpy")
def _unit(x, y):  # type: ignore[no-untyped-def]
    length = math.sqrt(x * x + y * y)
    return (x / length, y / length) if length > 0.0 else (0.0, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _clip(x, low, high):  # type: ignore[no-untyped-def]
    return min(max(x, low), high)


@njit(nogil=True, cache=True, error_model="numpy")
def _descend(matrix, d):  # type: ignore[no-untyped-def]
    """Replace a gradient by Newton's direction (Cholesky); return the derivative along it.

    Reads the upper triangle of the matrix and overwrites it.
    """
    size = len(d)
    along = 0.0
    for k in range(size):
        for n in range(k):
            matrix[k, k] -= matrix[n, k] * matrix[n, k]
        matrix[k, k] = math.sqrt(matrix[k, k])
        for c in range(k + 1, size):
            for n in range(k):
                matrix[k, c] -= matrix[n, k] * matrix[n, c]
            matrix[k, c] /= matrix[k, k]
        for n in range(k):
            d[k] -= matrix[n, k] * d[n]
        d[k] /= matrix[k, k]
        along -= d[k] * d[k]
    for k in range(size - 1, -1, -1):
        d[k] = -d[k]
        for c in range(k + 1, size):
            d[k] -= matrix[k, c] * d[c]
        d[k] /= matrix[k, k]
    return along
