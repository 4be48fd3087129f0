r"""The folding ruler in time: a chain of rigid rods with implicit dry friction, compiled.

In a step the point velocities v become :math:`v^+ = J(\varphi) \omega`, with the angular velocities
:math:`\omega` of the rods that minimise

.. math:: \tfrac12 |J \omega - v|_M^2 + \Delta t \sum_i \mu m g |J_i \omega|
          + \Delta t \sum_j \tau |\omega_{j+1} - \omega_j|

where the last point follows the hand, :math:`J_N \omega = u`, and no hinge passes its stops. This
is implicit Coulomb friction (Moreau-Jean: Acary & Brogliato 2010, doi
10.1016/j.sysconle.2010.03.002), solved by the method of multipliers with Newton steps (Alart &
Curnier 1991, doi 10.1016/0045-7825(91)90022-X): impulses take over what stiff dampers hold at rest.

At the minimum the derivative along :math:`\omega` vanishes, so that :math:`E^+ - E` is the work of
the hand less the heat of all friction and :math:`\tfrac12 |v^+ - v|_M^2`: energy never appears.

By hand because engines such as pymunk and Box2D stop after a few sweeps over the contacts, too far
from the minimum for this balance or for exact rest; Siconos, which goes on, has no PyPI package.

Rod k = 0..N-1 starts at point k; arrays over ``i`` leave out the pin: i = k is the far end of rod
k, hinge j = i joins rods j and j + 1, and the hand holds i = N - 1.
"""

# mypy: allow-untyped-defs
import math

import numpy as np

from sbt_utils.compiling import compiled

CLOSED = 1e-9
"""Gap in radians at which a hinge counts as lying at its stop: rounding decides no contact."""
INSIDE = 1.0 - 1e-9
"""Fraction of the bound up to which friction holds."""
ROUNDING = 1e-11
"""Fraction of the highest speed up to which a point at the bound counts as resting."""
STIFFNESS = 300.0
"""Of the dampers, in masses of a point; the result does not depend on it, the speed does."""
TOLERANCE = 1e-11
"""Of the impulses, relative to the largest that friction or inertia ask for in this step."""
PATIENCE = 60
"""Newton steps before the tolerance grows tenfold, at most to 1e-6; three or four are common."""


@compiled(nogil=True, error_model="numpy")
def advance(state, impulses, hand, section, mass, table, hinge, dt, done, every, kept):
    """Lead a ruler along the positions of the hand, shape (steps, 2), one per step.

    In place: `state` and its `impulses`, those of `step`. `section` and `mass` are those of one rod
    and one point, `table` and `hinge` the friction force of a point and the friction torque. Row n
    of `kept` takes the state after ``n * every`` steps, counted from `done` steps before these.
    Return the step for which no solution was found, 0 if there was none.
    """
    (angles, omega, v, energies), (p, q, s) = state, impulses
    size, last = len(angles), len(angles) - 1
    low, high, target = np.empty(last), np.empty(last), np.empty(2)
    for n in range(done + 1, done + len(hand) + 1):
        # Aim from where the end is, not from where it was sent: errors of a step do not add up.
        x = y = 0.0
        for k in range(size):
            x += section * math.cos(angles[k])
            y += section * math.sin(angles[k])
        x, y = hand[n - done - 1, 0] - x, hand[n - done - 1, 1] - y
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
        if step(angles, v, target, low, high, section, mass, *bounds, omega, p, q, s) < 0:
            return n
        _settle(angles, target, low, high, section, *bounds, omega, v, p, q, s)
        energies[0] = 0.0
        for i in range(last):
            square = v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1]
            energies[0] += 0.5 * mass * square
            energies[2] += dt * table * math.sqrt(square)
            energies[3] += dt * hinge * abs(omega[i + 1] - omega[i])
        # The hand gives the impulse that its constraint takes from the rest.
        energies[1] -= p[last, 0] * v[last, 0] + p[last, 1] * v[last, 1]
        for k in range(size):
            angles[k] += dt * omega[k]
        if n % every == 0:
            row = n // every
            kept.angles[row], kept.omega[row] = angles, omega
            kept.v[row], kept.energies[row] = v, energies
    return 0


@compiled(nogil=True, error_model="numpy")
def _settle(angles, hand, low, high, section, table, hinge, omega, v, p, q, s):
    """Give what sticks the velocity 0.0, free of rounding: its friction is below the bound."""
    size, last = len(omega), len(omega) - 1
    swiftest = quickest = 0.0
    for k in range(size):
        swiftest = max(swiftest, abs(v[k, 0]) + abs(v[k, 1]))
        quickest = max(quickest, abs(omega[k]))
    # The ends of section k are the points k and k + 1, the pin included here.
    rests, locked = np.empty(size + 1, np.bool_), np.zeros(size, np.bool_)
    rests[0] = True
    rests[size] = hand[0] == 0.0 and hand[1] == 0.0
    for i in range(last):
        friction = _length(p[i, 0], p[i, 1])
        speed = abs(v[i, 0]) + abs(v[i, 1])
        rests[i + 1] = friction < INSIDE * table or (speed <= ROUNDING * swiftest and table > 0.0)
        rate = abs(omega[i + 1] - omega[i])
        locked[i] = (
            abs(q[i]) < INSIDE * hinge
            or (s[i] > 0.0 and high[i] == 0.0)
            or (s[i] < 0.0 and low[i] == 0.0)
            or (rate <= ROUNDING * quickest and hinge > 0.0)
        )
    # A piece that comes to rest may leave its neighbour with both ends at rest: repeat.
    again = True
    while again:
        again, start = False, 0
        for k in range(size):
            if locked[k]:
                continue
            # Sections start..k are one rigid piece: at rest if one of them has both ends at rest.
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


@compiled(nogil=True, error_model="numpy")
def step(angles, v, hand, low, high, section, mass, table, hinge, omega, p, q, s):
    """Minimise the function of the module; return the Newton steps, -1 without a solution.

    In place: angular velocities `omega`; velocities `v` (N, 2) of the points before and after;
    impulses against the motion, of the table on each point `p` (N, 2) (the last: minus that of the
    hand), of friction in the hinges `q` and of their stops `s`, first guesses as input. What sticks
    keeps a velocity of the order of rounding. `hand` is a velocity; `low` and `high` bound the
    hinges' rates, `table` and `hinge` the impulses of friction.
    """
    size, last = len(angles), len(angles) - 1
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
        # Impulses at each point, and how they change with its velocity: block = (xx, xy, yy).
        _velocities(tangent, omega, v)
        for i in range(size):
            px, py = p[i, 0] + damping * v[i, 0], p[i, 1] + damping * v[i, 1]
            block[i, 0], block[i, 1], block[i, 2] = damping, 0.0, damping
            if i == last:
                force[i, 0], force[i, 1] = px - damping * hand[0], py - damping * hand[1]
                continue
            length = _length(px, py)
            if length >= table:  # the point slides: friction of fixed size can only turn
                ratio = damping * table / length if length > 0.0 else 0.0
                px, py = _unit(px, py)
                xx, xy, yy = ratio * py * py, -ratio * px * py, ratio * px * px
                block[i, 0], block[i, 1], block[i, 2] = xx, xy, yy
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
            torque, stop = _torques(q[j], s[j], turn, hinge, turning * low[j], turning * high[j])
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
            # Method of multipliers: the impulses take over what the dampers do.
            change = swiftest = 0.0
            for i in range(size):
                swiftest = max(swiftest, abs(v[i, 0]), abs(v[i, 1]))
                px, py = _impulse(p[i], v[i], hand, damping, table, i == last)
                change = max(change, abs(px - p[i, 0]), abs(py - p[i, 1]))
                p[i, 0], p[i, 1] = px, py
            for j in range(last):
                turn = turning * (omega[j + 1] - omega[j])
                torque, stop = _torques(
                    q[j], s[j], turn, hinge, turning * low[j], turning * high[j]
                )
                change = max(change, abs(torque - q[j]) / section, abs(stop - s[j]) / section)
                q[j], s[j] = torque, stop
            if change <= max(allowed, 1e-13 * damping * fastest):
                return count
            # Slow, and far from where rounding would enter: stiffer dampers.
            exact = worst < 0.02 * allowed * section and damping * swiftest < 1e6 * scale
            if change > 0.3 * before and exact:
                damping, turning = 10.0 * damping, 10.0 * turning
            before, solved = change, False
            continue
        count += 1
        if count > 6 * PATIENCE:
            return -1
        if count % PATIENCE == 0:
            allowed, before = 10.0 * allowed, math.inf
        # Newton's direction, and along it, by bisection, the zero of the growing derivative.
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
                torque, stop = _torques(
                    q[j], s[j], turn, hinge, turning * low[j], turning * high[j]
                )
                slope += (torque + stop) * bend
            if abs(slope) <= -0.1 * first or (length == 1.0 and slope < 0.0):
                break
            below, above = (below, length) if slope > 0.0 else (length, above)
            length = 0.5 * (below + above)
        for k in range(size):
            omega[k] += length * d[k]
        solved = True


@compiled(nogil=True, error_model="numpy")
def _velocities(tangent, omega, v):
    """Write the velocities of the points, J omega."""
    x = y = 0.0
    for i in range(len(omega)):
        x += tangent[i, 0] * omega[i]
        y += tangent[i, 1] * omega[i]
        v[i, 0], v[i, 1] = x, y


@compiled(nogil=True, error_model="numpy")
def _impulse(p, v, hand, damping, table, held):
    """Return the impulse against the motion of a point: unbounded if the hand holds it."""
    if held:
        return p[0] + damping * (v[0] - hand[0]), p[1] + damping * (v[1] - hand[1])
    px, py = p[0] + damping * v[0], p[1] + damping * v[1]
    if _length(px, py) < table:
        return px, py
    px, py = _unit(px, py)
    return table * px, table * py


@compiled(nogil=True, error_model="numpy")
def _torques(q, s, turn, hinge, low, high):
    """Return the impulses of a hinge's friction, within its bound, and of its stops."""
    return _clip(q + turn, -hinge, hinge), s + turn - _clip(s + turn, low, high)


@compiled(nogil=True, error_model="numpy")
def _length(x, y):
    square = x * x + y * y
    # Where squares lose digits: a friction of 1e-200 would seem none, and so never overcome.
    return math.sqrt(square) if square > 1e-280 else math.hypot(x, y)


@compiled(nogil=True, error_model="numpy")
def _unit(x, y):
    length = _length(x, y)
    return (x / length, y / length) if length > 0.0 else (0.0, 0.0)


@compiled(nogil=True, error_model="numpy")
def _clip(x, low, high):
    return min(max(x, low), high)


@compiled(nogil=True, error_model="numpy")
def _descend(matrix, d):
    """Replace a gradient by Newton's direction (Cholesky); return the derivative along it.

    The upper triangle of the matrix is overwritten. NaN, no exception, if it is not positive.
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
