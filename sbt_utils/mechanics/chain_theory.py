"""Theory of a shaken spring-block chain: where it goes, how fast, and how much it jitters.

A block that a constant force F pulls over a shaken table has a mean velocity V(F). With V in place
of noise and friction the chain obeys a deterministic equation, x'_l = V(F_l), which leads from the
static loads to the mean-field loads: the mean field.
"""

from threading import Event

import numpy as np

from sbt_utils.mechanics.chain import SpringBlockChain
from sbt_utils.mechanics.chain_parameters import LARGEST, LEAST_SKEWED
from sbt_utils.mechanics.chain_steps import drifts, relax
from sbt_utils.numbers import as_array, as_number
from sbt_utils.threads import in_threads

MOST_STEPS = 10**6
"""Of `relaxation`: seconds for a short chain. Who needs more has a chain that long came to rest."""
# Steps times blocks that are taken between two questions whether to stop: some milliseconds.
_MOVED_AT_ONCE = 2**15
_MOST_MODES = 2000


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

    Both vanish at F = (μ_right - μ_left) / 2 however strong the noise, since G and g fall
    monotonically. The slope there is the pace at which a shaken chain creeps on: in first order
    :math:`2\,\Phi(-w/s)` with :math:`w = (\mu_{right} + \mu_{left}) / 2`, next to nothing where
    the noise rarely exceeds w.

    Parameters
    ----------
    chain : SpringBlockChain
        Its noise at t = 0 and, where blocks differ, the frictions of the first one.
    force : float
        F.
    overdamped : bool
        First order instead of second.

    Raises
    ------
    ValueError
        In second order without mass or damping, where nothing limits the velocity; skewed noise.

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
    _check_normal(chain)
    force = as_number("force", force)
    if not abs(force) <= LARGEST:
        raise ValueError(f"force={force}: give a finite number, at most {LARGEST:g}")
    velocities = np.empty(chain.blocks)
    spring_force = np.full(chain.blocks, float(force))
    drifts(spring_force, chain.acting, chain.amplitude, overdamped, velocities)
    return float(velocities[0])


def relaxation(chain: SpringBlockChain, times: np.ndarray, overdamped: bool = False) -> np.ndarray:
    r"""Return the loads of the mean field, x'_l = V(F_l), from rest at x = 0.

    Early on, and forever without noise, the loads are those of `static_loads`; in the end those of
    `mean_field_loads`; noise sets the pace. Two things are left out: inertia, which matters for the
    first few m/γ, and what the chain's own jitter adds to the noise on each block. In first order
    this is what `simulate_overdamped` tends to as dt falls (the averaging principle).

    Parameters
    ----------
    chain : SpringBlockChain
        Held in one place or drawn by a constant force.
    times : ndarray, shape (n,)
        Ascending, from 0 on.
    overdamped : bool
        First order instead of second.

    Returns
    -------
    ndarray, shape (n, L + 1)
        d_1..d_{L+1}.

    Raises
    ------
    ValueError
        Times that do not ascend from 0 on, or would take more than a million steps; an end with a
        history; no damping in second order; skewed noise.

    Notes
    -----
    Classical Runge-Kutta steps of at most 0.4 γ/(k + κ/4), in first order 0.4/(k + κ/4), shorter at
    first; positions are accurate to about 1e-6 y.

    Examples
    --------
    >>> chain = SpringBlockChain(spring_constant=1, friction_right=0.05, friction_left=0.1,
    ...                          noise=0.1, noise_decay=0)
    >>> loads = relaxation(chain, np.array([1e4]), overdamped=True)
    >>> bool(abs(loads - chain.mean_field_loads()).max() < 1e-12)
    True
    """
    _check_drift(chain, overdamped)
    _check_normal(chain)
    times = as_array(times)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times, prepend=0.0) < 0).any():
        raise ValueError("times: give finite numbers in ascending order, from 0 on")
    stiff = chain.spring_constant + chain.drive / 4  # a quarter of the stiffest mode, at most
    longest_step = 0.4 / stiff * (1.0 if overdamped else chain.damping)
    if len(times) and times[-1] > MOST_STEPS * longest_step:
        step = "0.4 / k" if overdamped else f"0.4 γ / k with damping γ={chain.damping}"
        raise ValueError(
            f"times: {times[-1]:g} is more than {MOST_STEPS:,} steps of {longest_step:g}, which is "
            f"{step} and spring_constant k={chain.spring_constant}; give shorter times, softer "
            "springs" + ("" if overdamped else " or more damping")
        )
    positions = np.empty((len(times), chain.blocks))
    at_most = max(1, _MOVED_AT_ONCE // chain.blocks)
    pull = chain.pull  # an error where the end has a history
    fixed = longest_step, chain.acting, chain.pulls_at(np.zeros(1))[0]
    noise = chain.amplitude, float(chain.noise_decay)

    def lead(x: np.ndarray, stopped: Event) -> None:
        t = 0.0
        for n, until in enumerate(times.tolist()):
            while t < until and not stopped.is_set():
                t = relax(x, t, until, *fixed, *noise, bool(overdamped), at_most)
            positions[n] = x

    in_threads(lead, [np.zeros(chain.blocks)])
    if chain.force is None:
        end = np.full((len(times), 1), pull / chain.spring_constant)
    else:
        end = positions[:, -1:] + chain.force / chain.spring_constant
    return np.diff(positions, prepend=0.0, append=end)


def stiffness(chain: SpringBlockChain) -> np.ndarray:
    """Return A, shape (L, L), where springs and drive draw the blocks by -A x but for the pull."""
    matrix = 2 * np.eye(chain.blocks) - np.eye(chain.blocks, k=1) - np.eye(chain.blocks, k=-1)
    matrix[-1, -1] -= chain.force is not None
    return chain.spring_constant * matrix + chain.drive * np.eye(chain.blocks)


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
        Without friction, and with noise that does not decay.

    Returns
    -------
    positions, velocities : ndarray, shape (L, L)

    Raises
    ------
    ValueError
        If there is friction, the noise decays, mass or damping is zero, or there are more than
        2,000 blocks: time and memory grow as powers of them.

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
    if chain.blocks > _MOST_MODES:
        raise ValueError(
            f"blocks={chain.blocks}: give at most {_MOST_MODES:,}, whose squares fit into memory"
        )
    # In units of time of sqrt(m / k) and lengths of ε / sqrt(k) (k m)^(-1/4) nothing overflows.
    k, m = chain.spring_constant + chain.drive, chain.mass
    squares, modes = np.linalg.eigh(stiffness(chain) / k)
    shape = np.ones((chain.blocks,) * 2) if chain.common_noise else np.eye(chain.blocks)
    noise = modes.T @ shape @ modes
    g = chain.damping / m / np.sqrt(k / m)
    total, apart = np.add.outer(squares, squares), np.subtract.outer(squares, squares)
    positions = 2 * noise / (apart**2 / g + 2 * g * total)
    length = chain.amplitude / np.sqrt(k) / (k * m) ** 0.25
    speed = length * np.sqrt(k / m)
    with np.errstate(over="ignore", invalid="ignore"):
        covariances = (
            modes @ positions @ modes.T * length**2,
            modes @ (total / 2 * positions) @ modes.T * speed**2,
        )
    if not np.isfinite(covariances).all():
        raise ValueError(
            f"noise={chain.noise}: the covariances are out of range; give less beside mass, "
            "damping and spring_constant"
        )
    return covariances


def _check_drift(chain: SpringBlockChain, overdamped: bool) -> None:
    for name in ("mass", "damping"):
        value = getattr(chain, name)
        if not overdamped and value < 1 / LARGEST:
            raise ValueError(f"{name}={value:g}: the second order needs it to have a mean velocity")
    # Noise below 1e-100 counts as none, which is right beside larger forces only.
    held = chain.force is None and isinstance(chain.end, tuple)
    pull = 0.0 if held else float(np.abs(chain.pulls_at(np.zeros(1))).max())
    largest = max(pull, chain.amplitude, *(float(sides.max()) for sides in chain.frictions))
    if 0 < largest < 1e-80:
        raise ValueError(f"chain: forces of at most {largest:g}; give larger ones, in other units")


def _check_normal(chain: SpringBlockChain) -> None:
    if abs(chain.skewness) >= LEAST_SKEWED:
        raise ValueError(
            f"skewness={chain.skewness}: the mean velocity is that of normal noise; give "
            "skewness=0, or simulate the chain"
        )
