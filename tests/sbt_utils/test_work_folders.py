"""Locks of processes that live, die and stop; folders of work, and whose files are removed."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sbt_utils.work_folders import LOCK, clear, give_up, locked, owned

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom sbt_utils.work_folders import owned\n"
    "with owned(Path(sys.argv[1]), 'x'):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path):
    """Return a process that holds the folder ``work``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "work")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_holds_a_folder_is_named(holder, tmp_path):
    message = rf"x\.nc is being computed by process {holder.pid} on .+: wait for it, end it, or"
    with pytest.raises(ValueError, match=message), owned(tmp_path / "work", "x.nc"):
        pass
    os.kill(holder.pid, signal.SIGSTOP)
    with pytest.raises(ValueError, match=message), owned(tmp_path / "work", "x.nc"):
        pass
    os.kill(holder.pid, signal.SIGKILL)  # it leaves the file behind, but holds it no longer
    holder.wait()
    assert (tmp_path / "work" / LOCK).exists()
    with owned(tmp_path / "work", "x.nc"):
        pass


def test_threads_exclude_one_another(tmp_path):
    faults = []

    def second():
        try:
            with locked(tmp_path / "lock", "x"):
                pass
        except ValueError as error:
            faults.append(str(error))

    with locked(tmp_path / "lock", "x"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert faults == [
        "x is being computed by another thread of this process: wait for it, end it, or give "
        "another file"
    ]
    second()
    assert len(faults) == 1


def test_one_at_a_time_however_often_the_folder_is_removed(tmp_path):
    # Each adds to a number that would lose some of them if two were in the folder at once.
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from sbt_utils.work_folders import give_up, owned\n"
        "folder, number = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "for _ in range(100):\n"
        "    while True:\n"
        "        try:\n"
        "            with owned(folder, 'x'):\n"
        "                before = int(number.read_text())\n"
        "                time.sleep(0.0003)\n"
        "                number.write_text(str(before + 1))\n"
        "                give_up(folder)\n"
        "                break\n"
        "        except ValueError as error:\n"
        "            assert 'is being computed by' in str(error), error\n"
        "            time.sleep(0.0003)\n"
    )
    (tmp_path / "number").write_text("0")
    command = [sys.executable, "-c", code, str(tmp_path / "work"), str(tmp_path / "number")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "300"
    assert os.listdir(tmp_path) == ["number"]


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    folder = tmp_path / "x.shards"
    folder.mkdir()
    (folder / "thesis.txt").write_text("hi")
    message = r"x\.shards holds files of somebody else, and x\.nc would .*: move the folder away"
    with pytest.raises(ValueError, match=message), owned(folder, "x.nc"):
        pass
    assert os.listdir(folder) == ["thesis.txt"]


def test_a_folder_without_work_does_not_stay(tmp_path):
    with pytest.raises(RuntimeError), owned(tmp_path / "x.shards", "x.nc"):
        raise RuntimeError
    assert not os.listdir(tmp_path)


def test_only_own_files_are_removed(tmp_path):
    folder = tmp_path / "x.shards"
    folder.mkdir()  # an empty one is nobody's
    with owned(folder, "x.nc"):
        for name in ("000001.nc", "000001.nc.txt", "thesis.txt", "a000001.nc"):
            (folder / name).touch()
        (folder / "000002.nc").mkdir()
        clear(folder, r"\d{6}\.nc")
        give_up(folder)
    kept = ["000001.nc.txt", "000002.nc", "a000001.nc", "thesis.txt"]
    assert sorted(os.listdir(folder)) == kept
    with pytest.raises(ValueError, match="holds files of somebody else"), owned(folder, "x.nc"):
        pass


@pytest.mark.parametrize("kind", ["notes", "link", "folder", "pipe"])
def test_what_has_the_name_of_a_lock_and_is_none_is_kept(tmp_path, kind):
    notes, lock = tmp_path / "notes", tmp_path / "x.nc.lock"
    notes.write_text("precious")
    if kind == "notes":
        notes = notes.rename(lock)
    elif kind == "link":  # what it leads to would be overwritten
        lock.symlink_to(notes)
    elif kind == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    message = r"x\.nc\.lock, which says who computes x, cannot be made \(.*\): move away what is"
    with pytest.raises(ValueError, match=message), locked(lock, "x"):
        pass
    assert notes.read_text() == "precious"
    assert lock.exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_in_the_place_of_a_folder_is_named(tmp_path, kind):
    folder = tmp_path / "x.shards"
    folder.write_text("hi") if kind == "file" else folder.symlink_to("nowhere")
    message = r"x\.shards/.*, which says who computes x, cannot be made \(.*\): move away what is"
    with pytest.raises(ValueError, match=message), owned(folder, "x"):
        pass
    assert os.path.lexists(folder)


def test_a_link_to_a_folder_stays(tmp_path):
    (tmp_path / "other disk").mkdir()
    folder = tmp_path / "x.shards"
    folder.symlink_to("other disk")
    with owned(folder, "x.nc"):
        assert os.listdir(tmp_path / "other disk") == [LOCK]
        give_up(folder)
    assert folder.is_symlink()
    assert os.listdir(tmp_path / "other disk") == []


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*args):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", none)
    with owned(tmp_path / "work", "x.nc"):
        time.sleep(0)
