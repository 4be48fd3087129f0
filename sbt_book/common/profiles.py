"""How much a notebook computes, by its profile."""

from typing import Any


def at_profile(profile: str, **choices: Any) -> Any:
    """Return what a notebook computes at a profile, one of the names in `choices`.

    ``smoke`` takes seconds, ``quick`` minutes, ``paper`` computes everything.
    """
    if profile not in choices:
        raise ValueError(f"profile={profile!r}: choose one of {', '.join(choices)}")
    return choices[profile]
