"""Processes as workers: one that dies takes nothing else along, none outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from sbt_utils.sweeping.workers import LocalProcesses


def test_calls_run_in_other_processes_and_give_their_results():
    with LocalProcesses(2) as executor:
        processes = {executor.submit(os.getpid).result() for _ in range(4)}
        assert list(executor.map(divmod, [7, 8], [2, 3])) == [(3, 1), (2, 2)]
    assert os.getpid() not in processes
    assert len(processes) <= 2


def test_an_exception_comes_back():
    with LocalProcesses(1) as executor, pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0).result()


def test_a_worker_that_dies_takes_its_own_task_only():
    with LocalProcesses(1) as executor:
        before = executor.submit(pow, 2, 2)
        deadly = executor.submit(os._exit, 1)
        after = executor.submit(pow, 2, 3)
        assert before.result() == 4
        with pytest.raises(BrokenProcessPool):
            deadly.result()
        assert after.result() == 8


def test_workers_end_when_their_parent_is_killed():
    script = (
        "import os, time\n"
        "from sbt_utils.sweeping.workers import LocalProcesses\n"
        "if __name__ == '__main__':\n"
        "    executor = LocalProcesses(1)\n"
        "    print(executor.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with parent:
        worker = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if _zombie(worker):
            return
        time.sleep(0.05)
    pytest.fail("the worker is still there ten seconds after its parent was killed")


def _zombie(process):
    """Say whether a process has ended and nobody has asked how (nobody may, in a container)."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return False


def test_at_least_one():
    with pytest.raises(ValueError, match="workers=0: give at least 1"):
        LocalProcesses(0)
