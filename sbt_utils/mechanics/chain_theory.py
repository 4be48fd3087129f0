"""What theory says of a spring-block chain that is shaken: where it goes, how fast, how it jitters.

A block that a constant force F pulls over a shaken table has a mean velocity V(F). Put in place of
the noise and the friction, it turns the chain into an equation without chance, x'_l = V(F_l), that
takes the static chain over to its mean-field loads: the mean field of the title.
"""

import math

import numpy as np
from numba import njit

from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_steps import Forces, spring_forces

_ROOT_PI = math.sqrt(math.pi)


def drift(chain: SpringBlockChain, force: float, overdamped: bool = False) -> float:
    r"""Return the mean velocity V(F) of a free block under a constant force and the noise.

    In first order :math:`V = s\,[G(a) - G(b)]` with :math:`a = (\mu_{right} - F)/s`,
    :math:`b = (\mu_{left} + F)/s` and :math:`G(u) = \phi(u) - u\,\Phi(-u)`, the mean of what a
    standard normal exceeds u by. In second order it is the mean of the stationary density of
    velocities, :math:`p(v) \propto \exp(-2 m [(\mu - F) v + \gamma v^2/2] / \varepsilon^2)` for
    v > 0 and alike for v < 0: with :math:`a, b = (\mu_{right} - F, \mu_{left} + F)
    \sqrt{m/\gamma}/\varepsilon` and the scaled complementary error function erfcx,

    .. math:: V = \frac{\varepsilon}{\sqrt{\pi m \gamma}}
        \frac{g(a) - g(b)}{\operatorname{erfcx} a + \operatorname{erfcx} b},
        \qquad g(u) = 1 - \sqrt\pi\, u \operatorname{erfcx} u.

    Both vanish at F = (μ_right - μ_left) / 2 whatever the noise, as G and g fall steadily.

    Parameters
    ----------
    chain : SpringBlockChain
        With the noise at t = 0 and, where they differ, the frictions of the first block.
    force : float
        F.
    overdamped : bool
        In first order; else in second.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        In second order without mass or damping: nothing limits the velocity.

    References
    ----------
    The density solves the stationary Fokker-Planck equation of Langevin motion with dry friction;
    P.-G. de Gennes, J. Stat. Phys. 119 (2005) 953.

    Examples
    --------
    >>> chain = SpringBlockChain(friction_right=0.05, friction_left=0.1, noise=0.1)
    >>> drift(chain, -0.025), drift(chain, 0.0) > 0
    (0.0, True)
    """
    _check_drift(chain, overdamped)
    if not np.isfinite(force):
        raise ValueError(f"force={force}: give a finite number")
    velocities = np.empty(chain.blocks)
    pulled = np.full(chain.blocks, float(force))
    _drifts(pulled, chain.acting, chain.amplitude, overdamped, velocities)
    return float(velocities[0])


def relaxation(chain: SpringBlockChain, times: np.ndarray, overdamped: bool = False) -> np.ndarray:
    r"""Return the loads of the mean field, x'_l = V(F_l), from rest at x = 0.

    Early on, and forever without noise, the loads are those of `static_loads`; in the end those of
    `mean_field_loads`; noise sets the pace. Inertia is left out, which matters for the first few
    m/γ, and so is what the chain's own jitter adds to the noise of each block. In first order this
    is what `simulate_overdamped` tends to as dt falls (the averaging principle).

    Parameters
    ----------
    chain : SpringBlockChain
        Held or drawn by a constant force.
    times : ndarray, shape (n,)
        When, in ascending order, from 0 on.
    overdamped : bool
        In first order; else in second.

    Returns
    -------
    ndarray, shape (n, L + 1)
        d_1..d_{L+1}.

    Raises
    ------
    ValueError
        Times that do not ascend from 0 on; an end with a history; in second order no damping.

    Notes
    -----
    Classical Runge-Kutta steps of at most 0.4 γ/k (in first order 0.4/k), shorter at
    first; positions are exact to about 1e-6 y.

    Examples
    --------
    >>> chain = SpringBlockChain(spring_constant=1, friction_right=0.05, friction_left=0.1,
    ...                          noise=0.1, noise_decay=0)
    >>> loads = relaxation(chain, np.array([1e4]), overdamped=True)
    >>> bool(abs(loads - chain.mean_field_loads()).max() < 1e-12)
    True
    """
    _check_drift(chain, overdamped)
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times, prepend=0.0) < 0).any():
        raise ValueError("times: give finite numbers in ascending order, from 0 on")
    longest = 0.4 / chain.spring_constant * (1.0 if overdamped else chain.damping)
    positions = np.empty((len(times), chain.blocks))
    _relax(
        times,
        longest,
        chain.acting,
        chain.pull,
        chain.amplitude,
        chain.noise_decay,
        overdamped,
        positions,
    )
    if chain.force is None:
        end = np.full((len(times), 1), chain.pull / chain.spring_constant)
    else:
        end = positions[:, -1:] + chain.force / chain.spring_constant
    return np.diff(positions, prepend=0.0, append=end)


def stiffness(chain: SpringBlockChain) -> np.ndarray:
    """Return the matrix A of the springs' forces on the blocks, -A x but for the pull.

    Parameters
    ----------
    chain : SpringBlockChain
        Of L blocks.

    Returns
    -------
    ndarray, shape (L, L)
        Tridiagonal.

    Examples
    --------
    >>> stiffness(SpringBlockChain(blocks=2, spring_constant=1.0))
    array([[ 2., -1.],
           [-1.,  2.]])
    """
    matrix = 2 * np.eye(chain.blocks) - np.eye(chain.blocks, k=1) - np.eye(chain.blocks, k=-1)
    matrix[-1, -1] -= chain.force is not None
    return chain.spring_constant * matrix


def stationary_covariance(chain: SpringBlockChain) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the covariances of a shaken second-order chain without friction.

    An Ornstein-Uhlenbeck process: in the basis of the springs' eigenvectors, with squared
    frequencies :math:`\omega_i^2`, :math:`g = \gamma/m` and noise :math:`Q_{ij}` (over m²),

    .. math:: \langle x_i x_j \rangle = \frac{2 g\, Q_{ij}}
        {(\omega_i^2 - \omega_j^2)^2 + 2 g^2 (\omega_i^2 + \omega_j^2)},
        \qquad \langle v_i v_j \rangle = \frac{\omega_i^2 + \omega_j^2}{2} \langle x_i x_j \rangle.

    For independent noise this is equipartition at the temperature ε²/(2 γ).

    Parameters
    ----------
    chain : SpringBlockChain
        Without friction and without decay of the noise.

    Returns
    -------
    positions, velocities : ndarray, shape (L, L)

    Raises
    ------
    ValueError
        If there is friction, the noise decays, or mass or damping is zero.

    Examples
    --------
    >>> free = SpringBlockChain(blocks=1, spring_constant=1, friction_right=0, friction_left=0,
    ...                         noise=0.2, noise_decay=0)
    >>> positions, velocities = stationary_covariance(free)
    >>> round(positions.item(), 12), round(velocities.item(), 12)  # 0.2² / (2 γ) over 2 k, over m
    (0.01, 0.02)
    """
    _check_drift(chain, overdamped=False)
    if np.any(chain.frictions) or chain.noise_decay:
        raise ValueError(
            "friction_right, friction_left, noise_decay: the closed form is of a chain without; "
            "give 0 for all"
        )
    squares, modes = np.linalg.eigh(stiffness(chain) / chain.mass)
    shape = np.ones((chain.blocks,) * 2) if chain.common_noise else np.eye(chain.blocks)
    noise = (chain.amplitude / chain.mass) ** 2 * (modes.T @ shape @ modes)
    g = chain.damping / chain.mass
    total, apart = np.add.outer(squares, squares), np.subtract.outer(squares, squares)
    positions = 2 * g * noise / (apart**2 + 2 * g**2 * total)
    return modes @ positions @ modes.T, modes @ (total / 2 * positions) @ modes.T


def _check_drift(chain: SpringBlockChain, overdamped: bool) -> None:
    for name in ("mass", "damping"):
        if not overdamped and getattr(chain, name) == 0:
            raise ValueError(f"{name}=0: the second order needs it to have a mean velocity")


@njit(cache=True)
def _relax(
    times: np.ndarray,
    longest: float,
    forces: Forces,
    pull: float,
    amplitude: float,
    decay: float,
    overdamped: bool,
    positions: np.ndarray,
) -> None:
    """Write the mean field's positions at the times, shape (n, L)."""
    blocks = positions.shape[1]
    x = np.zeros(blocks)
    pulled = np.empty(blocks)
    slopes = np.zeros((4, blocks))
    t = 0.0
    # The front of the pull crosses the chain early on, and noise that decays does so at first.
    shortest = longest / 50 if decay * longest < 5 else 0.1 / decay
    for n in range(len(times)):
        while t < times[n]:
            h = min(longest, shortest + t / 20, times[n] - t)
            for stage in range(4):
                ahead = 0.0 if stage == 0 else (h if stage == 3 else h / 2)
                at = x + ahead * slopes[stage - 1]
                spring_forces(at, forces.spring, forces.last_spring, pull, pulled)
                noise = amplitude * math.exp(-decay * (t + ahead))
                _drifts(pulled, forces, noise, overdamped, slopes[stage])
            x += h / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])
            t = times[n] if h == times[n] - t else t + h
        positions[n] = x


@njit(cache=True)
def _drifts(
    pulled: np.ndarray, forces: Forces, noise: float, overdamped: bool, velocities: np.ndarray
) -> None:
    """Write V(F) of each block."""
    for block in range(len(pulled)):
        right = forces.friction_right[block] - pulled[block]  # what holds it back to either side
        left = forces.friction_left[block] + pulled[block]
        if noise < 1e-100:  # its square would be none
            velocity = max(-right, 0.0) - max(-left, 0.0)
            velocities[block] = velocity if overdamped else velocity / forces.damping
        elif overdamped:
            velocities[block] = noise * (_excess(right / noise) - _excess(left / noise))
        else:
            unit = noise * math.sqrt(forces.damping / forces.mass)
            velocities[block] = unit / forces.damping * _mean_velocity(right / unit, left / unit)


@njit(cache=True)
def _excess(u: float) -> float:
    """Return the mean of what a standard normal exceeds u by."""
    return math.exp(-u * u / 2) / math.sqrt(2 * math.pi) - u * math.erfc(u / math.sqrt(2)) / 2


@njit(cache=True)
def _mean_velocity(a: float, b: float) -> float:
    """Return (g(a) - g(b)) / sqrt(π) / (erfcx a + erfcx b)."""
    if a < -20.0:  # the block slides on and on: erfcx a is beyond bounds
        return -a
    if b < -20.0:
        return b
    first, second = _erfcx(a), _erfcx(b)
    return (_gap(a, first) - _gap(b, second)) / (_ROOT_PI * (first + second))


@njit(cache=True)
def _erfcx(u: float) -> float:
    """Return exp(u²) erfc(u), for u > -26."""
    if u < 20.0:
        return math.exp(u * u) * math.erfc(u)
    return (1 - _gap(u, 0.0)) / (u * _ROOT_PI)


@njit(cache=True)
def _gap(u: float, erfcx: float) -> float:
    """Return g(u) = 1 - sqrt(π) u erfcx(u)."""
    if u < 20.0:
        return 1 - _ROOT_PI * u * erfcx
    w = 1 / (2 * u * u)  # what is left of the difference, as a series
    return w * (1 - 3 * w * (1 - 5 * w * (1 - 7 * w * (1 - 9 * w * (1 - 11 * w)))))
