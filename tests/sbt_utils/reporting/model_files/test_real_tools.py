"""What the tools that people train with write, where they are installed."""

import argparse
import copy
import functools
import warnings

import pytest
import torch
from torch import nn

from sbt_utils.reporting.model_files import load_model


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture(autouse=True)
def _makers(monkeypatch):
    """Let models be made by their names, and the warnings of the tools be theirs."""
    monkeypatch.setattr(nn, "Small", network, raising=False)
    with warnings.catch_warnings(action="ignore"):
        yield


def assert_loads(path, expected, weights=None, target="torch.nn:Small"):
    found = load_model(target, path, None, weights).state_dict()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning")

    class Lit(lightning.LightningModule):
        def __init__(self, net, optimizer):
            super().__init__()
            self.save_hyperparameters()
            self.net, self.ema = net, copy.deepcopy(net).requires_grad_(False)
            self.loss = nn.CrossEntropyLoss(weight=torch.ones(3))

        def training_step(self, batch, _):
            return self.loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return self.hparams.optimizer(self.net.parameters())

    lit = Lit(network(), functools.partial(torch.optim.SGD, lr=0.1))
    data = torch.utils.data.TensorDataset(torch.randn(8, 4), torch.arange(8) % 3)
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", **dict.fromkeys(off, False))
    trainer.fit(lit, torch.utils.data.DataLoader(data, 4))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert_loads(tmp_path / "last.ckpt", lit.net.state_dict())
    assert_loads(tmp_path / "last.ckpt", lit.ema.state_dict(), "ema")


def test_timm(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    from timm.utils import CheckpointSaver, ModelEmaV2

    def make():
        return timm.create_model("test_resnet", num_classes=3)

    monkeypatch.setattr(nn, "Timm", make, raising=False)
    model, average = make(), ModelEmaV2(make())
    arguments = argparse.Namespace(model="test_resnet", lr=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    folders = {"checkpoint_dir": str(tmp_path), "recovery_dir": str(tmp_path)}
    saver = CheckpointSaver(model, optimizer, arguments, average, **folders)
    saver.save_checkpoint(1, metric=0.5)
    (path, *_) = tmp_path.glob("last.pth*")
    assert_loads(path, model.state_dict(), target="torch.nn:Timm")
    assert_loads(path, average.module.state_dict(), "ema", "torch.nn:Timm")


def test_accelerate(tmp_path):
    accelerate = pytest.importorskip("accelerate")
    accelerator, model = accelerate.Accelerator(cpu=True), network(1)
    prepared = accelerator.prepare(model)
    accelerator.save_state(str(tmp_path / "state"))
    accelerator.save_model(prepared, str(tmp_path / "shards"), max_shard_size=100)
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    for folder in ("state", "shards"):
        assert_loads(tmp_path / folder, model.state_dict())


def test_hugging_face(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 16, "vocab_size": 40}
    config = transformers.LlamaConfig(**sizes, tie_word_embeddings=True)
    make = functools.partial(transformers.LlamaForCausalLM, config)
    for name, of in {"Llama": make, "Inside": lambda: make().model}.items():
        monkeypatch.setattr(nn, name, of, raising=False)
    model = make()
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "several", max_shard_size="1KB")
    for folder in ("one", "several", "several/model.safetensors.index.json"):
        assert_loads(tmp_path / folder, model.state_dict(), target="torch.nn:Llama")
        assert_loads(tmp_path / folder, model.model.state_dict(), target="torch.nn:Inside")


def test_data_parallel_and_averages_of_pytorch(tmp_path):
    model, average = network(), torch.optim.swa_utils.AveragedModel(network(1), use_buffers=True)
    average.update_parameters(model)
    average.update_parameters(network(2))
    content = {"model": nn.DataParallel(torch.compile(model)).state_dict(), "epoch": 3}
    content |= {"model_ema": average.state_dict(), "args": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "checkpoint.pth")  # as torchvision's references do
    assert_loads(tmp_path / "checkpoint.pth", model.state_dict())
    assert_loads(tmp_path / "checkpoint.pth", average.module.state_dict(), "model_ema")


def test_a_model_that_is_compiled_takes_plain_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(nn, "Compiled", lambda: torch.compile(network(1)), raising=False)
    expected = torch.compile(network()).state_dict()
    assert all(name.startswith("_orig_mod.") for name in expected)
    for content in (network().state_dict(), expected):
        torch.save({"model": content}, tmp_path / "model.pt")
        assert_loads(tmp_path / "model.pt", expected, target="torch.nn:Compiled")


def test_blocks_compiled_one_by_one(tmp_path):
    model = network()
    model[0], model[1] = torch.compile(model[0]), torch.compile(model[1])
    assert "1._orig_mod.weight" in model.state_dict()
    torch.save({"state_dict": nn.ModuleDict({"net": model}).state_dict()}, tmp_path / "model.pt")
    assert_loads(tmp_path / "model.pt", network().state_dict())
