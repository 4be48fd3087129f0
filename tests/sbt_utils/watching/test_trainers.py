"""The callback in stand-ins of Lightning's and Hugging Face's trainers, called as they do."""

import os
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_training import network, problem
from torch import nn

from sbt_utils.watching.callback import LoadCurveCallback
from sbt_utils.watching.loggers import hugging_face_loggers

IMAGES, LABELS = problem(images=120)
LIGHTNING = ["setup", "teardown", "on_fit_start", "on_sanity_check_start", "on_exception"]
LIGHTNING += ["on_train_batch_start", "on_validation_batch_end", "on_save_checkpoint"]
LIGHTNING += ["on_before_backward", "on_before_optimizer_step", "on_before_zero_grad"]
HUGGING_FACE = ["on_init_end", "on_epoch_begin", "on_step_begin", "on_pre_optimizer_step"]
HUGGING_FACE += ["on_optimizer_step", "on_substep_end", "on_evaluate", "on_save", "on_log"]


class Writer:
    """Of TensorBoard: keeps what it gets."""

    def __init__(self, folder="", broken=False):
        self.folder, self.broken, self.closed = folder, broken, False
        self.scalars, self.images = [], []

    def add_scalar(self, name, value, step):
        if self.broken:
            raise OSError("no space left")
        self.scalars.append((step, name, value))

    def add_image(self, name, image, step, dataformats):
        assert dataformats == "HWC"
        self.images.append((step, name, image))

    def flush(self):
        pass

    def close(self):
        self.closed = True


class Run:
    """Of W&B: keeps what it gets."""

    def __init__(self):
        self.rows = []

    def log(self, values, commit):
        self.rows.append((values, commit))

    def Image(self, array):
        return "image", array.shape


class Logger:
    """Of Lightning: scalars, and TensorBoard's writer or W&B's way with images behind them."""

    def __init__(self, experiment):
        self.experiment, self.metrics = experiment, []
        if isinstance(experiment, Run):
            self.images = []
            self.log_image = lambda key, images, step: self.images.append((step, key, len(images)))

    def log_metrics(self, metrics, step):
        self.metrics.append((step, metrics))


class LightningModule(nn.Module):
    """Logs its loss, as Lightning's classes do."""

    def __init__(self):
        super().__init__()
        self.net, self.logged = network(), []

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def log(self, name, value):
        self.logged.append((name, self.training))


def lightning(callback, loggers, steps=5, first=True):
    """Train as Lightning does, two batches a step; return the module."""
    torch.manual_seed(0)
    module = LightningModule()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    trainer = SimpleNamespace(is_global_zero=first, global_step=0, loggers=loggers)

    def hook(name, *given):
        getattr(callback, name)(trainer, module, *given)

    assert callback.state_dict() == {}
    assert callback.state_key == callback._legacy_state_key
    for name in LIGHTNING:
        hook(name)
    hook("on_train_start")
    for index in range(2 * steps):
        batch = IMAGES[12 * index :][:12], LABELS[12 * index :][:12]
        loss = module.training_step(batch, index)
        loss.backward()
        if index % 2:
            optimizer.step()
            optimizer.zero_grad()
            trainer.global_step += 1
        hook("on_train_batch_end", {"loss": loss}, batch, index)
    hook("on_train_end")
    return module


def hugging_face(callback, arguments, steps=5, first=True):
    """Train as Hugging Face's Trainer does; return the model."""
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    state = SimpleNamespace(is_world_process_zero=first, global_step=0)

    def event(name, **more):
        given = {"model": model, "optimizer": optimizer, "train_dataloader": None}
        assert getattr(callback, name)(arguments, state, SimpleNamespace(), **given | more) is None

    for name in HUGGING_FACE:
        event(name)
    event("on_train_begin")
    for step in range(steps):
        part = slice(24 * step, 24 * step + 24)
        nn.functional.cross_entropy(model(IMAGES[part]), LABELS[part]).backward()
        optimizer.step()
        optimizer.zero_grad()
        state.global_step += 1
        event("on_step_end")
    event("on_train_end")
    return model


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


class Nobody:
    """A callback that does nothing."""

    state_key = _legacy_state_key = ""

    def __getattr__(self, name):
        return lambda *_, **__: {} if name == "state_dict" else None


def test_lightning_is_watched_from_before_its_first_step():
    plain = lightning(Nobody(), [])
    callback = LoadCurveCallback((IMAGES, LABELS), every=2)
    loggers = [Logger(writer := Writer()), Logger(Run()), Logger(object())]
    module = lightning(callback, loggers)
    assert same(plain, module)
    assert module.logged == plain.logged
    assert [reading.step for reading in callback.readings] == [0, 2, 4]
    for logger in loggers:
        assert [step for step, _ in logger.metrics] == [0, 2, 4]
        for (_, metrics), reading in zip(logger.metrics, callback.readings, strict=True):
            expected = {f"load_curve/{name}": value for name, value in reading.scalars.items()}
            assert metrics == expected
    assert [(step, name) for step, name, _ in writer.images] == [
        (step, "load_curve/picture") for step in (0, 2, 4)
    ]
    image = writer.images[0][2]
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert 0 < (image < 128).mean() < 0.2  # dark lines and letters on white
    assert loggers[1].images == [(step, "load_curve/picture", 1) for step in (0, 2, 4)]


def test_what_a_training_step_logs_in_a_reading_is_not_logged():
    def forward(module, batch):
        return module.training_step(batch, 0)

    callback = LoadCurveCallback((IMAGES, LABELS), every=1, forward=forward)
    module = lightning(callback, [])
    assert module.logged == [("loss", True)] * 10  # none in evaluation mode
    assert module.log.__func__ is LightningModule.log
    assert all(reading.curve for reading in callback.readings)


def test_other_processes_measure_nothing(monkeypatch):
    callback = LoadCurveCallback((IMAGES, LABELS), every=1)
    lightning(callback, [], first=False)
    hugging_face(callback, SimpleNamespace(report_to=["tensorboard"]), first=False)
    assert callback.readings == []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert callback(network(), 0) is None


@pytest.fixture
def tensorboard(monkeypatch):
    """Stand in for `torch.utils.tensorboard`, and return the list of writers that are made."""
    writers = []

    def new_writer(folder):
        writers.append(Writer(folder))
        return writers[-1]

    module = SimpleNamespace(SummaryWriter=new_writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    return writers


def test_hugging_face_is_logged_beside_its_own_writer_and_to_its_run(
    monkeypatch, tmp_path, tensorboard
):
    monkeypatch.setitem(sys.modules, "wandb", run := Run())
    for number, name in enumerate(("Nov24", "Nov26", "Nov25")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        os.utime(tmp_path / "runs" / name, (number % 2 + 1, number % 2 + 1))
    arguments = SimpleNamespace(output_dir=str(tmp_path), report_to=["tensorboard", "wandb"])
    plain = hugging_face(Nobody(), arguments)
    callback = LoadCurveCallback((IMAGES, LABELS), every=2)
    assert same(plain, hugging_face(callback, arguments))
    (writer,) = tensorboard
    assert writer.folder == str(tmp_path / "runs" / "Nov26" / "load_curve")
    assert writer.closed
    assert [reading.step for reading in callback.readings] == [0, 2, 4]
    assert [step for step, _, _ in writer.images] == [0, 2, 4]
    for (values, commit), reading in zip(run.rows, callback.readings, strict=True):
        assert commit  # or the next row's step would become this one's
        assert values.pop("train/global_step") == reading.step
        assert values.pop("load_curve/picture")[0] == "image"
        assert values == {f"load_curve/{name}": value for name, value in reading.scalars.items()}


@pytest.mark.parametrize(
    ("arguments", "environment", "folder"),
    [
        ({"logging_dir": "logs"}, {}, "logs/load_curve"),  # of transformers 4
        ({}, {"TENSORBOARD_LOGGING_DIR": "/there"}, "/there/load_curve"),
        ({"output_dir": "nowhere"}, {}, "nowhere/runs/load_curve"),
    ],
)
def test_where_tensorboard_finds_the_curve(
    arguments, environment, folder, monkeypatch, tensorboard
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (writer,) = hugging_face_loggers(SimpleNamespace(report_to=["tensorboard"], **arguments))
    assert writer.folder == os.path.join(*folder.split("/")) or writer.folder == folder


def test_a_missing_package_does_not_stop_a_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    callback = LoadCurveCallback((IMAGES, LABELS), every=1)
    with pytest.warns(UserWarning, match=r"nothing is logged \(.*Error.*Training goes on"):
        hugging_face(callback, SimpleNamespace(report_to=["tensorboard"]))
    assert len(callback.readings) == 6


def test_a_given_logger_is_used_in_the_place_of_others():
    callback = LoadCurveCallback((IMAGES, LABELS), every=2, log_to=(writer := Writer()))
    lightning(callback, [logger := Logger(Writer())])
    hugging_face(callback, SimpleNamespace(report_to=["tensorboard"]))
    assert logger.metrics == []
    assert [step for step, _, _ in writer.images] == [0, 2, 4, 0, 2, 4]
    assert not writer.closed  # it is not ours


def test_a_loop_logs_to_a_run_in_the_row_of_its_own_values(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", run := Run())
    reading = LoadCurveCallback((IMAGES, LABELS), log_to=run)(network(), 300)
    ((values, commit),) = run.rows
    assert not commit
    assert values["train/global_step"] == 300
    assert values["load_curve/fall"] == reading.fall


def test_a_logger_that_fails_is_told_once_and_others_go_on():
    callback = LoadCurveCallback((IMAGES, LABELS), every=1)
    broken = Writer(broken=True)
    good = Logger(Writer())
    with pytest.warns(UserWarning, match=r"step 0: Writer did not log \(OSError: no space left\)"):
        lightning(callback, [broken, good])
    assert len(good.metrics) == 6


def test_it_goes_to_another_process():
    callback = pickle.loads(pickle.dumps(LoadCurveCallback((IMAGES, LABELS), every=2)))  # noqa: S301
    assert callback(network(), 0).curve is not None
