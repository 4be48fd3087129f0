"""The command line, in this process and in a process of its own."""

import errno
import io
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pytest
from data_parts import parts
from strict_json import strict

from sbt_utils.commands import main
from sbt_utils.data.datasets import load_data
from sbt_utils.measuring.evaluation import evaluate
from sbt_utils.results import load as load_results
from sbt_utils.sweeping.experiments import published
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

TINY = ["load-curve", "--epochs", "1", "--train", "100", "--test", "50"]
TINY += ["--hidden-layers", "2", "--width", "10"]


pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments, folder, flags=()):
    command = [sys.executable, *flags, "-m", "sbt_utils", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


# Help ----------------------------------------------------------------------------------------


def test_no_command_lists_the_commands(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("usage: sbt-utils")
    assert re.search(r"^ +load-curve\s+train networks and .*load curves$", out, re.MULTILINE)


def test_a_command_explains_its_options_and_their_defaults(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["load-curve", "--help"])
    assert exit_.value.code == 0
    out, _ = capsys.readouterr()
    training = ("seeds", "dropout", "learning-rate", "batch-size", "data-noise", "epochs")
    for option in (*training, "negative-slope", "dataset", "json FILE", "plot FILE"):
        assert f"--{option}" in out
    assert "{mnist,mnist_full,fashion_mnist,cifar10,gaussian_mixture}" in out
    assert "default: 2560" in " ".join(out.split())
    assert out.isascii()  # some terminals show nothing else


@pytest.mark.parametrize("arguments", [[], ["load-curve"], ["sweep"], ["report"]])
def test_help_loads_nothing_heavy(arguments, tmp_path):
    done = run(*arguments, "--help", folder=tmp_path, flags=["-X", "importtime"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(" ".join(["usage: python -m sbt_utils", *arguments]))
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "sbt_utils.commands" in imported
    assert not imported & {"torch", "matplotlib", "xarray", "pandas", "numba", "scipy", "pooch"}


@pytest.mark.filterwarnings("default")
def test_a_warning_is_a_line_of_its_own(capsys):
    assert main([*TINY, "--test", "12"]) == 0
    _, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if "warning" in line.lower()]
    assert re.search(r"^sbt-utils: warning: labels: class \d .* left out: D needs 2 samples", line)


# Results -------------------------------------------------------------------------------------


def test_a_line_for_each_seed(capsys):
    assert main([*TINY, "--seeds", "2"]) == 0
    out, err = capsys.readouterr()
    header, *rows = out.splitlines()
    assert header.split() == ["layer", "0", "1", "2"]
    seeds = [row for row in rows if row.startswith("D, seed")]
    on_train, on_test = parts(load_data("mnist", train=100, test=50))
    settings = {"seeds": range(2), "epochs": 1, "progress": False}
    networks = list(train(MLP(width=10, hidden_layers=2), *on_train, **settings).networks)
    curves = evaluate(networks, *on_train).separation.values
    accuracy = evaluate(networks, *on_test).accuracy.values
    assert len(seeds) == 2
    for seed, row in enumerate(seeds):
        numbers = re.fullmatch(r"D, seed (\d) +(.*?) +test accuracy (.*)%", row)
        assert int(numbers[1]) == seed
        shown = [float(word) for word in numbers[2].split()]
        assert shown == pytest.approx(curves[seed].tolist(), abs=6e-4)
        assert float(numbers[3]) == pytest.approx(100 * accuracy[seed], abs=6e-3)
    assert [row.split(":")[0] for row in rows[2:]] == ["train", "test"]
    assert "2/2" in err  # the progress bar, which is not in the way of the results


def test_json_equals_calling_the_library(tmp_path, capsys):
    options = (
        "--seeds 2 --negative-slope 0.2 --dropout 0.12 --learning-rate 0.01 --batch-size 20 "
        "--data-noise 0.1 --weight-noise 0.05 --optimizer momentum --measure fuzziness --size 6 "
        "--dataset gaussian_mixture --device cpu"
    )
    file = tmp_path / "curves.json"
    assert main([*TINY, *options.split(), "--json", str(file)]) == 0
    assert os.listdir(tmp_path) == ["curves.json"]
    found = strict(file.read_text(encoding="utf-8"))
    assert set(found) == {"configuration", "seeds"}
    network = {"hidden_layers": 2, "width": 10, "negative_slope": 0.2, "dropout": 0.12}
    settings = {"learning_rate": 0.01, "batch_size": 20, "data_noise": 0.1, "epochs": 1}
    settings |= {"optimizer": "momentum", "weight_noise": 0.05}
    sizes = {"train": 100, "test": 50, "size": 6}
    names = {"dataset": "gaussian_mixture", "device": "cpu", "measure": "fuzziness"}
    assert found["configuration"] == network | settings | sizes | names | {"seeds": 2}
    data = parts(load_data("gaussian_mixture", **sizes))
    model = MLP(inputs=36, classes=10, **network)
    for seed in range(2):
        trained = train(model, *data[0], seeds=seed, progress=False, **settings)
        on_train, on_test = (evaluate(trained.networks, *part, "fuzziness") for part in data)
        assert found["seeds"][seed] == {
            "seed": seed,
            "separation_train": pytest.approx(on_train.separation[0].values.tolist(), rel=1e-9),
            "separation_test": pytest.approx(on_test.separation[0].values.tolist(), rel=1e-9),
            "accuracy_test": pytest.approx(on_test.accuracy.item()),
        }


def test_json_says_what_the_defaults_were(tmp_path):
    file = tmp_path / "curves.json"
    assert main([*TINY, "--seeds", "1", "--json", str(file)]) == 0
    configuration = strict(file.read_text())["configuration"]
    assert configuration["optimizer"] == "adam"
    assert configuration["batch_size"] is None
    assert configuration["device"] in ("cpu", "cuda")  # what it ran on, not "auto"


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_plot(tmp_path, suffix):
    file = tmp_path / f"curves.{suffix}"
    assert main([*TINY, "--seeds", "1", "--plot", str(file)]) == 0
    assert os.listdir(tmp_path) == [file.name]
    if suffix == "svg":
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
    else:
        magic = {"png": b"\x89PNG\r\n", "pdf": b"%PDF-"}[suffix]
        assert file.read_bytes().startswith(magic)


class Closed(io.TextIOBase):
    """The reading end of the pipe is gone, as that of ``| head`` may be."""

    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_results_are_on_disk_before_they_are_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Closed())
    files = ["--json", str(tmp_path / "curves.json"), "--plot", str(tmp_path / "curves.png")]
    assert main([*TINY, "--seeds", "1", *files]) == 2
    assert capsys.readouterr().err.endswith("sbt-utils: error: [Errno 32] Broken pipe\n")
    assert sorted(os.listdir(tmp_path)) == ["curves.json", "curves.png"]
    assert len(strict((tmp_path / "curves.json").read_text())["seeds"]) == 1


def test_in_a_process_of_its_own(tmp_path):
    arguments = ["--seeds", "2", "--json", "curves.json", "--plot", "curves.png"]
    done = run(*TINY, *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("D, seed") == 2
    assert "Warning" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["curves.json", "curves.png"]
    written = strict((tmp_path / "curves.json").read_text())["seeds"]
    # Another process gets the same numbers.
    main([*TINY, "--seeds", "2", "--json", str(tmp_path / "again.json")])
    again = strict((tmp_path / "again.json").read_text())["seeds"]
    for one, other in zip(written, again, strict=True):
        for name, value in one.items():
            np.testing.assert_allclose(value, other[name], rtol=1e-6)


# Errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--dropout 1.2", r"dropout=1\.2: give a number in \[0, 1\)"),
        ("--negative-slope -1", r"negative_slope=-1\.0: give a number in \[0, 1\]"),
        ("--learning-rate 0", r"learning_rate=0\.0: give a number in"),
        ("--learning-rate nan", r"learning_rate=nan: give a number in"),
        ("--data-noise 2", r"data_noise=2\.0: give a number in \[0, 1\]"),
        ("--weight-noise 2", r"weight_noise=2\.0: give a number in \[0, 1\]"),
        ("--batch-size 0", r"batch_size=0: give integers of at least 1"),
        ("--batch-size 101", r"batch_size=101: there are 100 images; give at most that"),
        ("--epochs 0", r"epochs=0: give an integer of at least 1"),
        ("--seeds 0", r"seeds=0: give at least 1"),
        ("--seeds 1000000000000", r"seeds=1000000000000: give at least 1 and at most 1000000"),
        ("--width 1000000000", r"width=1000000000: give at most 100000; more fit into no memory"),
        ("--train 5001", r"train=5001: .* has 5000 images; ask for 5000 or fewer"),
        ("--test 5001", r"test=5001: .* has 5000 images; ask for 5000 or fewer"),
        ("--train 0", r"train=0: give an integer, 1 or more"),
        ("--size 9", r"size=9: .*; give size=10"),
        ("--hidden-layers 0", r"hidden_layers=0: give an integer of at least 1"),
        ("--width 0", r"width=0: give an integer of at least 1"),
        ("--device abacus", r"device='abacus': choose 'cpu' or 'cuda'"),
        ("--device cuda:x", r"device='cuda:x': "),
        ("--learning-rate 1e30", r"seeds \[0, 1, 2\] have collapsed, .*: train more gently"),
    ],
)
def test_errors_name_argument_value_and_remedy(options, message, tmp_path, capsys):
    file = tmp_path / "curves.json"
    assert main([*TINY, "--json", str(file), *options.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    error = err.splitlines()[-1]
    assert error.startswith("sbt-utils: error: ")
    assert re.search(message, error)
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("load-curve --epochs few", "--epochs: invalid int value: 'few'"),
        ("load-curve --optimizer newton", "--optimizer: invalid choice: 'newton'.*adam"),
        ("load-curve --measure mean", "--measure: invalid choice: 'mean'.*trace"),
        ("load-curve --dataset digits", "--dataset: invalid choice: 'digits'.*mnist_full"),
        ("sweep dropout --dataset digits", "--dataset: invalid choice: 'digits'.*mnist_full"),
        ("report a:B c --dataset digits", "--dataset: invalid choice: 'digits'.*mnist_full"),
        ("load-curve --momentum 1", "unrecognized arguments: --momentum 1"),
        ("load-curve --json=", "argument --json: an empty name; give that of a file"),
        ("load-curve \x1b[2J\ud800", r"unrecognized arguments: \\x1b\[2J\\ud800\n$"),
        (f"load-curve --epochs {'9' * 5000}", r"--epochs: invalid int value: '9+\.\.\.9+'\n$"),
        # "argument : invalid choice" would not say what is wrong.
        ("loadcurve", r"argument \w.*: invalid choice: 'loadcurve'.*load-curve"),
    ],
)
def test_options_that_do_not_parse(options, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(options.split())
    assert exit_.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(message, err)


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("json", "missing/curves.json"),
        ("plot", "missing/curves.png"),
        ("plot", "curves.xyz"),
        ("json", "."),
        ("plot", "."),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_training(option, name, tmp_path, capsys):
    path = tmp_path / name
    assert main([*TINY, "--seeds", "1", f"--{option}", str(path)]) == 2
    _, err = capsys.readouterr()
    assert "Traceback" not in err
    assert list(tmp_path.rglob("*")) == []  # no temporary file either
    assert list(tmp_path.parent.glob(f".{tmp_path.name}*")) == []
    error = err.splitlines()[-1]
    assert re.search(rf"(?<![./\w]){option}\b", error), "names the argument"
    assert str(path) in error
    assert not re.search(rf"\.{os.getpid()}\b", error), "names a temporary file, not the argument's"
    assert "epoch" not in err, "trained first, for nothing"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("--json a.svg --plot a.svg", "plot=a.svg: this is the file of json; give another one"),
        ("--json /proc/a.json", r"json=/proc/a.json: cannot be written \("),
        ("--plot a.pgf", "plot=a.pgf: cannot be drawn here .*; end the name in .svg, .pdf or .png"),
    ],
)
def test_outputs_are_checked_before_training(options, fault, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # without LaTeX
    assert main([*TINY, *options.split()]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(rf"sbt-utils: error: {fault}.*\n", err)
    assert os.listdir(tmp_path) == []


def test_an_error_leaves_an_older_file(tmp_path):
    file = tmp_path / "curves.json"
    file.write_text("{}")
    assert main([*TINY, "--json", str(file), "--learning-rate", "1e30"]) == 2
    assert file.read_text() == "{}"


def test_errors_in_a_process_of_its_own(tmp_path):
    done = run(*TINY, "--dropout", "1.2", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "python -m sbt_utils: error: dropout=1.2: give a number in [0, 1)\n"


def test_what_nobody_foresaw_is_told_in_a_line(monkeypatch, capsys):
    def fail(options):
        raise KeyError("\x1b[31mlayer\nsecond line")

    monkeypatch.setattr("sbt_utils.commands.sweep.run", fail)
    assert main(["sweep", "dropout"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sbt-utils: error: KeyError: '")
    assert err.endswith("`python -X dev -m sbt_utils ...` shows where\n")
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_one_collapsed_network_does_not_cost_the_others(tmp_path, monkeypatch, capsys):
    def with_a_collapsed_one(*args):
        measured = evaluate(*args)
        measured.separation[1, 1:] = np.nan
        return measured

    main([*TINY, "--seeds", "3", "--json", str(tmp_path / "all.json")])
    monkeypatch.setattr("sbt_utils.measuring.evaluation.evaluate", with_a_collapsed_one)
    capsys.readouterr()
    assert main([*TINY, "--seeds", "3", "--json", str(tmp_path / "a.json")]) == 0
    expected = strict((tmp_path / "all.json").read_text())["seeds"]
    for part in ("separation_train", "separation_test"):
        expected[1][part][1:] = [None, None]
    assert strict((tmp_path / "a.json").read_text())["seeds"] == expected
    out = capsys.readouterr().out
    assert "seeds [1] have collapsed and are left out of what follows\ntrain: " in out


def test_a_closed_pipe_is_told_in_a_line(tmp_path):
    command = [sys.executable, "-m", "sbt_utils", *TINY, "--seeds", "1", "--json", "a.json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert err.splitlines()[-1] == "python -m sbt_utils: error: [Errno 32] Broken pipe"
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert len(strict((tmp_path / "a.json").read_text())["seeds"]) == 1


@pytest.mark.parametrize("output", ["--json /dev/full", "--plot a.svg", "--json {} --plot {}.svg"])
def test_what_cannot_be_written_costs_nothing_else(tmp_path, monkeypatch, capsys, output):
    folder = tmp_path / "folder"

    def remove_the_folder(*args):
        shutil.rmtree(folder, ignore_errors=True)
        return evaluate(*args)

    def no_figure(*args):
        raise RuntimeError("no figure")

    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sbt_utils.measuring.evaluation.evaluate", remove_the_folder)
    if "{}" not in output:
        monkeypatch.setattr("sbt_utils.drawing.load_curves", no_figure)
    outputs = output.format(folder / "a.json", folder / "a").split()
    outputs += ["--json", "b.json"] * ("--json" not in outputs)
    assert main([*TINY, "--seeds", "1", *outputs]) == 2
    out, err = capsys.readouterr()
    assert "D, seed 0" in out
    assert out.splitlines()[-1].startswith("test: ")
    reason = r"\w+=\S+: cannot be written \((No space left .*|No such file .*|no figure)\)"
    last = rf"sbt-utils: error: {reason}(; {reason})?; what was printed is whole"
    assert re.fullmatch(last, err.splitlines()[-1])
    assert os.path.exists("b.json") == ("a.svg" in outputs)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_streams_that_are_closed(tmp_path, closed):
    def shell(options):
        command = [sys.executable, "-m", "sbt_utils", *TINY, "--seeds", "1", *options]
        line = f"{shlex.join(command)} {closed}"
        return subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)

    done = shell(["--epochs", "0"])
    assert done.returncode == 2
    assert done.stdout == ""  # no error among the results
    if "full" not in closed:
        done = shell(["--json", "a.json"])
        assert done.returncode == 0
        assert ("D, seed 0" in done.stdout) == (closed == "2>&-")
        assert len(strict((tmp_path / "a.json").read_text())["seeds"]) == 1


def test_files_of_data_are_not_replaced(tmp_path, monkeypatch, capsys):
    file = tmp_path / "mnist" / "train-labels-idx1-ubyte"
    file.parent.mkdir()
    file.write_text("labels")
    monkeypatch.setenv("SBT_DATA", str(tmp_path))
    assert main([*TINY, "--json", str(file)]) == 2
    assert "this is the file of mnist/train-labels-idx1-ubyte.gz; give" in capsys.readouterr().err
    assert file.read_text() == "labels"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_help_on_terminals_that_know_few_letters(tmp_path, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for command in ([], ["sweep"], ["report"], ["load-curve"]):
        done = run(*command, "--help", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert run("sweep", "α", "--out", "a.nc", folder=tmp_path).returncode == 2


# Sweeps --------------------------------------------------------------------------------------

SWEEP = ["--hidden-layers", "1", "--width", "4", "--epochs", "1", "--train", "100", "--test", "50"]
GRID = ["sweep", "--axis", "width", "4", "8", "--axis", "optimizer", "adam", "sgd", *SWEEP]


def test_a_published_sweep_is_written_and_not_computed_twice(tmp_path, capsys):
    file = tmp_path / "dropout.nc"
    command = ["sweep", "dropout", "--profile", "smoke", *SWEEP, "--out", str(file)]
    assert main(command) == 0
    out, _ = capsys.readouterr()
    assert out.startswith(f"{file}: 2 noise x 2 slope x 1 seed, test accuracy ")
    diagram = load_results(file)
    assert diagram.sizes["layer"] == 2
    experiment = published("dropout", "smoke", hidden_layers=1, width=4, epochs=1, train=100)
    assert diagram.noise.values.tolist() == list(experiment.axes["dropout"])
    before = file.stat().st_mtime_ns
    assert main(command) == 0
    assert file.stat().st_mtime_ns == before
    assert main([*command, "--no-resume"]) == 0
    assert file.stat().st_mtime_ns > before


@pytest.mark.slow
def test_a_grid_of_ones_own_on_two_processes(tmp_path):
    command = [*GRID, "--seeds", "1", "--workers", "2", "--shard-size", "1", "--out", "grid.nc"]
    finished = run(*command, folder=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "4/4 networks" in finished.stderr
    assert "left" in finished.stderr
    diagram = load_results(tmp_path / "grid.nc")
    assert diagram.accuracy_test.dims == ("width", "optimizer", "seed")
    assert os.listdir(tmp_path) == ["grid.nc"]


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*GRID, "--dry-run"]) == 0
    out, _ = capsys.readouterr()
    assert re.match(r"40 networks in 4 shards\n[\d.e+]+ floating-point operations", out)
    assert re.search(r"at most 0:00:\d\d on this machine\n$", out)
    assert os.listdir(tmp_path) == []


def test_ctrl_c_says_what_is_kept_and_the_sweep_resumes(tmp_path):
    grid = ["sweep", "--axis", "width", *map(str, range(4, 40)), "--axis", "optimizer", "adam"]
    command = [*grid, *SWEEP, "--seeds", "1", "--epochs", "30", "--out", "a.nc"]
    arguments = [sys.executable, "-m", "sbt_utils", *command]
    with subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(1000):
            if list(tmp_path.glob("a.shards/0*.nc")):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
    assert process.returncode == 130
    last = err.splitlines()[-1]
    assert last.startswith("python -m sbt_utils: interrupted; finished shards are kept in ")
    assert last.endswith("a.nc to resume")
    assert "Traceback" not in err
    assert run(*command, folder=tmp_path).returncode == 0
    assert os.listdir(tmp_path) == ["a.nc"]


def test_ctrl_c_from_the_start_on_ends_it_with_a_line():
    code = (
        "import signal, sys\nfrom sbt_utils.__main__ import main\n"
        "set_handler = signal.signal\n"
        "def told(*arguments):\n"  # from here on it is ours to end
        "    signal.signal = set_handler\n"
        "    set_handler(*arguments)\n"
        "    print('begun', flush=True)\n"
        "signal.signal = told\n"
        "sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "load-curve", "--epochs", "10000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    rng = random.Random(0)
    for longest in (0.0, 0.01, 0.3, 1.0, 2.0, 3.0, 6.0):  # imports, then training
        with subprocess.Popen(command, **pipes) as process:
            assert process.stdout.readline() == "begun\n"
            time.sleep(rng.uniform(longest / 2, longest))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, "")
        lines = [line for line in re.split(r"[\r\n]+", err) if line and "epoch" not in line]
        assert lines == ["sbt-utils: interrupted; nothing is kept"]


def test_a_process_in_the_background_ignores_ctrl_c():
    shell = f"trap '' INT; exec {shlex.join([sys.executable, '-m', 'sbt_utils', *TINY])}"
    with subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(8):
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("layer")


def test_ctrl_c_elsewhere(monkeypatch, capsys):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("sbt_utils.commands.load_curve.run", stop)
    assert main(["load-curve"]) == 130
    assert capsys.readouterr().err == "sbt-utils: interrupted; nothing is kept\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--out a.nc", "experiment: name one, or give --axis twice"),
        ("dropout", "out: name a file for the results"),
        ("dropouts --out a.nc", "experiment='dropouts': choose one of dropout, "),
        ("dropout --profile huge --out a.nc", "profile='huge': choose one of smoke"),
        (
            "--axis width --axis dropout 0 --out a.nc",
            "'width': give a sequence of one value or more",
        ),
        ("--axis width 4 --axis=-- --out a.nc", "axis: no value given; write --axis VALUE"),
        ("dropout --out=--", "out: no value given; write --out VALUE"),
        ("dropout --shard-size=-- --out a.nc", "shard_size: no value given; write --shard-size V"),
        ("--axis width 4 --out a.nc", "give two different ones of "),
        ("--axis width 4 --axis depth 3 --out a.nc", "give two different "),
        ("--axis width 4 4 --axis dropout 0 --out a.nc", r"repeats \[4\]"),
        ("--axis width x --axis dropout 0 --out a.nc", "width='x': give an"),
        ("dropout --seeds 1000000000000 --out a.nc", "seeds=1000000000000: give an integer"),
        ("dropout --workers 0 --out a.nc", "workers=0: give an integer of at least 1"),
        ("dropout --device cuda:7 --out a.nc", "this machine has no such GPU"),
        ("dropout --out .", "out=.: this is a folder"),
        ("dropout --out /proc/none/a.nc", "its folder cannot be made"),
    ],
)
def test_a_sweep_at_fault(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *arguments.split()]) == 2
    _, err = capsys.readouterr()
    assert re.search(rf"^sbt-utils: error: .*{message}", err)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"somebody's", b" {}"])
def test_a_file_of_another_kind_is_not_replaced(content, tmp_path, capsys):
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    assert main([*TINY, "--json", str(file)]) == 2
    assert "model.pt: there is a file that is not JSON; give" in capsys.readouterr().err
    assert file.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b'{"older": 1}'])
def test_an_older_result_is_replaced(content, tmp_path):
    file = tmp_path / "curves.json"
    file.write_bytes(content)
    assert main([*TINY, "--seeds", "1", "--json", str(file)]) == 0
    assert len(strict(file.read_text())["seeds"]) == 1
