"""Processes as workers: one that dies takes nothing else along, none outlives its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool

import pytest

from sbt_utils.sweeping import workers
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


@pytest.mark.parametrize("workers", [0, "2", None, 1.5, True])
def test_at_least_one(workers):
    with pytest.raises(ValueError, match=f"workers={workers!r}: give an integer of at least 1"):
        LocalProcesses(workers)


# Stopped, interrupted, without a guard -------------------------------------------------------


def test_a_stopped_worker_is_reported_once_and_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(workers, "BEAT", 0.1)
    monkeypatch.setattr(workers, "SILENCE", 2.5)
    with LocalProcesses(1) as executor:
        worker = executor.submit(os.getpid).result()
        task = executor.submit(time.sleep, 0.5)
        os.kill(worker, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            task.result(timeout=6)
        os.kill(worker, signal.SIGCONT)
        task.result(timeout=30)
        executor.submit(time.sleep, 3).result()  # long, but alive
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"worker process {worker} has given no sign of life for 2 s." in error
    assert f"`kill -CONT {worker}`" in error


def fail_after_starting(tasks):
    with LocalProcesses(2) as executor:
        tasks += [executor.submit(time.sleep, 60) for _ in range(4)]
        raise ZeroDivisionError


def test_an_error_ends_the_workers_at_once():
    start, tasks = time.monotonic(), []
    with pytest.raises(ZeroDivisionError):
        fail_after_starting(tasks)
    assert time.monotonic() - start < 30
    assert len(tasks) == 4
    assert all(task.done() for task in tasks)


def test_a_task_taken_just_before_the_error_does_not_run(monkeypatch):
    ended, new_process = threading.Event(), LocalProcesses._new_process

    def late(executor):
        assert ended.wait(30)
        return new_process(executor)

    monkeypatch.setattr(LocalProcesses, "_new_process", late)
    executor, tasks = LocalProcesses(1), []

    def fail():
        with executor:
            tasks.append(executor.submit(time.sleep, 60))
            threading.Timer(0.2, ended.set).start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(CancelledError):
        tasks[0].result(timeout=10)


def test_ctrl_c_shows_nothing_of_the_workers(tmp_path):
    script = (
        "import time\n"
        "from sbt_utils.sweeping.workers import LocalProcesses\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        with LocalProcesses(2) as executor:\n"
        "            tasks = [executor.submit(time.sleep, 60) for _ in range(3)]\n"
        "            executor.submit(pow, 2, 2)\n"
        "            print('started', flush=True)\n"
        "            tasks[0].result()\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', flush=True)\n"
    )
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "script.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    for seconds in (0.1, 3.0):  # while the workers start, and while they work
        process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes)
        assert process.stdout.readline() == "started\n"
        time.sleep(seconds)
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # to all of them, as the terminal does
        assert process.communicate(timeout=30) == ("interrupted\n", "")
        assert time.monotonic() - start < 10


def test_ctrl_c_while_tasks_are_taken_locks_nothing(tmp_path):
    script = (
        "from sbt_utils.sweeping.workers import LocalProcesses\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        with LocalProcesses(2) as executor:\n"
        "            executor.submit(pow, 2, 2).result()\n"
        "            print('started', flush=True)\n"
        "            while True:\n"
        "                executor.submit(pow, 2, 2).done()\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', flush=True)\n"
    )
    (tmp_path / "script.py").write_text(script)
    pipes = {"stdout": subprocess.PIPE, "text": True}
    for number in range(8):  # where a ThreadPoolExecutor hung every sixth time
        process = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, **pipes)
        assert process.stdout.readline() == "started\n"
        time.sleep(0.02 + 0.01 * number)
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=20) == ("interrupted\n", None)
        finally:
            process.kill()


def test_a_call_after_the_end_is_refused():
    with LocalProcesses(1) as executor:
        pass
    with pytest.raises(RuntimeError, match="shut down and takes no more calls; make another"):
        executor.submit(pow, 2, 2)


def test_calls_not_begun_can_be_cancelled():
    executor = LocalProcesses(1)
    begun, *waiting = (executor.submit(time.sleep, 0.5) for _ in range(3))
    while not begun.running():
        time.sleep(0.01)
    executor.shutdown(cancel_futures=True)
    assert begun.result() is None
    assert all(task.cancelled() for task in waiting)


def test_a_script_without_a_guard_is_told_so_in_a_line(tmp_path):
    script = (
        "from sbt_utils.sweeping import Experiment, LocalProcesses, sweep\n"
        "grid = Experiment({'dropout': [0.0, 0.1], 'width': [4, 8]}, epochs=1, train=100)\n"
        "with LocalProcesses(2) as executor:\n"
        "    sweep(grid, out='grid.nc', executor=executor, shard_size=1, progress=False)\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert (
        "SweepError: worker processes end before they begin. A script that uses them must keep"
        in last
    )
    assert '`if __name__ == "__main__":`' in last
    assert done.stderr.count("Traceback") == 1
    assert len(done.stderr.splitlines()) < 25
