"""Noise switched on and off: load curves of a network and of a chain over time."""

from collections.abc import Sequence

import xarray as xr

from sbt_utils.mechanics.chain import SpringBlockChain


def course(histories: Sequence[xr.Dataset]) -> xr.DataArray:
    """Return the load curves of trainings that each resume the one before.

    Parameters
    ----------
    histories : sequence of xarray.Dataset
        ``separation`` (member, probe_epoch, layer) of each, in their order.

    Returns
    -------
    xarray.DataArray
        D_l over (member, time, layer), the time in epochs.
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
        Of equal length; the first starts from rest at x = 0.
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
    """Return how the end of a chain moves as a network's separation grows.

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
    """
    fall = (separation.isel(layer=0) - separation.isel(layer=-1)).mean("member")
    fall = fall.sel(time=slice(since, None))
    if not fall.sizes["time"] or fall.time[0] != since or not fall[0] > 0:
        raise ValueError(f"since={since}: give an epoch at which the network's curve falls")
    times, ends = pace * fall.time.values, fall.values / fall.values[0]
    return list(zip(times.tolist(), ends.tolist(), strict=True))
