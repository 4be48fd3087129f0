"""Examples at random: accepted is a right answer, or an error of ours that names its argument.

`make test` tries the same 200 each time, `make fuzz` a hundred times as many that are new.
"""

import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ", "1"))
REFUSED = object()
"""What `answer` returns where a call refused its arguments as it should."""
_OURS = [str(Path(__file__).parents[2] / package) for package in ("sbt_utils", "sbt_book")]


def tried(examples: int) -> settings:
    """Try so many examples in `make test`, and `TIMES` as many in `make fuzz`."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def answer(call: Callable[[], Any], *arguments: str) -> Any:
    """Return what a call returns; REFUSED if its error is ours and names one of the arguments."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        refusal = error
    where = traceback.extract_tb(refusal.__traceback__)[-1].filename
    assert where.startswith(tuple(_OURS)), f"{where} refused, not we: {refusal!r}"
    text = str(refusal)
    named = rf"\b({'|'.join(map(re.escape, arguments))})\b"
    assert re.search(named, text), f"none of {arguments} is named: {text!r}"
    assert len(text) < 1000, f"too long for a terminal: {text!r}"
    assert text.isprintable(), f"unfit for a terminal: {text!r}"
    return REFUSED
