"""Processes of this machine as workers, none of which can take another's work with it."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class LocalProcesses(ThreadPoolExecutor):
    """An executor with one process for each worker.

    If a process dies, its task fails with `concurrent.futures.process.BrokenProcessPool`; the
    other tasks go on and the worker gets a new process. (A `ProcessPoolExecutor` would fail every
    task and be of no use afterwards.) The processes end with the one that made them, even if that
    was killed.

    Processes are spawned, not forked, because PyTorch's threads do not survive a fork: a script
    that uses this needs the usual ``if __name__ == "__main__":``.

    Parameters
    ----------
    workers : int
        How many.

    Raises
    ------
    ValueError
        If that is less than one.

    Examples
    --------
    >>> with LocalProcesses(1) as executor:
    ...     executor.submit(pow, 2, 10).result()
    1024
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers={workers!r}: give at least 1")
        super().__init__(workers)
        self._own = threading.local()
        self._pools: list[ProcessPoolExecutor] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call in one of the processes."""
        return super().submit(self._in_process, fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; as `concurrent.futures.Executor.shutdown`."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait, cancel_futures=cancel_futures)

    def _in_process(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self._own, "pool"):
            spawn = multiprocessing.get_context("spawn")
            self._own.pool = ProcessPoolExecutor(1, spawn, initializer=_end_with_parent)
            self._pools.append(self._own.pool)
        try:
            return self._own.pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool:
            del self._own.pool
            raise


def _end_with_parent() -> None:
    """Watch over the parent; without this, a worker would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
