"""Compiled loops: kept on disk where a folder can be written, announced where they take long."""

import gc
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core import event
from numba.core.registry import cpu_target

# What numba imports at the first call, here without a search for garbage (`sbt_utils.lazily`).
cpu_target.target_context.refresh()

_PATIENCE = 2.0  # seconds of compiling after which a person at a terminal is told, once a process


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `numba.njit` with options, kept on disk for later processes.

    It is kept beside the module, in the user's cache folder where that cannot be written, and
    nowhere where nothing can: numba's ``cache=True`` would then raise as the module is imported.

    Examples
    --------
    >>> @compiled(error_model="numpy")
    ... def half(x):
    ...     return x / 2
    >>> half(3.0)
    1.5
    """

    def decorate(function: Callable[..., Any]) -> Any:
        kernel = njit(**options)(function)
        with suppress(RuntimeError):  # no folder for it
            kernel.enable_caching()
        _watch.kernels.add(kernel)
        return kernel

    return decorate


class _Watch(event.Listener):
    """Spares compiling the search for garbage, a tenth of its time, and tells if it takes long.

    numba compiles in one thread at a time; it tells of what a kernel calls, too.
    """

    def __init__(self) -> None:
        self.kernels: set[Any] = set()
        self.kernel: Any = None
        self.begun = self.seconds = 0.0
        self.collects = self.told = False

    def on_start(self, event: Any) -> None:
        kernel = event.data["dispatcher"]
        if self.kernel is None and kernel in self.kernels:
            self.kernel, self.begun, self.collects = kernel, time.monotonic(), gc.isenabled()
            gc.disable()
        elif self.kernel is not None:
            self.tell()

    def on_end(self, event: Any) -> None:
        if self.kernel is None:
            return
        self.tell()
        if event.data["dispatcher"] is self.kernel:
            self.seconds += time.monotonic() - self.begun
            self.kernel = None
            if self.collects:
                gc.enable()

    def tell(self) -> None:
        if self.told or self.seconds + time.monotonic() - self.begun < _PATIENCE:
            return
        self.told = True
        folder = self.kernel.stats.cache_path
        kept = f"keeps them in {folder}" if folder else "can write no folder; set NUMBA_CACHE_DIR"
        if sys.stderr is not None and sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1  # over a progress bar that stands there
            text = f"sbt_utils: numba compiles loops, for some seconds; it {kept}"
            print(f"\r{text:<{width}}", file=sys.stderr)


_watch = _Watch()
event.register("numba:compile", _watch)
