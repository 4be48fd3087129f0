"""Stacked networks against plain PyTorch: every member by itself, by automatic differentiation."""

import copy
import gc

import numpy as np
import pytest
import torch
from architectures import (
    ARCHITECTURES,
    CLASSES,
    DROPOUTS,
    MEMBERS,
    SLOPES,
    batch,
    close,
    image_shape,
    random_state,
)
from torch import nn
from torch.nn.functional import cross_entropy

import sbt_utils.ensembles.ensemble
from sbt_utils.ensembles.ensemble import Ensemble, initial_state, member_network
from sbt_utils.ensembles.noise import draw_keys, dropout_limits, keep_mask
from sbt_utils.training.networks import MLP

pytestmark = pytest.mark.usefixtures("one_thread")


class Masked(nn.Module):
    """Dropout with a given mask."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def forward(self, x):
        return x * self.mask


def with_masks(network, keys, dropout, shapes):
    """Replace the dropout layers of one member by the masks of its keys."""
    keys = iter(keys)

    def replace(container):
        for name, layer in container.named_children():
            replace(layer)
            if isinstance(layer, nn.Dropout):
                shape = shapes[layer]
                mask = torch.empty((1, shape.numel()), dtype=torch.float64)
                words = torch.empty((2, 1, -(-shape.numel() // 2)), dtype=torch.int32)
                keep_mask(next(keys)[None], dropout_limits(dropout[None]), mask, *words)
                setattr(container, name, Masked(in_order(mask, shape)))

    replace(network)
    return network


def in_order(mask, shape):
    """Give a mask the shape of activations; those of feature maps are drawn channels last."""
    if len(shape) != 4:
        return mask.view(shape)
    batch, channels, *size = shape
    return mask.view(batch, *size, channels).movedim(-1, 1)


def dropout_shapes(network, images):
    """Return the shape of what each dropout layer of a network is given."""
    shapes = {}
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.register_forward_hook(lambda m, args, out: shapes.update({m: args[0].shape}))
    copy_of_buffers = copy.deepcopy(network.state_dict())
    network(images)
    network.load_state_dict(copy_of_buffers)
    return shapes


def gradients(ensemble):
    """Return the named gradients: what a descent of step 1 takes from the parameters."""
    before, rows = ensemble.state(), ensemble.rows.clone()
    ensemble.rows.sub_(ensemble.gradients)
    after = ensemble.state()
    ensemble.rows.copy_(rows)
    return {name: before[name] - after[name] for name in before}


def step(ensemble, images, labels, keys, dropout):
    """Return the members' losses, their logits and their gradients, by the ensemble."""
    logits = ensemble.forward(images, keys, SLOPES, dropout)
    leaf = logits.clone().requires_grad_()
    losses = [cross_entropy(*pair) for pair in zip(leaf, labels, strict=True)]
    (gradient,) = torch.autograd.grad(sum(losses), leaf)
    logits = logits.clone()
    ensemble.backward(gradient)
    return torch.stack(losses).detach(), logits, gradients(ensemble)


@pytest.fixture(params=["fused", "stacked"])
def layers(request, monkeypatch):
    """Try the layers of a CPU and those of a GPU, both on this CPU."""
    if request.param == "stacked":
        monkeypatch.setattr(sbt_utils.ensembles.ensemble, "fuse", list)


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("dropout", [torch.zeros_like(DROPOUTS), DROPOUTS], ids=["p=0", "p"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forward_and_backward_equal_automatic_differentiation(architecture, dropout):
    network = ARCHITECTURES[architecture]().double()
    state = random_state(network)
    ensemble = Ensemble(network, state)
    plain = [
        member_network(network, state, m, SLOPES[m].item(), dropout[m].item()).train()
        for m in range(MEMBERS)
    ]
    # Steps of several sizes in turn: working memory must not carry over, running statistics must.
    for number, size in enumerate((6, 9, 37, 6)):
        images, labels = batch(size, image_shape(network), seed=number)
        keys = draw_keys(np.arange(MEMBERS, dtype=np.uint64), [number], ensemble.draws)[:, 0]
        given = images.clone()
        _, logits, found = step(ensemble, images, labels, keys, dropout)
        assert torch.equal(images, given), "the images were overwritten"
        after = ensemble.state()
        for m, member in enumerate(plain):
            masked = copy.deepcopy(member)
            shapes = dropout_shapes(masked, images[m])
            masked = with_masks(masked, keys[m], dropout[m], shapes)
            masked.zero_grad()
            expected = masked(images[m])
            cross_entropy(expected, labels[m]).backward()
            theirs = {f"gradient of {name}": p.grad for name, p in masked.named_parameters()}
            theirs |= {name: p for name, p in masked.named_buffers() if not name.endswith("mask")}
            ours = {f"gradient of {name}": tensor[m] for name, tensor in found.items()}
            ours |= {name: tensor[m] for name, tensor in after.items()}
            close(logits[m], expected.detach())
            for name, tensor in theirs.items():
                assert (ours[name] - tensor).abs().max() < 1e-10 * (1 + tensor.abs().max()), name
            member.load_state_dict({name: tensor[m] for name, tensor in after.items()})


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_members_may_share_their_images(architecture):
    network = ARCHITECTURES[architecture]().double()
    images, labels = batch(9, image_shape(network))
    shared, labels = images[:1].expand_as(images), labels[:1].expand_as(labels)
    assert shared.stride(0) == 0
    given = images.clone()
    ensembles = [Ensemble(network, random_state(network)) for _ in range(2)]
    keys = draw_keys(np.arange(MEMBERS, dtype=np.uint64), [0], ensembles[0].draws)[:, 0]
    found = step(ensembles[0], shared, labels, keys, DROPOUTS)
    expected = step(ensembles[1], shared.clone(), labels, keys, DROPOUTS)
    close(found, expected)
    assert torch.equal(images, given)


def test_images_need_not_be_contiguous():
    network = ARCHITECTURES["norm first"]().double()
    images, labels = batch(9)
    turned = images.transpose(0, 1).contiguous().transpose(0, 1)
    apart = torch.zeros(MEMBERS, 18, 12, dtype=torch.float64)[:, ::2, ::2].copy_(images)
    keys = torch.zeros(MEMBERS, 0, dtype=torch.int32)
    expected = step(Ensemble(network, random_state(network)), images, labels, keys, DROPOUTS)
    for same in (turned, apart):
        found = step(Ensemble(network, random_state(network)), same, labels, keys, DROPOUTS)
        close(found, expected)


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("size", [2, 16, 33, 1000])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_single_precision_is_as_good_as_that_of_pytorch(size, offset):
    # Both against double precision, with means up to a thousand times the deviation.
    single = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.LeakyReLU(0.3))
    state = {name: tensor[1:2] for name, tensor in random_state(single).items()}
    images = (batch(size)[0][:1] + offset).float()
    keys, slope = torch.zeros(1, 0, dtype=torch.int32), torch.full((1,), 0.3)
    ensemble = Ensemble(
        single, {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
    )
    outcomes = [ensemble.forward(images, keys, slope, torch.zeros(1))[0]]
    states = [{name: tensor[0] for name, tensor in ensemble.state().items()}]
    for dtype in (torch.float32, torch.float64):
        plain = member_network(single.to(dtype), state, 0, 0.3, 0.0).train()
        outcomes.append(plain(images[0].to(dtype)).detach())
        states.append(plain.state_dict())

    def error(found, expected):
        return ((found.double() - expected).abs() / (1 + expected.abs())).max()

    assert error(outcomes[0], outcomes[2]) <= 2 * error(outcomes[1], outcomes[2]) + 1e-5
    for name in ("0.running_mean", "0.running_var", "2.running_mean", "2.running_var"):
        ours, theirs, exact = (each[name] for each in states)
        assert error(ours, exact) <= 2 * error(theirs, exact) + 1e-6, name


@pytest.mark.parametrize("architecture", ["published", "no bias", "dropout first", "norm last"])
def test_gradients_equal_finite_differences(architecture):
    network = ARCHITECTURES[architecture]().double()
    state = random_state(network)
    images, labels = batch(9, image_shape(network))
    ensemble = Ensemble(network, state)
    keys = draw_keys(np.arange(MEMBERS, dtype=np.uint64), [0], ensemble.draws)[:, 0]
    _, _, found = step(ensemble, images, labels, keys, DROPOUTS)

    def loss(name, place, change):
        changed = {key: tensor.clone() for key, tensor in state.items()}
        changed[name].flatten(1)[:, place] += change
        logits = Ensemble(network, changed).forward(images, keys, SLOPES, DROPOUTS)
        pairs = zip(logits, labels, strict=True)
        return torch.stack([cross_entropy(*pair) for pair in pairs])

    for name, parameter in network.named_parameters():
        for place in {0, parameter.numel() // 2, parameter.numel() - 1}:
            slope = (loss(name, place, 1e-6) - loss(name, place, -1e-6)) / 2e-6
            torch.testing.assert_close(
                found[name].flatten(1)[:, place], slope, rtol=1e-6, atol=1e-7
            )


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_members_do_not_touch_one_another(bad):
    network = MLP(inputs=6, width=5, hidden_layers=2, classes=CLASSES).double()
    images, labels = batch(9, (2, 3))
    keys = torch.zeros(MEMBERS, 2, dtype=torch.int32)
    _, _, before = step(Ensemble(network, random_state(network)), images, labels, keys, DROPOUTS)
    images[1] = bad
    _, logits, after = step(
        Ensemble(network, random_state(network)), images, labels, keys, DROPOUTS
    )
    assert logits[1].isnan().all()
    assert not logits[[0, 2]].isnan().any()
    for name, gradient in before.items():
        assert torch.equal(after[name][[0, 2]], gradient[[0, 2]])


def test_an_ensemble_copies_its_state_in_and_out():
    network = MLP(inputs=6, width=5, hidden_layers=2, classes=CLASSES).double()
    state = random_state(network)
    given = {name: tensor.clone() for name, tensor in state.items()}
    ensemble = Ensemble(network, state)
    out = ensemble.state()
    assert set(out) == set(state)
    images, labels = batch(9, (2, 3))
    step(ensemble, images, labels, torch.zeros(MEMBERS, 2, dtype=torch.int32), DROPOUTS)
    ensemble.rows.add_(1)
    for name, tensor in given.items():
        assert torch.equal(state[name], tensor)
        assert torch.equal(out[name], tensor)
        assert not torch.equal(ensemble.state()[name], tensor)


@pytest.mark.usefixtures("layers")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_steps_keep_no_more_tensors_alive(architecture):
    network = ARCHITECTURES[architecture]().double()
    images, labels = batch(9, image_shape(network))
    ensemble = Ensemble(network, random_state(network))
    keys = draw_keys(np.arange(MEMBERS, dtype=np.uint64), [0], ensemble.draws)[:, 0]

    def alive_after(steps):
        for _ in range(steps):
            step(ensemble, images, labels, keys, DROPOUTS)
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    gc.freeze()  # what was there before need not be searched
    try:
        # Memory that a cache holds cannot be freed and had again: every step would add some.
        assert alive_after(2) == alive_after(5)
    finally:
        gc.unfreeze()


def test_layers_are_fused_around_each_batch_norm():
    network = MLP(hidden_layers=2)
    kinds = [
        type(layer).__name__ for layer in Ensemble(network, initial_state(network, [0])).layers
    ]
    assert kinds == ["_Flatten", "FusedLayer", *["_Linear", "FusedLayer"] * 2, "_Linear"]


def test_draws_counts_the_dropout_layers():
    network = MLP(inputs=6, width=5, hidden_layers=3, classes=CLASSES)
    assert Ensemble(network, initial_state(network, [0])).draws == 3
    network = nn.Sequential(nn.Linear(6, CLASSES))
    assert Ensemble(network, initial_state(network, [0])).draws == 0


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, None])
def test_seeds_out_of_range(seed):
    with pytest.raises(ValueError, match=rf"^seeds: {seed} given; give integers from 0 to 2\^64"):
        initial_state(MLP(), [0, seed])
