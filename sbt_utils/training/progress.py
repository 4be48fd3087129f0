"""Progress bars that Ctrl-C cannot leave locked."""

import sys
from threading import RLock
from typing import Any

from tqdm.auto import tqdm


class _Bar(tqdm):
    # No thread beside, and no lock that processes share: a signal while tqdm takes it in one thread
    # and waits for it in the other would hold both for ever.
    monitor_interval = 0


_Bar.set_lock(RLock())


def progress_bar(shown: bool, **settings: Any) -> tqdm:
    """Return a bar with settings of `tqdm`; hidden also where there is no stream to write to."""
    return _Bar(disable=not shown or sys.stderr is None, **settings)


def tell(text: str) -> None:
    """Write a line beside the bars."""
    _Bar.write(text, file=sys.stderr)
