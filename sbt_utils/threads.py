"""Work in threads that ends soon after Ctrl-C, and work that must not be cut by it."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread, current_thread, local, main_thread
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

_PATIENCE = 1.0  # seconds that threads have to end in, once they are to stop
_GLANCE = 0.2  # seconds after which Ctrl-C acts that came just before Python began to wait

_of_thread = local()
_limits, _limiting = list[threadpool_limits](), Lock()

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_threads(
    work: Callable[[_Item, Event], _Result], items: Iterable[_Item], most: int | None = None
) -> list[_Result]:
    """Return ``[work(item, stopped) for item in items]``, computed in threads that Ctrl-C stops.

    Ctrl-C and failures reach the calling thread alone: work that lasts asks ``stopped.is_set()``
    now and then, or has what it calls ask `check_stopped`, and may then return or raise anything.

    Parameters
    ----------
    work : callable
        Of an item and of the `threading.Event` that says when to stop.
    items : iterable
        Each is given to one thread; they are begun in order.
    most : int, optional
        How many threads to use at most; default one for each processor.

    Raises
    ------
    BaseException
        What the first work to fail raised; no further item is begun.

    Examples
    --------
    >>> in_threads(lambda item, stopped: item**2, [1, 2, 3])
    [1, 4, 9]
    """
    items = list(items)
    results: list[Any] = [None] * len(items)
    # Not by a ThreadPoolExecutor: its locks stay locked where Ctrl-C comes while it takes work.
    stopped, ended, numbers = Event(), SimpleQueue[BaseException | None](), iter(range(len(items)))

    def run() -> None:
        _of_thread.stopped = stopped
        try:
            for number in numbers:  # the next that no thread has begun
                if stopped.is_set():
                    break
                results[number] = work(items[number], stopped)
        except BaseException as failure:
            ended.put(failure)
        else:
            ended.put(None)

    running = 0
    try:
        for _ in range(min(len(items), most or os.cpu_count() or 1)):
            running += 1  # first: Ctrl-C may come in the next line, when the thread is at work
            Thread(target=run, daemon=True).start()
        while running:
            try:
                failure = ended.get(timeout=_GLANCE)
            except Empty:
                continue
            running -= 1
            if failure:
                raise failure
    except BaseException:
        stopped.set()
        latest = time.monotonic() + _PATIENCE
        with suppress(Empty):  # raised for what compiles just now: it stops afterwards
            for _ in range(running):
                ended.get(timeout=max(0.0, latest - time.monotonic()))
        raise
    return results


def check_stopped() -> None:
    """Raise `concurrent.futures.CancelledError` in a thread of `in_threads` that is to stop.

    Elsewhere, where Ctrl-C arrives by itself, do nothing.
    """
    stopped = getattr(_of_thread, "stopped", None)
    if stopped is not None and stopped.is_set():
        raise CancelledError


@contextmanager
def uncut() -> Iterator[None]:
    """Let Ctrl-C act after what runs within, which must be short: a change that has to be whole.

    Destructors count among such: Python drops what is raised there, and Ctrl-C would be lost.
    """
    before = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or before is None:
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def single_products() -> Iterator[None]:
    """Let SciPy's and NumPy's matrix products use one thread each, until the last such block ends.

    On more threads they round differently; and other threads have work of their own.
    """
    with uncut(), _limiting:
        _limits.append(threadpool_limits(1, "blas"))
    try:
        yield
    finally:
        with uncut(), _limiting:
            limit = _limits.pop()  # the last one left is the first: it knows how it was before
            if not _limits:
                limit.restore_original_limits()
