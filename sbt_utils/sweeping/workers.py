"""Worker processes on this machine; one that dies loses its own task only."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class LocalProcesses(ThreadPoolExecutor):
    """An executor that runs each worker's tasks in a process of its own.

    If a process dies, its task fails with `concurrent.futures.process.BrokenProcessPool`; the other
    tasks are unaffected and the worker starts a new process. (A `ProcessPoolExecutor` fails all its
    tasks and cannot be used again.) The processes end with their parent, even if it is killed.

    Processes are spawned, not forked, because PyTorch's threads do not survive a fork: a script
    that uses this needs the usual ``if __name__ == "__main__":``. ValueError for less than one of
    `workers`.

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
        self._of_thread = threading.local()
        self._pools: list[ProcessPoolExecutor] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call; as `concurrent.futures.Executor.submit`."""
        return super().submit(self._in_process, fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls; as `concurrent.futures.Executor.shutdown`."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait, cancel_futures=cancel_futures)

    def _in_process(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self._of_thread, "pool"):
            spawn = multiprocessing.get_context("spawn")
            self._of_thread.pool = ProcessPoolExecutor(1, spawn, initializer=_end_with_parent)
            self._pools.append(self._of_thread.pool)
        try:
            return self._of_thread.pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool:
            del self._of_thread.pool
            raise


def _end_with_parent() -> None:
    """End this process when its parent ends; otherwise it would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
