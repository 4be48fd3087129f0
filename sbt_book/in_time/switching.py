"""Noise switched on and off: the courses of a network and of a chain, side by side."""

from collections.abc import Sequence

import xarray as xr

from sbt_utils.mechanics.chain import SpringBlockChain


def course(histories: Sequence[xr.Dataset]) -> xr.DataArray:
    """Return the load curves of trainings that went on from one another.

    Parameters
    ----------
    histories : sequence of xarray.Dataset
        `sbt_utils.training.trainer.Training.history`, with ``separation``, in their order.

    Returns
    -------
    xarray.DataArray
        D_l over (member, time, layer), the time in epochs.

    Examples
    --------
    >>> dims = ("member", "probe_epoch", "layer")
    >>> first, then = (xr.Dataset({"separation": (dims, [[[2.0, D]]])}, {"probe_epoch": [epoch]})
    ...                for epoch, D in ((5, 1.0), (10, 0.0)))
    >>> course([first, then]).time.values
    array([ 5, 10])
    """
    parts = [history.separation.reset_coords(drop=True) for history in histories]
    return xr.concat(parts, "probe_epoch", coords="minimal").rename(probe_epoch="time")


def in_turn(
    chains: Sequence[SpringBlockChain], duration: float, seeds: Sequence[int], states: int = 20
) -> xr.DataArray:
    """Simulate chains one after the other, each from where the one before it stopped.

    Parameters
    ----------
    chains : sequence of SpringBlockChain
        As many blocks each; the first starts from rest at x = 0.
    duration : float
        Of each.
    seeds : sequence of int
        One trajectory each.
    states : int
        To keep of each chain, evenly in time, beside its first.

    Returns
    -------
    xarray.DataArray
        D_l over (member, time, layer). Where two chains meet, the state is there once.

    Raises
    ------
    ValueError
        What `SpringBlockChain.simulate` raises.

    Examples
    --------
    >>> from dataclasses import replace
    >>> shaken = SpringBlockChain(noise_decay=0.0)
    >>> course = in_turn([shaken, replace(shaken, noise=0.0)], 700.0, seeds=[0, 1], states=7)
    >>> course.time.values[[0, 7, 14]]
    array([   0.,  700., 1400.])
    """
    dt, last, parts = 0.05, None, []
    for chain in chains:
        every = max(1, round(duration / dt / states))
        run = chain.simulate(duration, dt, seeds=seeds, every=every, start=last)
        part = xr.DataArray(run.separation, {"time": run.times}, ("member", "time", "layer"))
        parts.append(part if last is None else part.isel(time=slice(1, None)))
        last = run
    return xr.concat(parts, "time", coords="minimal")


def drawn_on(separation: xr.DataArray, since: float, pace: float) -> list[tuple[float, float]]:
    """Return the way of a chain's end that is drawn on while a network's separation goes on.

    Parameters
    ----------
    separation : xarray.DataArray
        D_l over (member, time, layer) of a network, the time in epochs.
    since : float
        The epoch up to which the end is held at 1.
    pace : float
        Units of the chain's time to an epoch.

    Returns
    -------
    list of (time, position)
        For ``SpringBlockChain(end=...)``: the network's fall D_0 - D_L, mean over the members, over
        that at `since`.

    Raises
    ------
    ValueError
        If the network has no curve that falls at `since`.

    Examples
    --------
    >>> curves = [[[2.0, 1.0, 0.0], [2.0, 0.5, -1.0]]]
    >>> network = xr.DataArray(curves, {"time": [100, 200]}, ("member", "time", "layer"))
    >>> drawn_on(network, since=100, pace=7.0)
    [(700.0, 1.0), (1400.0, 1.5)]
    """
    fall = (separation.isel(layer=0) - separation.isel(layer=-1)).mean("member")
    fall = fall.sel(time=slice(since, None))
    if not fall.sizes["time"] or fall.time[0] != since or not fall[0] > 0:
        raise ValueError(f"since={since}: give an epoch at which the network's curve falls")
    times, ends = pace * fall.time.values, fall.values / fall.values[0]
    return list(zip(times.tolist(), ends.tolist(), strict=True))
