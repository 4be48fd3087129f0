"""Worker processes on this machine; one that dies loses its own task only."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

from sbt_utils.sweeping.shards import SweepError
from sbt_utils.training.progress import tell
from sbt_utils.training.ranges import check_counts

BEAT, SILENCE = 1.0, 30.0
"""Seconds between two signs of life of a worker, and without any until that is reported."""
_PATIENCE = 1.0  # seconds that tasks have to end in, once their processes are killed

_NO_START = (
    "worker processes end before they begin. A script that uses them must keep what it does below "
    '`if __name__ == "__main__":`, because each of them imports it; else look for want of memory'
)


class Silence:
    """The time since something was heard; it is reported once, on standard error."""

    def __init__(self) -> None:
        self._start, self._reported = time.monotonic(), False

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self._start

    def report(self, patience: float, text: str) -> None:
        """Write a line if it has lasted longer than so many seconds, unless one was written."""
        if self.seconds > patience and not self._reported:
            self._reported = True
            tell(text)


class LocalProcesses(Executor):
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
        check_counts(workers=workers)
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            sys.exit(1)  # a worker imports a script that lacks its guard; the parent says so
        self._workers = workers
        # Not a ThreadPoolExecutor: its locks stay locked where Ctrl-C comes while it takes a task.
        self._tasks = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]()
        self._running, self._left = 0, SimpleQueue[None]()  # threads, and those that have ended
        self._processes: list[_Process] = []
        self._closed, self._ended, self._lock = False, False, threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call; as `concurrent.futures.Executor.submit`."""
        if self._closed:
            raise RuntimeError("executor: it is shut down and takes no more calls; make another")
        future: Future[Any] = Future()
        self._tasks.put((future, partial(fn, *args, **kwargs)))
        if self._running < self._workers:
            threading.Thread(target=self._work, daemon=True).start()
            self._running += 1
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls; as `concurrent.futures.Executor.shutdown`."""
        self._close(cancel_futures)
        if wait:
            while self._running:
                self._left.get()
                self._running -= 1
        for process in self._processes:
            process.end(wait)

    def __exit__(self, kind: Any, *details: Any) -> None:
        """Wait for all tasks; or end the processes if the block ends by an error or Ctrl-C."""
        if kind is None:
            self.shutdown()
            return
        self._close(cancel_futures=True)
        with self._lock:
            self._ended = True
        for process in self._processes:
            process.end(wait=False, at_once=True)
        latest = time.monotonic() + _PATIENCE
        with suppress(Empty):  # raised where Ctrl-C left a future locked, for which a thread waits
            while self._running:
                self._left.get(timeout=max(0.0, latest - time.monotonic()))
                self._running -= 1

    def _close(self, cancel_futures: bool) -> None:
        """Take no more calls, and let threads end when nothing is left to do."""
        self._closed = True
        with suppress(Empty):
            while cancel_futures:
                if task := self._tasks.get_nowait():
                    task[0].cancel()
        for _ in range(self._running):
            self._tasks.put(None)

    def _work(self) -> None:
        """Do tasks one after another, in a process that this thread has to itself."""
        process: _Process | None = None
        while (task := self._tasks.get()) is not None:
            future, call = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                process = process or self._new_process()
                result = process.result(call)
            except BaseException as error:
                if isinstance(error, BrokenProcessPool):
                    process = None
                future.set_exception(error)
            else:
                future.set_result(result)
        self._left.put(None)

    def _new_process(self) -> "_Process":
        with self._lock:
            if self._ended:  # after a thread had taken its task
                raise CancelledError
            self._processes.append(_Process())
            return self._processes[-1]


class _Process:
    """One process, and the signs of life that it gives."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._beats, self._ours = spawn.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(1, spawn, initializer=_live, initargs=(self._ours,))
        self._number = 0

    def result(self, call: Callable[[], Any]) -> Any:
        if not self._number:
            self._start()
        future = self._pool.submit(call)
        silence = Silence()
        while not wait([future], timeout=BEAT).done:
            with suppress(EOFError, OSError):
                while self._beats.poll():
                    self._beats.recv_bytes()
                    silence = Silence()
            silence.report(
                SILENCE,
                f"worker process {self._number} has given no sign of life for {SILENCE:.0f} s. If "
                f"it is stopped, `kill -CONT {self._number}` lets it go on; if you end it, its "
                "task is tried again",
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
        processes = self._pool._processes  # to be filled, if one is about to start; None at the end
        self._pool.shutdown(wait and not at_once, cancel_futures=at_once)
        if at_once and processes:
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
