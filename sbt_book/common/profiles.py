"""How much a notebook computes, by its profile."""

from typing import Any


def at_profile(profile: str, **choices: Any) -> Any:
    """Return what a notebook computes at a profile.

    Parameters
    ----------
    profile : str
        One of the names in `choices`.
    **choices
        By profile: ``smoke`` (seconds), ``quick`` (minutes), ``paper`` (everything).

    Examples
    --------
    >>> at_profile("quick", smoke=1, quick=3, paper=10)
    3
    """
    if profile not in choices:
        raise ValueError(f"profile={profile!r}: choose one of {', '.join(choices)}")
    return choices[profile]
