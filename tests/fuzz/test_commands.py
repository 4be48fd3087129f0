"""Whatever is typed: the answer of the library, or one line that says what is wrong with what."""

import io
import json
import os
import re
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzzing import tried
from hypothesis import given
from hypothesis import strategies as st
from odd_values import within
from strict_json import strict

from sbt_utils import results
from sbt_utils.commands import main
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.reporting.model_files import load_inputs
from sbt_utils.reporting.stress_map import report
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")

SECONDS = 60

# A number that may be too large comes with so many digits that no work is begun with it.
NUMBERS = ["0", "1", "-1", "3", "0.5", "-0.0", "nan", "inf", "-inf", "1e3", "1e400", "1_0", " 2 "]
NUMBERS += ["0x1", "٣", "", "α", "9" * 30, "9" * 5000, "-" + "9" * 30, "1,5", "None", "[1]", "1j"]
WORDS = ["", "α", "\x1b[2J", "a b", "-", "--", "%s", "{0}", "\ud800", "a\nb", "w" * 2000, "é\u0301"]
WORDS += [
    "cls",
    "mean",
    "ema",
    "cpu",
    "auto",
    "cuda:99",
    "cuda",
    "cpu:0",
    "mnist",
    "adam",
    "sgd",
    "trace",
    "dropout",
]
FILES = ["a.json", "b.svg", "c.png", "d.nc", "./a.json", "here/../a.json", "here", "here/a.json"]
FILES += [
    "missing/a.json",
    "",
    ".",
    "..",
    "/",
    "/dev/null",
    "/dev/full",
    "/proc/a.json",
    "α β.json",
]
FILES += ["thesis.txt/a.json", "loop", "link.json", "model.pt", "train.npz", "x" * 251 + ".json"]
FILES += [
    "x" * 260,
    "a\n.json",
    "\x1b[2J.svg",
    "a.",
    "a ",
    ".nc",
    "~/a.json",
    "a\0.json",
    "\ud800.nc",
]

numbers, words, files = (st.sampled_from(values) for values in (NUMBERS, WORDS, FILES))
SETTINGS = {
    **dict.fromkeys(["--hidden-layers", "--width", "--seeds", "--batch-size", "--epochs"], numbers),
    **dict.fromkeys(["--negative-slope", "--dropout", "--learning-rate", "--data-noise"], numbers),
    **dict.fromkeys(["--train", "--test", "--size"], numbers),
    **dict.fromkeys(["--optimizer", "--device"], words),
    "--dataset": words,
}
OUTPUTS = {"--json": files, "--plot": files}
OPTIONS = {
    "load-curve": SETTINGS | OUTPUTS | {"--measure": words},
    "sweep": SETTINGS
    | {"--profile": words, "--axis": words, "--out": files, "--shard-size": numbers},
    "report": OUTPUTS
    | {"--arguments": words, "--train": files, "--test": files, "--dataset": words}
    | {
        "--layers": words,
        "--pool": words,
        "--weights": words,
        "--resamples": numbers,
        "--batch-size": numbers,
        "--device": words,
    },
}
TINY = "--epochs 1 --train 60 --test 100 --hidden-layers 1 --width 4 --seeds 1 --size 2"
TINY = [*TINY.split(), "--dataset", "gaussian_mixture"]
GRID = ["--axis", "width", "2", "3", "--axis", "optimizer", "adam"]
MODEL = ["small_model:network", "model.pt", "--train", "train.npz", "--resamples", "40"]
USUAL = {"load-curve": TINY, "sweep": [*GRID, *TINY, "--out", "d.nc"], "report": MODEL}
STEPS = ("--help", "--no-resume", "--dry-run", "--momentum", "extra", "--wid", "-h", "--")


@st.composite
def typed(draw):
    """Return a command that is as usual, but for up to three options, some without a value."""
    command = draw(st.sampled_from(sorted(OPTIONS)))
    line = list(USUAL[command])
    for _ in range(draw(st.integers(0, 3))):
        option = draw(st.sampled_from(sorted(OPTIONS[command])))
        value = draw(OPTIONS[command][option])
        form = draw(st.integers(0, 9))
        line += [f"{option}={value}"] if form < 3 else [option] if form == 3 else [option, value]
    if draw(st.integers(0, 5)) == 0:
        line.insert(draw(st.integers(0, len(line))), draw(st.one_of(st.sampled_from(STEPS), words)))
    return [command, *line]


@pytest.fixture(scope="module")
def bystanders(tmp_path_factory):
    """Return the files of somebody's, by name, among which commands are run."""
    folder = tmp_path_factory.mktemp("model")
    with chdir(folder):
        torch.manual_seed(0)
        torch.save(MLP(4, 4, 1, 3).state_dict(), "model.pt")
        generator = np.random.default_rng(0)
        images = generator.normal(size=(30, 1, 2, 2)).astype(np.float32)
        np.savez("train.npz", images=images, labels=np.arange(30) % 3)
        Path("small_model.py").write_text(
            "from sbt_utils.training.networks import MLP\n"
            "def network():\n    return MLP(4, 4, 1, 3)\n"
        )
        Path("thesis.txt").write_text("somebody's")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def somewhere(bystanders, tmp_path_factory, monkeypatch):
    """Return what makes a new folder of those files."""

    def make():
        folder = tmp_path_factory.mktemp("folder")
        for name, content in bystanders.items():
            (folder / name).write_bytes(content)
        (folder / "here").mkdir()
        (folder / "loop").symlink_to("loop")
        (folder / "link.json").symlink_to("here/led.json")
        return folder

    monkeypatch.syspath_prepend(make())  # where small_model lies
    return make


def run(line):
    """Return the exit status of a command, and what it wrote to both streams."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), within(SECONDS):
        try:
            status = main(line)
        except SystemExit as end:  # of argparse
            status = end.code
    return status, out.getvalue(), err.getvalue()


def below(folder):
    found = {}
    for where, _, names in os.walk(folder):
        for path in (Path(where, name) for name in names):
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@tried(18)
@given(line=typed())
def test_what_is_typed(line, somewhere):
    folder = somewhere()
    if "/" in line or any(word.endswith("=/") for word in line):
        return  # where root may write
    with chdir(folder):
        before = below(folder)
        status, out, err = run(line)
        after = below(folder)
    for name, content in before.items():
        assert after[name] == content, f"{name}, which is somebody's, was changed"
    assert "Traceback" not in err
    written = {name: after[name] for name in after.keys() - before.keys()}
    assert not [name for name in written if name.endswith(".part")]
    if status == 0:
        assert out
        for name, content in written.items():
            assert content, name
            if content.startswith(b"{"):
                strict(content.decode())
        return
    assert status == 2
    if err.endswith("what was printed is whole\n"):  # to a device that is full
        assert out
        assert "/dev/full: cannot be written (No space left on device)" in err
        return
    assert out == ""
    assert not written, "written where it refused"
    message = err.rstrip("\n").rsplit("\n", 1)[-1]
    assert re.match(r"sbt-utils[\w -]*: error: ", message), message
    assert message.isprintable(), message
    assert len(message) < 1000, message
    said = {word.partition("=")[0].lstrip("-") for word in line if word.startswith("--")} - {""}
    said |= {word.replace("-", "_") for word in said} | {word for word in line if len(word) > 2}
    said |= {word.partition("=")[2] for word in line if "=" in word} - {""}
    said |= {"experiment", "model", "checkpoint", "COMMAND", "seed", "class", "axis", "arguments"}
    assert any(word in message for word in said), message


@tried(3)
@given(
    st.integers(1, 3),
    st.fixed_dictionaries(
        {
            "negative_slope": st.floats(0, 1),
            "dropout": st.floats(0, 0.9),
            "learning_rate": st.floats(1e-4, 0.1),
            "batch_size": st.sampled_from([20, 30, 60]),
            "optimizer": st.sampled_from(["adam", "sgd", "momentum"]),
        }
    ),
)
def test_load_curves_are_those_of_the_library(somewhere, seeds, settings):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    with chdir(somewhere()):
        line = ["load-curve", *TINY, *options, "--seeds", str(seeds), "--json", "a.json"]
        status, out, err = run(line)
        if status == 2:
            assert "collapsed" in err
            return
        found = json.loads(Path("a.json").read_text())["seeds"]
    assert out.count("D, seed") == seeds
    data = load_data("gaussian_mixture", 60, 100, 2)
    network = MLP(4, 4, 1, 10, settings.pop("negative_slope"), settings.pop("dropout"))
    images = data.train_images, data.train_labels
    alone = train(network, *images, seeds=seeds - 1, epochs=1, progress=False, **settings)
    expected = evaluate(alone.networks, *images).separation.values[0]
    given_ = [np.nan if D is None else D for D in found[-1]["separation_train"]]
    np.testing.assert_allclose(given_, expected, rtol=1e-6)


@tried(2)
@given(st.integers(40, 60), st.sampled_from([7, 30, 512]))
def test_reports_are_those_of_the_library(somewhere, resamples, batch):
    with chdir(somewhere()):
        options = ["--resamples", str(resamples), "--batch-size", str(batch), "--json", "a.json"]
        status, out, err = run(["report", *MODEL, *options])
        assert (status, err) == (0, "")
        network = MLP(4, 4, 1, 3)
        network.load_state_dict(torch.load("model.pt", weights_only=True))
        expected = report(network, load_inputs("train.npz"), resamples=resamples, batch_size=batch)
        assert strict(Path("a.json").read_text()) == strict(expected.to_json())
        assert out == f"{expected}\n"


@tried(1)
@given(st.integers(1, 4), st.integers(1, 3))
def test_sweeps_are_those_of_the_library(somewhere, width, shard):
    with chdir(somewhere()):
        grid = ["--axis", "width", str(width), "9", "--axis", "dropout", "0.1"]
        line = ["sweep", *grid, *TINY, "--out", "d.nc", "--shard-size", str(shard)]
        status, out, _ = run(line)
        assert status == 0
        assert out.startswith("d.nc: 2 width x 1 dropout x 1 seed, test accuracy ")
        first = results.load("d.nc")
        assert run([*line, "--no-resume"])[0] == 0
        again = results.load("d.nc")
    for name in first.data_vars:
        np.testing.assert_array_equal(again[name], first[name])
