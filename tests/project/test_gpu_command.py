"""The GPU command: a dry run on the CPU, stopped, killed and called again; and its pieces."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sbt_book.phase_diagram.devices import diagram_of
from sbt_utils import results
from sbt_utils.data import datasets

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "gpu"
SPEED = ["card", "dropout", "learning_rate", "data_noise", "batch_size 40", "batch_size 2560"]
SPEED += ["compiled, default, batch 20", "compiled, reduce-overhead, batch 20"]
SPEED += ["compiled, default, batch 2560"]
ROUNDS = {
    "tests": ["marked gpu"],
    "speed": SPEED,
    "diagrams": ["dropout", "learning_rate", "data_noise", "batch_size", "gpu.nc"],
    "convolutions": ["seeds 0, 1", "seeds 2, 3"],
    "reports": ["residual network", "transformer"],
}


@pytest.fixture
def module(monkeypatch):
    """Return a function that imports a file of the command, as the command itself does."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(ROOT / "benchmarks")):
            del sys.modules[name]


def command(out, *words):
    command = [sys.executable, str(FOLDER / "run.py"), "--out", str(out)]
    return [*command, "--profile", "smoke", "--device", "cpu", "--commit", "0" * 12, *words]


def call(out, *words):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command(out, *words), **options, env=environment, cwd=out.parent)


def read(out):
    return json.loads((out / "gpu.json").read_text(encoding="utf-8"))


def results_of(record):
    return {name: list(part["results"]) for name, part in record["parts"].items()}


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Call the command until all is done: without time, killed, to the end, and once more."""
    out = tmp_path_factory.mktemp("gpu") / "results"
    seen = [(call(out, "--seconds", "0"), read(out))]
    killed = subprocess.Popen(
        command(out, "--parts", "diagrams", "convolutions"),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    limit = time.monotonic() + 60
    while "dropout" not in results_of(read(out))["diagrams"]:
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    seen += [(killed, read(out))]
    seen += [(done, read(out)) for done in (call(out), call(out))]
    return out, seen


@pytest.mark.slow
def test_without_time_it_says_what_is_left(calls):
    run, record = calls[1][0]
    assert run.returncode == 0, run.stdout
    assert record["left"] == ROUNDS
    assert not any(results_of(record).values())
    assert f"left to do: {json.dumps(ROUNDS)}" in run.stdout


@pytest.mark.slow
def test_killed_it_keeps_the_rounds_that_were_done(calls):
    _, (_, (_, killed), (run, record), _) = calls
    assert run.returncode == 0, run.stdout
    kept = killed["parts"]["diagrams"]["results"]
    assert kept
    for label, result in kept.items():
        assert record["parts"]["diagrams"]["results"][label] == result
        assert result["run"] == 1
        assert f"diagrams: {label}\n" not in run.stdout


@pytest.mark.slow
def test_all_parts_are_done_in_their_order(calls):
    _, (_, _, (run, record), _) = calls
    assert run.stdout.endswith(f"left to do: nothing; results are in {calls[0]}\n")
    assert results_of(record) == ROUNDS
    assert list(record["parts"]) == list(ROUNDS)
    assert not any(part["errors"] for part in record["parts"].values())
    assert record["settings"] == {"profile": "smoke", "device": "cpu"}
    about = record["runs"][2]
    assert about["commit"] == "0" * 12
    assert about["versions"] == results.versions()
    assert about.keys() >= {"card", "driver", "cuda", "date", "python", "processors"}


@pytest.mark.slow
def test_the_speed_is_a_share_of_a_limit_and_a_multiple_of_the_loop(calls):
    speed = calls[1][2][1]["parts"]["speed"]["results"]
    for label in SPEED[1:6]:
        result = speed[label]
        limit = max(result["limits_seconds"].values())
        assert result["limits_seconds"][result["limit"]] == limit
        # A difference of two times, which on a busy machine may be anything.
        assert result["share_of_limit"] == limit / result["step_seconds"]
        steps = 5 * 2560 // result["batch_size"]
        seconds = result["members"] / result["networks_per_second"]
        assert seconds == pytest.approx(steps * result["step_seconds"])
        single = result["times_loop"] * result["step_seconds"] / result["members"]
        assert single == pytest.approx(result["loop_step_seconds"])
    assert speed["card"]["sgemm_operations"] > 1e8


@pytest.mark.slow
def test_the_files_are_few_small_and_say_where_they_come_from(calls):
    out, (*_, (_, record)) = calls
    pairs = ["cnn_dropout_0_1.nc", "cnn_dropout_2_3.nc"]
    assert sorted(os.listdir(out)) == ["cnn_dropout.nc", *pairs, "gpu.json", "gpu.nc"]
    for file in ("cnn_dropout.nc", *pairs, "gpu.nc"):
        assert (out / file).stat().st_size < 2**24
        stored = results.load(out / file)
        assert stored.commit == "0" * 12
        assert json.loads(stored.configuration)["device"] == "cpu"
        assert "card" in stored.attrs
    batch = diagram_of(results.load(out / "gpu.nc"), "batch_size")
    assert batch.noise.values.tolist() == [40, 2560]
    again = record["parts"]["diagrams"]["results"]["batch_size"]["best_accuracy"]
    assert batch.accuracy_test.max() == again
    networks = results.load(out / "cnn_dropout.nc")
    assert networks.checkpoint.values.tolist() == [2, 4]
    assert networks.seed.values.tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_called_again_it_does_nothing_twice(calls):
    _, (*_, (_, before), (run, after)) = calls
    assert run.returncode == 0
    assert run.stdout.startswith("left to do: nothing")
    assert after["parts"] == before["parts"]
    assert len(after["runs"]) == 4


def test_results_of_other_settings_are_refused(module, tmp_path):
    opened = module("run").opened
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps({"settings": {"profile": "paper", "device": "cuda"}}))
    with pytest.raises(SystemExit, match="give another --out"):
        opened(file, {"profile": "smoke", "device": "cpu"})


def test_make_calls_it():
    words = ["make", "-n", "--no-print-directory", "gpu", "OUT=there", "PYTHON=python4"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "python4 benchmarks/gpu/run.py --out there\n"


def part(monkeypatch, module, tmp_path, rounds, deadline=np.inf, record=None):
    """Go through made-up rounds; return what is recorded and what is left."""
    monkeypatch.setitem(sys.modules, "speed", SimpleNamespace(rounds=lambda options: rounds))
    record = record or {"runs": [{}], "parts": {}}
    left = module("run").go_through("speed", Namespace(out=tmp_path), record, deadline)
    return record, left


def works():
    return {"answer": 42}


def fails():
    raise ValueError("no answer")


def test_a_round_that_fails_is_noted_and_tried_again(monkeypatch, module, tmp_path):
    rounds = [("one", fails), ("two", works), ("three", fails), ("four", fails), ("five", works)]
    record, left = part(monkeypatch, module, tmp_path, rounds)
    found = record["parts"]["speed"]
    assert list(found["results"]) == ["two"]
    assert list(found["errors"]) == ["one", "three", "four"]
    assert found["errors"]["one"].endswith("ValueError: no answer\n")
    # After two failures in a row nothing more is tried.
    assert left == ["five"]
    rounds = [(label, works) for label, _ in rounds]
    record, left = part(monkeypatch, module, tmp_path, rounds, record=record)
    assert sorted(record["parts"]["speed"]["results"]) == ["five", "four", "one", "three", "two"]
    assert not record["parts"]["speed"]["errors"]
    assert left == []


def test_a_long_round_begins_only_with_time_to_end(monkeypatch, module, tmp_path):
    now = 0.0

    def lasts(seconds):
        def measure():
            nonlocal now
            now += seconds
            return {}

        return measure

    run = module("run")
    monkeypatch.setattr(run.time, "monotonic", lambda: now)
    for seconds, left in ((144.9, ["one", "two", "three"]), (145.1, ["two", "three"])):
        rounds = [("one", lasts(50)), ("two", lasts(50)), ("three", lasts(50))]
        now = 0.0
        made_up = SimpleNamespace(rounds=lambda options, rounds=rounds: rounds)
        monkeypatch.setitem(sys.modules, "convolutions", made_up)
        record = {"runs": [{}], "parts": {}}
        options = Namespace(out=tmp_path)
        assert run.go_through("convolutions", options, record, seconds) == left
    now = 0.0
    # 45 seconds belong to the next part, 60 are 1.2 times the first round's.
    record = {"runs": [{}], "parts": {}}
    assert run.go_through("convolutions", options, record, 45 + 50 + 60) == ["three"]
    assert record["parts"]["convolutions"]["results"]["two"] == {"round_seconds": 50.0, "run": 0}


def test_what_a_part_lacks_does_not_stop_the_others(monkeypatch, module, tmp_path):
    def rounds():
        yield "one", works
        raise OSError("no images")

    record, _ = part(monkeypatch, module, tmp_path, rounds())
    assert list(record["parts"]["speed"]["results"]) == ["one"]
    assert record["parts"]["speed"]["errors"]["rounds"].endswith("OSError: no images\n")


def test_failed_tests_are_counted_with_their_text(module, tmp_path):
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "def test_passes(): pass\n"
        "def test_fails(): assert 1 == 2\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError('no card')\n"
        "def test_errs(broken): pass\n"
        "@pytest.mark.skip\n"
        "def test_skipped(): pass\n"
    )
    words = ["-q", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *words, "--junitxml=answers.xml", "test_some.py"]
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    counted = module("marked_tests").counted(tmp_path / "answers.xml")
    names = ("tests", "passed", "failed", "errors", "skipped")
    assert [counted[name] for name in names] == [4, 1, 1, 1, 1]
    assert "assert 1 == 2" in counted["failures"]["test_some::test_fails"]
    assert "no card" in counted["failures"]["test_some::test_errs"]


def test_images_of_a_file_are_those_that_load_data_takes(module, tmp_path, rng):
    convolutions = module("convolutions")
    pools = []
    for count in (2600, 30):
        pools.append(rng.integers(256, size=(count, 3, 10, 10), dtype=np.uint8))
        pools.append(rng.integers(10, size=count, dtype=np.uint8))
    names = ("train_images", "train_labels", "test_images", "test_labels")
    arrays = dict(zip(names, pools, strict=True))
    np.savez(tmp_path / "all.npz", **arrays, source="made up")
    data = convolutions.from_file(tmp_path / "all.npz")
    expected = datasets._choose("cifar10", tuple(pools), "made up", 2560, None, 10, 0)
    assert (data.source, data.classes, data.name) == ("made up", 10, "cifar10")
    for name in names:
        assert torch.equal(getattr(data, name), getattr(expected, name))
        assert getattr(data, name).dtype == getattr(expected, name).dtype
    # A file that holds these alone gives the same.
    chosen = {"train_images": data.train_images * 255, "train_labels": data.train_labels}
    arrays |= {name: values.round().to(torch.uint8).numpy() for name, values in chosen.items()}
    np.savez(tmp_path / "few.npz", **arrays, source="made up")
    few = convolutions.from_file(tmp_path / "few.npz")
    for name in names:
        assert torch.equal(getattr(few, name), getattr(data, name))


def test_the_limits_count_what_a_step_must_do(module):
    # 7 products of 100 x 100 and one of 100 x 10; norms of 2 x 100 before and after each but the
    # last, and a bias for each output.
    weights, outputs, norms = 7 * 10_000 + 1000, 710, 8 * 200
    rates = {"sgemm_operations": 2.0, "copied_bytes": 4.0, "kernel_seconds": 0.5}
    limits = module("speed").step_limits(3, 20, rates)
    parameters = weights + outputs + norms
    assert limits == {
        "arithmetic": 3 * 20 * 6 * weights / 2,
        "memory": 3 * (40 * parameters + 28 * 20 * outputs) / 4,
        "launches": 17 * 0.5,
    }


def test_the_large_models_have_the_published_sizes(module):
    reports = module("reports")
    with torch.device("meta"):
        models = reports.residual_network(), reports.Transformer()
    sizes = [sum(p.numel() for p in model.parameters()) for model in models]
    assert sizes == [25_557_032, 86_567_656]
