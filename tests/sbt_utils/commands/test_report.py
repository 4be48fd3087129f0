"""``sbt-utils report``, in this process and in a process of its own."""

import errno
import io
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from data_parts import parts
from safetensors.torch import save_file
from strict_json import strict

from sbt_utils.commands import main
from sbt_utils.data.datasets import load_data
from sbt_utils.models.pools import POOLS
from sbt_utils.options import POOLS as CHOICES
from sbt_utils.reporting.comparison import compare
from sbt_utils.reporting.model_files import load_inputs, load_model
from sbt_utils.reporting.stress_map import report
from sbt_utils.training.networks import MLP
from sbt_utils.training.trainer import train

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments, folder, flags=()):
    command = [sys.executable, *flags, "-m", "sbt_utils", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


class Closed(io.TextIOBase):
    """The reading end of the pipe is gone, as that of ``| head`` may be."""

    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


NETWORK = "sbt_utils.training.networks:MLP"
SMALL = {"width": 20, "hidden_layers": 3}


@pytest.fixture
def model_folder(tmp_path, monkeypatch):
    """Work in a folder with a saved model, training images and unseen ones."""
    monkeypatch.chdir(tmp_path)
    on_train, on_test = parts(load_data("mnist", train=300, test=200))
    settings = {"epochs": 20, "learning_rate": 0.01, "progress": False}
    torch.save(train(MLP(**SMALL), *on_train, **settings).network(0).state_dict(), "model.pt")
    for name, (images, labels) in {"train.npz": on_train, "test.npz": on_test}.items():
        np.savez(name, images=images, labels=labels)
    return tmp_path


REPORT = ["report", NETWORK, "model.pt", "--arguments", json.dumps(SMALL)]
FILES = ["--train", "train.npz", "--test", "test.npz"]


def expected_report(**options):
    model = load_model(NETWORK, "model.pt", SMALL)
    return report(model, load_inputs("train.npz"), load_inputs("test.npz"), **options)


def test_a_report_equals_calling_the_library(model_folder, capsys):
    command = [*REPORT, *FILES, "--json", "map.json", "--plot", "map.png"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    expected = expected_report()
    assert out == f"{expected}\n"
    assert err == ""
    assert strict((model_folder / "map.json").read_text()) == strict(expected.to_json())
    assert (model_folder / "map.png").read_bytes().startswith(b"\x89PNG")
    files = ["map.json", "map.png", "model.pt", "test.npz", "train.npz"]
    assert sorted(os.listdir(model_folder)) == files


def test_a_report_is_on_disk_before_it_is_printed(model_folder, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Closed())
    assert main([*REPORT, *FILES, "--json", "map.json", "--plot", "map.png"]) == 2
    assert strict((model_folder / "map.json").read_text()) == strict(expected_report().to_json())
    assert (model_folder / "map.png").read_bytes().startswith(b"\x89PNG")


def test_an_error_says_in_which_data_and_layer(model_folder, capsys):
    np.savez("test.npz", images=np.ones((4, 1, 10, 10)), labels=[0, 0, 1, 1])
    assert main([*REPORT, *FILES]) == 2
    error = capsys.readouterr().err
    assert re.search(r"^sbt-utils: error: .*; in layer 'input_norm'; in the unseen inputs$", error)


def test_a_report_takes_options(model_folder, capsys):
    options = ["--layers", "activation1", "readout", "--resamples", "50", "--batch-size", "64"]
    assert main([*REPORT, *FILES, *options]) == 0
    expected = expected_report(layers=["activation1", "readout"], resamples=50, batch_size=64)
    assert capsys.readouterr().out == f"{expected}\n"
    assert main([*REPORT, "--train", "train.npz"]) == 0
    assert "unseen_load" not in capsys.readouterr().out


def test_a_report_on_a_data_set_of_the_package(model_folder, capsys):
    assert main([*REPORT, "--dataset", "mnist"]) == 0
    assert "2560 training inputs and 5000 unseen inputs" in capsys.readouterr().out


def test_a_report_on_a_model_in_the_folder_it_is_called_from(model_folder):
    (model_folder / "mine.py").write_text(
        "from sbt_utils import MLP\n\ndef network(width):\n    return MLP(100, width, 3)\n"
    )
    arguments = ["report", "mine:network", "model.pt", "--arguments", "[20]", *FILES]
    # The command that is installed looks in the folder of the command first.
    program = "import sys; sys.path[0] = sys.prefix; from sbt_utils.commands import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=model_folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Stress map of 3 layers, 300 training inputs and 200 unseen")
    done = run(*arguments, folder=model_folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Stress map of 3 layers, 300 training inputs and 200 unseen")
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ("--json model.pt", "checkpoint model.pt"),
        ("--json train.npz", "train"),
        ("--json test.npz", "test"),
        ("--json mine.py", "module mine"),
        ("--json part.py", "module part"),
    ],
)
def test_a_report_never_replaces_what_it_reads(model_folder, outputs, name):
    (model_folder / "part.py").write_text(
        # A dictionary comes first, so that they might be JSON by their first character.
        "{}\nfrom sbt_utils import MLP\ndef network():\n    return MLP(width=20, hidden_layers=3)\n"
    )
    (model_folder / "mine.py").write_text("{}\nfrom part import network\n")
    before = {path.name: path.read_bytes() for path in model_folder.iterdir()}
    command = ["report", "mine:network", "model.pt", *FILES, *outputs.split()]
    done = run(*command, folder=model_folder, flags=["-B"])
    assert done.returncode == 2
    assert re.search(rf"error: json=\S+: this is the file of {name}; give another one", done.stderr)
    assert {path.name: path.read_bytes() for path in model_folder.iterdir()} == before


def test_a_report_on_a_terminal_that_knows_few_letters(model_folder, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (model_folder / "mine.py").write_text(
        "from torch import nn\n\n"
        "class Named(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.flat = nn.Flatten()\n        self.first = nn.Linear(100, 20)\n"
        "        self.α_act = nn.ReLU()\n        self.β_act = nn.ReLU()\n"
        "        self.second = nn.Linear(20, 20)\n        self.last = nn.Linear(20, 10)\n"
        "    def forward(self, x):\n        x = self.α_act(self.first(self.flat(x)))\n"
        "        return self.last(self.β_act(self.second(x)))\n"
    )
    monkeypatch.syspath_prepend(str(model_folder))
    torch.manual_seed(0)
    named = __import__("mine").Named()
    torch.save(named.state_dict(), "model.pt")
    done = run("report", "mine:Named", "model.pt", *FILES, "--json", "a.json", folder=model_folder)
    assert done.returncode == 0, done.stderr
    assert r"\u03b1_act" in done.stdout
    assert "α_act" in str(strict((model_folder / "a.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (REPORT, "train: give --train FILE.npz, or --dataset NAME in its place"),
        ([*REPORT, *FILES, "--dataset", "mnist"], "train: give --train FILE.npz, or --dataset"),
        ([*REPORT, "--test", "test.npz", "--dataset", "mnist"], "test: --dataset brings its own"),
        ([*REPORT, "--train", "none.npz"], "train=none.npz: there is no such file; give another"),
        (
            [*REPORT, "--train", "model.pt"],
            r"model.pt: not an npz file .* no array '(images|labels)'",
        ),
        (["report", "MLP", "model.pt", *FILES], "model=MLP: give package.module:ClassOrFunction"),
        (["report", "nowhere:MLP", "model.pt", *FILES], "model=nowhere:MLP: cannot be imported"),
        (["report", NETWORK, "model.pt", *FILES], "does not fit MLP, lacks linear"),
        (["report", NETWORK, "train.npz", *FILES], "not a whole checkpoint"),
        (["report", NETWORK, "none.pt", *FILES], "checkpoint=none.pt: there is no such file"),
        (["report", NETWORK, "w" * 2000, *FILES], "checkpoint=w.{,300}: there is no such file"),
        ([*REPORT[:4], "{", *FILES], "arguments='{': not JSON"),
        ([*REPORT[:3], "--arguments=--", *FILES], "arguments: no value given"),
        ([*REPORT[:4], "3", *FILES], "arguments='3': give an object or a list"),
        ([*REPORT, *FILES, "--layers", "conv"], "layers: the model has no layer 'conv'; its layer"),
        ([*REPORT, *FILES, "--resamples", "3"], "resamples=3: give an integer of 40 or more"),
        ([*REPORT, *FILES, "--json", "none/map.json"], "json=none/map.json: there is no folder"),
        ([*REPORT, *FILES, "--plot", "map.xyz"], "plot=map.xyz: end the name in one of"),
        ([*REPORT, *FILES, "--device", "cuda:7"], "device='cuda:7': this machine has no such GPU"),
    ],
)
def test_a_report_at_fault(model_folder, arguments, message, capsys):
    before = sorted(os.listdir(model_folder))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(rf"^sbt-utils: error: .*{message}", err)
    assert sorted(os.listdir(model_folder)) == before


def test_a_model_that_fails_on_the_images(model_folder, capsys):
    np.savez("test.npz", images=np.zeros((4, 3, 8, 8)), labels=[0, 0, 1, 1])
    assert main([*REPORT, *FILES]) == 2
    error = capsys.readouterr().err
    assert "fails on images of shape (300, 1, 10, 10) and images of shape (4, 3, 8, 8) (" in error
    assert "Traceback" not in error


class Spy:
    """A pickle that leaves a trace where it is unpickled."""

    def __reduce__(self):
        return (open, ("trace", "w"))


def test_a_hostile_checkpoint_runs_nothing(model_folder, capsys):
    torch.save({"linear1.weight": Spy()}, "model.pt")
    assert main([*REPORT, *FILES]) == 2
    assert "model.pt: holds no state_dict" in capsys.readouterr().err
    assert "trace" not in os.listdir(model_folder)


# Weights of other tools ----------------------------------------------------------------------


def test_a_report_on_safetensors_is_the_same(model_folder, capsys):
    save_file(torch.load("model.pt", weights_only=True), "other")
    assert main([*REPORT[:2], "other", *REPORT[3:], *FILES]) == 0
    assert capsys.readouterr().out == f"{expected_report()}\n"


@pytest.mark.filterwarnings("default")
def test_averaged_weights_are_chosen_by_their_name(model_folder, capsys):
    state = torch.load("model.pt", weights_only=True)
    torch.manual_seed(0)
    other = {f"module.{name}": tensor for name, tensor in MLP(**SMALL).state_dict().items()}
    torch.save({"model": other, "model_ema": state, "args": Spy()}, "both.pt")
    command = [*REPORT[:2], "both.pt", *REPORT[3:], *FILES]
    assert main([*command, "--weights", "ema"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{expected_report()}\n"
    assert err == ""
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out != f"{expected_report()}\n"
    taken = "the weights under model.module are taken; weights= takes those under model_ema"
    assert err == f"sbt-utils: warning: checkpoint=both.pt: {taken}\n"
    assert main([*command, "--weights", "swa"]) == 2
    assert "error: weights='swa': no weights of the model" in capsys.readouterr().err
    assert "trace" not in os.listdir(model_folder)


def test_several_checkpoints_are_compared(model_folder, capsys):
    torch.manual_seed(0)
    save_file(MLP(**SMALL).state_dict(), "before")
    names = ["before", "model.pt"]
    outputs = ["--json", "maps.json", "--plot", "maps.svg"]
    assert main([*REPORT[:2], *names, *REPORT[3:], *FILES, *outputs]) == 0
    data = load_inputs("train.npz"), load_inputs("test.npz")
    maps = {name: report(load_model(NETWORK, name, SMALL), *data) for name in names}
    assert capsys.readouterr().out == f"{compare(maps)}\n"
    written = strict((model_folder / "maps.json").read_text())
    assert written == {name: strict(stress.to_json()) for name, stress in maps.items()}
    assert ElementTree.parse("maps.svg").getroot().tag.endswith("svg")
    assert main([*REPORT[:2], "model.pt", "model.pt", *REPORT[3:], *FILES]) == 2
    assert "checkpoint: one is given twice; give different" in capsys.readouterr().err


def test_no_part_of_a_checkpoint_is_replaced(model_folder, capsys):
    state = torch.load("model.pt", weights_only=True)
    folder = model_folder / "saved"
    folder.mkdir()
    save_file(state, folder / "part.safetensors")
    index = {"weight_map": dict.fromkeys(state, "part.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    before = (folder / "part.safetensors").read_bytes()
    command = [*REPORT[:2], "saved", *REPORT[3:], *FILES]
    assert main([*command, "--json", "saved/part.safetensors"]) == 2
    assert "this is the file of checkpoint saved/part.safetensors" in capsys.readouterr().err
    assert (folder / "part.safetensors").read_bytes() == before
    assert main(command) == 0
    assert capsys.readouterr().out == f"{expected_report()}\n"


# Texts ---------------------------------------------------------------------------------------

TEXT = """
from torch import nn

class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(12, 8)
        kind = dict(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(**kind) for _ in range(2))
        self.readout = nn.Linear(8, 3)

    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=attention_mask == 0)
        return self.readout(x[:, 0])
"""


@pytest.fixture
def text_folder(tmp_path, monkeypatch):
    """Work in a folder with a model of texts, and with texts padded to 9 and to 14 words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "texts.py").write_text(TEXT)
    monkeypatch.delitem(sys.modules, "texts", raising=False)
    torch.manual_seed(0)
    torch.save(__import__("texts").Text().state_dict(), "model.pt")
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    mask = (np.arange(14) < rng.integers(4, 10, (60, 1))).astype(int)
    ids = rng.integers(1, 9, (60, 14)) + 1
    ids[:, 1] = labels + 9
    for name, length in (("texts.npz", 9), ("padded.npz", 14)):
        arrays = {"input_ids": (ids * mask)[:, :length], "attention_mask": mask[:, :length]}
        np.savez(name, **arrays, labels=labels)
    return tmp_path


TEXTS = ["report", "texts:Text", "model.pt", "--train", "texts.npz"]


@pytest.mark.parametrize("pool", [None, *POOLS])
def test_texts_are_passed_by_keyword_and_pooled(text_folder, capsys, pool):
    options = [] if pool is None else ["--pool", pool]
    assert main([*TEXTS, *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    with np.load("texts.npz") as arrays:
        batch = {name: torch.tensor(arrays[name]) for name in arrays.files}
    assert out == f"{report(load_model('texts:Text', 'model.pt'), batch, pool=pool)}\n"
    assert "layers.1" in out
    assert main([*TEXTS[:-1], "padded.npz", *options]) == 0
    assert capsys.readouterr().out == out


def test_the_pools_that_are_offered_are_those_there_are():
    assert CHOICES == POOLS


def test_texts_at_fault(text_folder, capsys):
    with np.load("texts.npz") as file:
        arrays = dict(file)
    for change, message in (
        (
            {"input_ids": arrays["input_ids"] + 90},
            r"model=texts:Text: fails on input_ids \(60, 9\), "
            r"attention_mask \(60, 9\) \(index out of range in self; .*\); give inputs like those",
        ),
        ({"input_ids": arrays["input_ids"].astype(str)}, "an array of <U21 given; give numbers"),
        (
            {"vocabulary": np.arange(12)},
            r"labels: shape \(60,\) does not match inputs of shape \(12",
        ),
    ):
        np.savez("texts.npz", **arrays | change)
        assert main(TEXTS) == 2
        assert re.search(rf"^sbt-utils: error: .*{message}", capsys.readouterr().err)
    np.savez("texts.npz", images=np.ones((4, 2)), labels=np.arange(4) % 2)
    assert main(TEXTS) == 2
    assert "not what the model takes (missing a required argument" in capsys.readouterr().err
