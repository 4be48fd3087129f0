"""The callback in Lightning, Hugging Face's Trainer, TensorBoard and W&B, where they are."""

import csv
import importlib

import numpy as np
import pytest
import torch
from small_training import network, problem
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sbt_utils as sbt

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # they warn of their own
IMAGES, LABELS = problem(images=240)
NAMES = {f"load_curve/{name}" for name in ("convexity", "fall", "most_loaded_layer")}


def events(folder):
    """Return what TensorBoard itself reads of a run: scalars by name, and steps of the pictures."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    scalars = {
        name: [(event.step, event.value) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    }
    images = found.Tags()["images"]
    assert images == ["load_curve/picture"] * len(images)
    pictures = found.Images("load_curve/picture") if images else []
    assert all(picture.encoded_image_string[1:4] == b"PNG" for picture in pictures)
    return scalars, [picture.step for picture in pictures]


def check_scalars(scalars, readings):
    for name in NAMES:
        key = name.removeprefix("load_curve/")
        expected = [(r.step, r.scalars[key]) for r in readings if key in r.scalars]
        found = scalars.get(name, [])
        assert [step for step, _ in found] == [step for step, _ in expected]
        np.testing.assert_allclose([v for _, v in found], [v for _, v in expected], rtol=1e-6)


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_a_loop_writes_what_tensorboard_reads(tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    model = network()
    with SummaryWriter(str(tmp_path)) as writer:
        watch = sbt.LoadCurveCallback((IMAGES, LABELS), every=1, log_to=writer)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for step in range(12):
            watch(model, step)
            nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
            optimizer.step()
            optimizer.zero_grad()
    scalars, pictures = events(tmp_path)
    check_scalars(scalars, watch.readings)
    assert len(scalars["load_curve/fall"]) == 12
    assert pictures == list(range(12))


def test_a_loop_logs_to_a_run_of_wandb(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(mode="offline", dir=str(tmp_path))
    try:
        watch = sbt.LoadCurveCallback((IMAGES, LABELS), every=1, log_to=run)
        model = network()
        for step in range(3):
            watch(model, step)
            run.log({"loss": 1.0 / (step + 1)})
        assert run.step == 3  # a row each: the curve takes none of its own
        assert run.summary["load_curve/fall"] == pytest.approx(watch.readings[-1].fall)
    finally:
        run.finish()
    assert len(list(tmp_path.glob("**/load_curve/picture*.png"))) == 3


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def lightning(request):
    pytest.importorskip(request.param.partition(".")[0])
    return importlib.import_module(request.param)


def fitted(lightning, callbacks, folder, **more):
    """Train a network with dropout for 24 steps; return the module and the trainer."""

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network(dropout=0.2)

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.01)

    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(
        max_epochs=3,
        callbacks=callbacks,
        default_root_dir=folder,
        log_every_n_steps=1,
        **quiet | more,
    )
    lightning.seed_everything(0, verbose=False)
    module = Module()
    trainer.fit(module, DataLoader(TensorDataset(IMAGES, LABELS), 30, shuffle=True))
    return module, trainer


def test_lightning_trains_the_same_and_logs(lightning, tmp_path):
    plain, _ = fitted(lightning, [], tmp_path, logger=False, enable_checkpointing=False)
    watch = sbt.LoadCurveCallback((IMAGES, LABELS), every=5)
    loggers = [lightning.loggers.CSVLogger(tmp_path, "csv")]
    if importlib.util.find_spec("tensorboard"):
        loggers.append(lightning.loggers.TensorBoardLogger(tmp_path, "events"))
    module, trainer = fitted(lightning, [watch], tmp_path, logger=loggers)
    assert same(plain, module)
    assert [reading.step for reading in watch.readings] == [0, 5, 10, 15, 20]
    with open(f"{loggers[0].log_dir}/metrics.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["load_curve/fall"]]
    assert [int(row["step"]) for row in rows] == [0, 5, 10, 15, 20]
    assert [float(row["load_curve/fall"]) for row in rows] == [r.fall for r in watch.readings]
    if len(loggers) > 1:
        scalars, pictures = events(loggers[1].log_dir)
        check_scalars(scalars, watch.readings)
        assert {"loss", "load_curve/fall"} <= scalars.keys()
        assert pictures == [0, 5, 10, 15, 20]
    trainer.fit_loop.max_epochs = 4  # goes on from a checkpoint
    path = trainer.checkpoint_callback.best_model_path
    loader = DataLoader(TensorDataset(IMAGES, LABELS), 30, shuffle=True)
    trainer.fit(module, loader, ckpt_path=path, weights_only=False)
    assert [reading.step for reading in watch.readings[5:]] == [25, 30]


def test_a_training_step_as_forward_logs_nothing_in_lightning(lightning, tmp_path):
    def forward(module, batch):
        return module.training_step(batch, 0)

    plain, _ = fitted(lightning, [], tmp_path, logger=False, enable_checkpointing=False)
    watch = sbt.LoadCurveCallback((IMAGES, LABELS), every=1, forward=forward)
    logger = lightning.loggers.CSVLogger(tmp_path, "steps")
    module, _ = fitted(lightning, [watch], tmp_path, logger=logger)
    assert same(plain, module)
    with open(f"{logger.log_dir}/metrics.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    assert len(rows) == 24
    assert len(watch.readings) == 25


def test_all_that_the_frameworks_ask_of_callbacks_is_there():
    watch = sbt.LoadCurveCallback((IMAGES, LABELS))
    modules = {"lightning.pytorch": "Callback", "pytorch_lightning": "Callback"}
    modules |= {"transformers": "TrainerCallback"}
    found = False
    for module, name in modules.items():
        try:
            kind = getattr(importlib.import_module(module), name)
        except ImportError:
            continue
        for hook in {name for name in dir(kind) if not name.startswith("__")}:
            unused = hook in ("_generate_state_key", "load_state_dict")  # without a state
            assert unused or hasattr(watch, hook), hook
            found = True
    if not found:
        pytest.skip("neither framework is installed")


def language_model():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=40, intermediate_size=32, num_labels=2, max_position_embeddings=32, **sizes
        )
    )


def texts(count=160):
    """Return rows as a tokenizer leaves them: of different lengths, without padding."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        words = random.integers(20 * (number % 2), 20 * (number % 2) + 20, random.integers(4, 12))
        mask = [1] * len(words)
        rows.append({"input_ids": words.tolist(), "attention_mask": mask, "labels": number % 2})
    return rows


def padded(rows):
    def column(name):
        return nn.utils.rnn.pad_sequence([torch.tensor(row[name]) for row in rows], True)

    labels = torch.tensor([row["labels"] for row in rows])
    names = ("input_ids", "attention_mask")
    return {name: column(name) for name in names} | {"labels": labels}


def trained(folder, callbacks, report_to, **more):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    arguments = transformers.TrainingArguments(
        str(folder),
        max_steps=12,
        per_device_train_batch_size=16,
        learning_rate=1e-2,
        report_to=report_to,
        logging_steps=4,
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        **more,
    )
    model = language_model()
    transformers.Trainer(
        model, arguments, train_dataset=texts(), data_collator=padded, callbacks=callbacks
    ).train()
    return model


def test_hugging_face_trains_the_same_and_tensorboard_reads_both(tmp_path):
    pytest.importorskip("tensorboard")
    plain = trained(tmp_path / "plain", [], [])
    watch = sbt.LoadCurveCallback(texts(), every=4)
    assert same(plain, trained(tmp_path / "watched", [watch], ["tensorboard"]))
    assert [reading.step for reading in watch.readings] == [0, 4, 8, 12]
    assert watch.readings[-1].layers[-1].endswith("encoder.layer.2")
    assert watch.readings[-1].fall > watch.readings[0].fall
    (run,) = (tmp_path / "watched" / "runs").iterdir()
    scalars, pictures = events(run / "load_curve")
    check_scalars(scalars, watch.readings)
    assert pictures == [0, 4, 8, 12]
    own = next(path for path in run.iterdir() if path.is_file())
    assert "train/loss" in events(own)[0]


def test_hugging_face_in_mixed_precision_and_wandb(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    plain = trained(tmp_path / "plain", [], [], bf16=True)
    watch = sbt.LoadCurveCallback(texts(), every=4)
    wandb.init(mode="offline", dir=str(tmp_path))  # the Trainer goes on with it
    try:
        watched = trained(tmp_path / "watched", [watch], ["wandb"], bf16=True)
        assert same(plain, watched)
        assert all(reading.curve for reading in watch.readings)
        summary = wandb.run.summary
        assert summary["load_curve/fall"] == pytest.approx(watch.readings[-1].fall)
    finally:
        wandb.finish()
    assert len(list(tmp_path.glob("**/load_curve/picture*.png"))) == 4
