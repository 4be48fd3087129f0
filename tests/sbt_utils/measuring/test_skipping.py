"""Removal of blocks: against networks built without them, and angles known by construction."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from models import Broken, fingerprint
from torch import nn

from sbt_book.gallery.small_models import GatedNetwork, Mixer, ResNet, VisionTransformer, mean_token
from sbt_utils.measuring.skipping import Removal, removal

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES = torch.rand(30, 1, 10, 10, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(30) % 10


def loss_of(model, inputs, classes):
    with torch.no_grad():
        return nn.functional.cross_entropy(model(inputs).double(), classes).item()


class Matrix(nn.Module):
    """A block that multiplies with a matrix; `form` makes its output of that."""

    def __init__(self, matrix, form=lambda x: x):
        super().__init__()
        self.matrix, self.form = nn.Parameter(torch.tensor(matrix)), form
        self.inner = nn.Identity()

    def forward(self, hidden_states):
        return self.form(self.inner(hidden_states @ self.matrix))


def rotation(turns):
    angle = torch.tensor(2 * np.pi * turns)
    return [[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]]


class Chain(nn.Module):
    """Blocks one after the other, called as `call` says."""

    def __init__(self, *blocks, call=lambda block, x: block(x)):
        super().__init__()
        self.blocks, self.call = nn.ModuleList(blocks), call

    def forward(self, x):
        for block in self.blocks:
            x = self.call(block, x)
        return x


POINTS = torch.randn(12, 2, generator=torch.Generator().manual_seed(1))
SIDES = torch.arange(12) % 2


@pytest.mark.parametrize(
    "build",
    [
        ResNet,
        VisionTransformer,
        lambda blocks: VisionTransformer(blocks=blocks, norm_first=False, pool=mean_token),
        Mixer,
        GatedNetwork,
    ],
)
def test_a_block_is_skipped_as_if_it_were_not_there(build):
    torch.manual_seed(0)
    network = build(blocks=4).eval()
    found = removal(network, IMAGES, CLASSES, batch_size=20)
    assert found.layers == tuple(f"blocks.{number}" for number in range(4))
    assert found.unskippable == ()
    assert found.loss == pytest.approx(loss_of(network, IMAGES, CLASSES), abs=1e-6)
    blocks = list(network.blocks)
    for number in range(4):
        network.blocks = nn.Sequential(*blocks[:number], *blocks[number + 1 :])
        expected = loss_of(network, IMAGES, CLASSES)
        assert found.loss_without[number] == pytest.approx(expected, abs=1e-6)
        assert found.cost[number] == pytest.approx(expected - found.loss, abs=1e-6)


@pytest.mark.parametrize(
    ("turns", "influence", "distance"),
    [(0.0, 0.0, 0.0), (1 / 6, 0.5, 1 / 3), (1 / 4, 1.0, 1 / 2), (1 / 2, 2.0, 1.0)],
)
def test_a_rotation(turns, influence, distance):
    model = Chain(Matrix(rotation(turns)), Matrix(rotation(0.1)))
    found = removal(model, POINTS, SIDES)
    assert found.influence == pytest.approx([influence, 1 - np.cos(0.2 * np.pi)], abs=1e-6)
    assert found.angular_distance == pytest.approx([distance, 0.2], abs=1e-4)


def test_angles_are_those_of_tokens_and_of_whole_samples_otherwise():
    def half_turned(x):
        return torch.cat([x[:, :1], -x[:, 1:]], 1)

    tokens = torch.tensor([[[1.0, 0.0], [3.0, 4.0]], [[0.0, 2.0], [0.0, 0.5]]]).repeat(3, 1, 1)
    eye = torch.eye(2).tolist()
    mean = lambda x: x.mean(1)  # noqa: E731

    class Model(Chain):
        def forward(self, x):
            return mean(super().forward(x))

    found = removal(Model(Matrix(eye, half_turned), Matrix(eye)), tokens, [0, 1] * 3)
    assert found.influence.tolist() == [1.0, 0.0]  # the mean of 0 and 2
    assert found.angular_distance.tolist() == [0.5, 0.0]

    class Images(Chain):
        def forward(self, x):
            return super().forward(x).flatten(2).mean(1)

    images = tokens[:, :, None]
    found = removal(Images(Matrix(eye, half_turned), Matrix(eye)), images, [0, 1] * 3)
    # (1, 0, 3, 4) and (1, 0, -3, -4); (0, 2, 0, 0.5) and (0, 2, 0, -0.5)
    expected = 1 - (-24 / 26 + 3.75 / 4.25) / 2
    assert found.influence == pytest.approx([expected, 0.0], abs=1e-6)


def test_features_of_zeros_are_not_moved_by_a_block_that_hands_them_on():
    found = removal(Chain(Matrix(rotation(0)), Matrix(rotation(0))), 0 * POINTS, SIDES)
    assert found.influence.tolist() == [0.0, 0.0]


class Shared(nn.Module):
    """One block, three times."""

    def __init__(self, skip=None):
        super().__init__()
        self.block, self.skip = Matrix([[1.0, 0.5], [-0.5, 2.0]], torch.tanh), skip

    def forward(self, x):
        for call in range(3):
            x = x if call == self.skip else self.block(x)
        return x


def test_a_shared_block_counts_by_its_calls():
    found = removal(Shared(), POINTS, SIDES)
    assert found.layers == ("block", "block#2", "block#3")
    for call in range(3):
        expected = loss_of(Shared(skip=call), POINTS, SIDES)
        assert found.loss_without[call] == pytest.approx(expected, abs=1e-6)


def test_blocks_that_give_tuples_or_take_keywords_or_work_in_place():
    turn, other = rotation(0.3), [[2.0, 0.0], [1.0, 1.0]]
    expected = [loss_of(Chain(Matrix(m)), POINTS, SIDES) for m in (other, turn)]

    class InPlace(Matrix):
        def forward(self, x):
            return x.copy_(super().forward(x.clone()))

    with_extra = lambda x: (None, (x, torch.ones(7)))  # noqa: E731
    chains = [
        Chain(Matrix(turn, with_extra), Matrix(other, with_extra), call=lambda b, x: b(x)[1][0]),
        Chain(Matrix(turn), Matrix(other), call=lambda b, x: b(hidden_states=x)),
        Chain(InPlace(turn), InPlace(other)),
    ]
    for model in chains:
        found = removal(model, POINTS, SIDES)
        assert found.loss_without == pytest.approx(expected, abs=1e-6)
        assert found.influence[0] == pytest.approx(1 - np.cos(0.6 * np.pi), abs=1e-6)


def test_a_block_that_changes_the_shape_is_left_out_and_named():
    wide = [[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]
    square = (torch.eye(3) + 0.1).tolist()
    found = removal(Chain(Matrix(wide), Matrix(square)), POINTS, SIDES)
    assert found.unskippable == ("blocks.0",)
    for values in (found.loss_without, found.influence, found.angular_distance, found.cost):
        assert np.isnan(values).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"blocks\.0 change the shape of what they get"):
        removal(Chain(Matrix(wide), Matrix(square)), POINTS, SIDES, layers="blocks.0")


def test_each_sample_weighs_the_same_in_batches_of_any_size():
    model = Chain(Matrix(rotation(0.3)), Matrix(rotation(0.1)))
    whole = removal(model, POINTS, SIDES)
    for split in ([5, 7], [1, 11], [12]):
        batches = list(zip(POINTS.split(split), SIDES.split(split), strict=True))
        found = removal(model, batches)
        assert found.loss == pytest.approx(whole.loss, abs=1e-6)
        assert found.loss_without == pytest.approx(whole.loss_without, abs=1e-6)
        assert found.influence == pytest.approx(whole.influence, abs=1e-6)


@dataclass
class Output:
    logits: torch.Tensor


def test_a_loss_of_ones_own_and_outputs_with_logits():
    class Named(Chain):
        def forward(self, x):
            return Output(super().forward(x))

    model = Named(Matrix(rotation(0.3)), Matrix(rotation(0.1)))
    usual = removal(model, POINTS, SIDES)

    def loss(network, batch):
        return nn.functional.cross_entropy(network(batch[0]).logits, batch[1])

    own = removal(model, [(POINTS, SIDES)], loss=loss)
    assert own.loss == pytest.approx(usual.loss, abs=1e-6)
    assert own.loss_without == pytest.approx(usual.loss_without, abs=1e-6)
    assert own.influence == pytest.approx(usual.influence, abs=1e-12)


class Masked(nn.Module):
    """Blocks over tokens, and the mean of those that count."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Matrix(rotation(0.1), torch.tanh), Matrix(rotation(0.3)))

    def forward(self, tokens, attention_mask):
        weight = attention_mask[..., None].float()
        return (self.blocks(tokens) * weight).sum(1) / weight.sum(1)


def test_padding_changes_nothing():
    tokens = torch.randn(6, 5, 2, generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([5, 3, 1, 2, 4, 5])
    found = []
    for total in (5, 40):
        padded = torch.cat([tokens, 3 + torch.rand(6, total - 5, 2)], 1)
        mask = (torch.arange(total) < lengths[:, None]).long()
        batch = {"tokens": padded, "attention_mask": mask, "labels": torch.arange(6) % 2}
        found.append(removal(Masked(), [batch]))
    for name in ("loss_without", "influence", "angular_distance"):
        assert getattr(found[1], name) == pytest.approx(getattr(found[0], name), abs=1e-6)


def test_the_model_is_left_as_it_was():
    torch.manual_seed(0)
    model = ResNet(blocks=2, dropout=0.5).train()
    model.blocks[1].eval()
    before = fingerprint(model)
    first = removal(model, IMAGES, CLASSES)
    assert removal(model, IMAGES, CLASSES).loss_without.tolist() == first.loss_without.tolist()
    assert fingerprint(model) == before


def test_the_model_is_left_as_it_was_after_an_error():
    model = Chain(Matrix(rotation(0.1)), Matrix(rotation(0.2)), Broken()).train()
    before = fingerprint(model)
    with pytest.raises(RuntimeError, match="broken layer"):
        removal(model, POINTS, SIDES, layers=["blocks.0", "blocks.1"])
    assert fingerprint(model) == before


def test_arguments_that_do_not_fit():
    model = Chain(Matrix(rotation(0.1)), Matrix(rotation(0.2)))
    with pytest.raises(TypeError, match="loss: 3 given; give a function of model and batch"):
        removal(model, POINTS, SIDES, loss=3)
    with pytest.raises(ValueError, match="the loader yields no batch"):
        removal(model, [])
    with pytest.raises(TypeError, match=r"shape \(12, 1, 2\), not logits \(N, classes\)"):
        removal(model, POINTS[:, None], SIDES)
    with pytest.raises(ValueError, match=r"layers: the model has no layer 'head'"):
        removal(model, POINTS, SIDES, layers="head")
    unused = Chain(Matrix(rotation(0.1)), call=lambda block, x: 2 * x)
    with pytest.raises(ValueError, match=r"the forward pass calls none of blocks\.0"):
        removal(unused, POINTS, SIDES, layers="blocks.0")

    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.two(torch.relu(self.one(x)))

    with pytest.raises(ValueError, match="cannot be skipped, being functions"):
        removal(Functions(), POINTS, SIDES)


def test_a_removal_holds_one_number_for_each_block():
    with pytest.raises(ValueError, match=r"influence: shape \(1,\) for 2 blocks"):
        Removal(("a", "b"), 0.1, [0.2, 0.3], [0.1], [0.1, 0.2])
    found = Removal(("a", "b"), 0.1, [0.2, 0.3], [0.1, 0.1], [0.1, 0.2])
    with pytest.raises(ValueError, match="read-only"):
        found.influence[0] = 1.0
