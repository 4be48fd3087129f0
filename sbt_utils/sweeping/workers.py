"""Worker processes on this machine; one that dies loses its own task only."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import (
    CancelledError,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from tqdm import tqdm

from sbt_utils.sweeping.shards import SweepError

BEAT, SILENCE = 1.0, 30.0
"""Seconds between two signs of life of a worker, and without any until that is reported."""

_NO_START = (
    "worker processes end before they begin. A script that uses them must keep what it does below "
    '`if __name__ == "__main__":`, because each of them imports it; else look for want of memory'
)


class LocalProcesses(ThreadPoolExecutor):
    """An executor that runs each worker's tasks in a process of its own.

    If a process dies, its task fails with `concurrent.futures.process.BrokenProcessPool`; the other
    tasks are unaffected and the worker starts a new process. (A `ProcessPoolExecutor` fails all its
    tasks and cannot be used again.) A process that is stopped is reported on standard error. The
    processes end with their parent, even if it is killed, and where an error or Ctrl-C ends the
    block that they are used in.

    Processes are spawned, not forked, because PyTorch's threads do not survive a fork: a script
    that uses this needs the usual ``if __name__ == "__main__":``, or its tasks fail with
    `sbt_utils.sweeping.shards.SweepError`. ValueError for less than one of `workers`.

    Examples
    --------
    >>> with LocalProcesses(1) as executor:
    ...     executor.submit(pow, 2, 10).result()
    1024
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers={workers!r}: give at least 1")
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            sys.exit(1)  # a worker imports a script that lacks its guard; the parent says so
        super().__init__(workers)
        self._of_thread = threading.local()
        self._processes: list[_Process] = []
        self._ended, self._lock = False, threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call; as `concurrent.futures.Executor.submit`."""
        return super().submit(self._in_process, fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls; as `concurrent.futures.Executor.shutdown`."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        for process in self._processes:
            process.end(wait)

    def __exit__(self, kind: Any, *details: Any) -> None:
        """Wait for all tasks; or end the processes if the block ends by an error or Ctrl-C."""
        if kind is not None:
            super().shutdown(wait=False, cancel_futures=True)
            with self._lock:
                self._ended = True
            for process in self._processes:
                process.end(wait=False, at_once=True)
        self.shutdown()

    def _in_process(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self._of_thread, "process"):
            with self._lock:
                if self._ended:  # after this thread had taken its task
                    raise CancelledError
                self._of_thread.process = _Process()
                self._processes.append(self._of_thread.process)
        try:
            return self._of_thread.process.result(fn, *args, **kwargs)
        except BrokenProcessPool:
            del self._of_thread.process
            raise


class _Process:
    """One process, and the signs of life that it gives."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._beats, self._ours = spawn.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(1, spawn, initializer=_live, initargs=(self._ours,))
        self._number = 0

    def result(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not self._number:
            self._start()
        future = self._pool.submit(fn, *args, **kwargs)
        last, reported = time.monotonic(), False
        while not wait([future], timeout=BEAT).done:
            with suppress(EOFError, OSError):
                while self._beats.poll():
                    self._beats.recv_bytes()
                    last, reported = time.monotonic(), False
            if not reported and time.monotonic() - last > SILENCE:
                reported = True
                tqdm.write(
                    f"worker process {self._number} has given no sign of life for {SILENCE:.0f} s. "
                    f"If it is stopped, `kill -CONT {self._number}` lets it go on; if you end it, "
                    "its task is tried again",
                    file=sys.stderr,
                )
        return future.result()

    def _start(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # Ctrl-C is for the parent, which ends its workers; they inherit this thread's mask.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._number = self._pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise SweepError(_NO_START) from None

    def end(self, wait: bool, at_once: bool = False) -> None:
        processes = self._pool._processes or {}
        self._pool.shutdown(wait and not at_once, cancel_futures=at_once)
        if at_once:
            for process in list(processes.values()):
                process.kill()


def _live(beats: Connection) -> None:
    """Give signs of life, and end this process when its parent ends: nobody else would."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def beat() -> None:
        while parent.is_alive():
            with suppress(OSError):
                beats.send_bytes(b".")
            parent.join(BEAT)
        os._exit(1)

    threading.Thread(target=beat, daemon=True).start()
