"""How much a notebook computes, by its profile."""

import os
from typing import Any

# About how many minutes each chapter takes on a GPU of Colab (a T4 with two processor cores), by
# profile. `paper` is listed where the GPU does its work.
COLAB_GPU_MINUTES: dict[int, dict[str, int]] = {
    1: {"quick": 1, "paper": 6},
    2: {"quick": 2},
    3: {"quick": 2},
    4: {"quick": 1, "paper": 8},
    5: {"quick": 1, "paper": 3},
    6: {"quick": 1, "paper": 240},
    7: {"quick": 2},
    8: {"quick": 2, "paper": 20},
    9: {"quick": 1},
    10: {"quick": 1},
    11: {"quick": 1},
}
_LONGEST = 10  # minutes that a chapter may take without having been asked to


def at_profile(profile: str, **choices: Any) -> Any:
    """Return what a notebook computes at a profile, one of the names in `choices`.

    ``smoke`` takes seconds, ``quick`` minutes, ``paper`` computes everything.
    """
    if profile not in choices:
        raise ValueError(f"profile={profile!r}: choose one of {', '.join(choices)}")
    return choices[profile]


def profile_for(chapter: int, device: str) -> str:
    """Return the profile that a chapter runs at if its reader chooses none.

    It is ``quick``, or on Colab with a GPU ``paper`` if that takes a few minutes only; a line then
    says how long. Elsewhere ``paper`` would overwrite results that belong to a checkout.

    Parameters
    ----------
    chapter : int
        The number of the chapter, from 1 to 11.
    device : str
        What its networks train on, such as ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    str
        ``"quick"`` or ``"paper"``.

    Raises
    ------
    ValueError
        If there is no such chapter.

    Examples
    --------
    >>> profile_for(4, "cpu")
    'quick'
    """
    if chapter not in COLAB_GPU_MINUTES:
        raise ValueError(f"chapter={chapter!r}: choose one from 1 to {max(COLAB_GPU_MINUTES)}")
    if device == "cpu" or "COLAB_RELEASE_TAG" not in os.environ:
        return "quick"
    minutes = COLAB_GPU_MINUTES[chapter]
    chosen = "paper" if minutes.get("paper", _LONGEST + 1) <= _LONGEST else "quick"
    times = ", ".join(f'"{name}" about {time} min' for name, time in minutes.items())
    print(f'On this GPU the chapter runs at the profile "{chosen}"; it takes, at {times}.')
    return chosen
