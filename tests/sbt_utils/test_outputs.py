"""Files written whole, through links, to pipes; and what may not be written."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sbt_utils.outputs import check_outputs, check_writable, is_intact, sealed, whole_file
from sbt_utils.work_folders import LOCK


def write(path, text="new"):
    with whole_file(path) as temporary:
        temporary.write_text(text)


# Whole files ---------------------------------------------------------------------------------


def test_a_file_is_there_in_the_end_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(UnicodeEncodeError), whole_file(path) as temporary:
        temporary.write_text("half\ud800", encoding="utf-8")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/a.txt")
    for text in ("first", "second"):  # the link leads nowhere at first
        write(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "a.txt").read_text() == text
    assert os.listdir(tmp_path / "folder") == ["a.txt"]


def test_a_name_as_long_as_there_are(tmp_path):
    path = tmp_path / ("a" * 251 + ".txt")
    check_writable("json", path)
    write(path)
    assert path.read_text() == "new"
    with pytest.raises(ValueError, match=r"json=.* cannot be written \(File name too long\); give"):
        check_writable("json", tmp_path / ("a" * 256))


def test_who_may_read_a_file_stays_the_same(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o600)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_pipe_gets_the_bytes_and_stays_one(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write(pipe)
    reader.join(10)
    assert read == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_device_stays_one(tmp_path):
    check_outputs({"json": "/dev/null", "plot": "/dev/null"})
    write("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("redirected", [False, True])
def test_the_standard_output_shows_all_in_order(tmp_path, redirected):
    code = (
        "from sbt_utils.outputs import check_writable, whole_file\n"
        "check_writable('json', '/dev/stdout')\n"
        "with whole_file('/dev/stdout') as temporary:\n    temporary.write_text('first\\n')\n"
        "print('second')\n"
    )
    with (tmp_path / "shown").open("wb") as file:
        output = file if redirected else subprocess.PIPE
        done = subprocess.run([sys.executable, "-c", code], stdout=output, check=True)
    shown = (tmp_path / "shown").read_bytes() if redirected else done.stdout
    assert shown == b"first\nsecond\n"
    assert os.listdir(tmp_path) == ["shown"]


# What may be written -------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.pt").write_text("weights")
    Path("link.json").symlink_to("model.pt")
    os.link("model.pt", "hard.json")
    Path("x.shards").mkdir()
    Path("x.shards", LOCK).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("outputs", "fault"),
    [
        ({"json": "model.pt"}, r"json=model\.pt: this is the file of checkpoint; give another one"),
        ({"json": "./model.pt"}, "the file of checkpoint"),
        ({"json": "link.json"}, "the file of checkpoint"),
        ({"json": "hard.json"}, "the file of checkpoint"),
        ({"json": "s.svg", "plot": "s.svg"}, r"plot=s\.svg: this is the file of json; give"),
        ({"json": "s.svg", "plot": "./s.svg"}, "this is the file of json"),
        ({"json": "Å.svg", "plot": "a\u030a.SVG"}, "this is the file of json"),
        ({"json": "x.shards/000000.nc"}, "json=.*: this folder is of a sweep, which removes it; "),
        ({"json": "a\x1b[31m\n/b"}, r"json=a\\x1b\[31m\\n/b: there is no folder .*31m\\n; make it"),
        ({"json": "."}, r"json=\.: this is a folder; give the name of a file in it"),
        ({"json": "none/a.json"}, "json=none/a.json: there is no folder .*none; make it first"),
        ({"json": "/proc/a.json"}, r"json=/proc/a\.json: cannot be written \(.*\); give another"),
        ({"json": "model.pt/a.json"}, "json=model.pt/a.json: "),
    ],
)
def test_files_in_use_and_places_that_cannot_be_written_to(folder, outputs, fault):
    before = sorted(os.listdir(folder))
    with pytest.raises(ValueError, match=fault):
        check_outputs(outputs, {"checkpoint": "model.pt", "test": None})
    assert sorted(os.listdir(folder)) == before


def test_a_loop_of_links(folder):
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    with pytest.raises(ValueError, match=r"json=a: cannot be written \(Too many levels"):
        check_outputs({"json": "a"})


def test_a_file_that_is_protected(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write any
    with pytest.raises(ValueError, match=r"cannot be written \(it is write-protected\); give"):
        check_outputs({"json": "model.pt"})


@pytest.mark.parametrize("name", ["none/../a.json", "a/a/.."])
def test_a_way_through_a_folder_that_is_not_there(folder, name):
    with pytest.raises(ValueError, match=r"json=.*: there is no folder .*; make it first"):
        check_outputs({"json": name})


@pytest.mark.parametrize("name", ["a\0b", "a\ud800"])
def test_what_cannot_be_a_name(name):
    with pytest.raises(ValueError, match=r"json=a\\.*: this cannot be a name; give another"):
        check_outputs({"json": name})


def test_different_files_may_be_written(folder):
    check_outputs({"json": "a.json", "plot": "a.svg", "other": None}, {"checkpoint": "model.pt"})
    assert sorted(os.listdir(folder)) == ["hard.json", "link.json", "model.pt", "x.shards"]


# Digests -------------------------------------------------------------------------------------


def test_a_digest_finds_every_changed_byte(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)))
    assert is_intact(path) is None
    path.write_bytes(whole := sealed(path.read_bytes()))
    assert is_intact(path) is True
    assert whole.startswith(bytes(range(256)))
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        assert not is_intact(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert not is_intact(path)


def test_a_zero_behind_a_link_to_itself_is_no_name(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match=r"^json=.*: this cannot be a name; give another"):
        check_outputs({"json": f"{tmp_path}/loop/\0"})
