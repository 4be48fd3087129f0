"""The folding ruler in time: compiled steps from one position of the hand to the next."""

import math

import numpy as np
from numba import njit

from sbt_utils.mechanics.dry_friction import step

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
