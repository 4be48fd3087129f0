"""Small networks of other kinds: what they are made of, what the probe sees, that they learn."""

import pytest
import torch
from torch import nn

from sbt_book.gallery.small_models import (
    GatedBlock,
    GatedNetwork,
    Mixer,
    MixerBlock,
    RecurrentBlock,
    RecurrentNetwork,
    ResidualBlock,
    ResNet,
    SequenceBlock,
    SequenceClassifier,
    SequenceTransformer,
    VisionTransformer,
    class_token,
    fit,
    mean_token,
)
from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES = torch.rand(20, 1, 10, 10, generator=torch.Generator().manual_seed(0))
SEQUENCES = torch.randint(8, (20, 16), generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(20) % 2
MODELS = {
    ResNet: IMAGES,
    VisionTransformer: IMAGES,
    Mixer: IMAGES,
    GatedNetwork: IMAGES,
    RecurrentNetwork: IMAGES,
    SequenceClassifier: SEQUENCES,
    SequenceTransformer: SEQUENCES,
}


@pytest.fixture(params=MODELS, ids=lambda model: model.__name__)
def model(request):
    return request.param


def made(model, **arguments):
    torch.manual_seed(0)
    return model(blocks=3, **arguments).eval()


def test_logits_and_their_sizes(model):
    assert made(model, classes=5)(MODELS[model]).shape == (20, 5)
    if MODELS[model] is SEQUENCES:
        assert made(model, symbols=30)(3 * SEQUENCES).shape == (20, 8)
    elif model is GatedNetwork:
        assert made(model, inputs=300)(IMAGES.expand(-1, 3, -1, -1)).shape == (20, 10)
    elif model is not RecurrentNetwork:  # it reads one channel
        assert made(model, inputs=3)(IMAGES.expand(-1, 3, -1, -1)).shape == (20, 10)


def test_the_probe_finds_the_blocks(model):
    first = {ResNet: "input_norm", GatedNetwork: "stem.1"}
    usual = "embedding" if MODELS[model] is SEQUENCES else "images"
    curve = load_curve(made(model), MODELS[model], LABELS)
    assert curve.layers == (first.get(model, usual), "blocks.0", "blocks.1", "blocks.2")


def test_the_probe_sees_what_the_blocks_put_out(model):
    network, seen = made(model), []
    for block in network.blocks:
        block.register_forward_hook(lambda module, args, output: seen.append(output.clone()))
    with torch.no_grad():
        network(MODELS[model])
    curve = load_curve(network, MODELS[model], LABELS)
    expected = [data_separation(features, LABELS) for features in seen[:3]]
    assert curve.mean[1:] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("pool", [class_token, mean_token])
def test_a_transformer_reads_what_is_pooled(pool):
    network, seen = made(VisionTransformer, pool=pool), []
    network.blocks.register_forward_hook(lambda module, args, output: seen.append(output.clone()))
    with torch.no_grad():
        logits = network(IMAGES)
        tokens = seen[0]
        assert tokens.shape == (20, 10, 32)  # nine patches and the class token
        read = {class_token: tokens[:, 0, :], mean_token: tokens.sum(1) / 10}[pool]
        assert torch.allclose(network.readout(network.norm(read)), logits, atol=1e-6)
    curve = load_curve(network, IMAGES, LABELS, pool=pool)
    assert curve.mean[-1] == pytest.approx(data_separation(read, LABELS), abs=1e-5)


def test_a_residual_block_without_its_branch_hands_on_what_it_gets():
    block = ResidualBlock(channels=2).eval()
    nn.init.zeros_(block.branch[-1].weight)
    features = torch.randn(4, 2, 5, 5)
    assert torch.equal(block(features), features.clamp(min=0))


def test_blocks_whose_last_layers_are_zero_hand_on_what_they_get():
    tokens = torch.randn(4, 9, 6)
    mixer, gated, recurrent = MixerBlock(9, 6), GatedBlock(6), RecurrentBlock(6)
    for block, layers in {
        mixer: [mixer.mix_tokens[-1], mixer.mix_channels[-1]],
        gated: [gated.out],
        recurrent: [recurrent.out],
    }.items():
        assert not torch.allclose(block.eval()(tokens), tokens, atol=1e-2)
        for layer in layers:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        assert torch.equal(block(tokens), tokens)


def test_a_mixer_mixes_tokens_by_one_perceptron_and_channels_by_the_other():
    block = MixerBlock(tokens=5, width=4).eval()
    tokens = torch.randn(2, 5, 4)
    normed = nn.functional.layer_norm(tokens, (4,))
    mixed = torch.stack([block.mix_tokens(normed[:, :, c]) for c in range(4)], 2)
    between = tokens + mixed
    normed = nn.functional.layer_norm(between, (4,))
    expected = between + torch.stack([block.mix_channels(normed[:, t]) for t in range(5)], 1)
    assert torch.allclose(block(tokens), expected, atol=1e-6)


def test_a_recurrent_block_knows_what_came_before_and_not_what_comes_after():
    block = RecurrentBlock(4).eval()
    sequence = torch.randn(1, 6, 4)
    changed = sequence.clone()
    changed[:, 3, 0] += 1.0
    differ = (block(sequence) - block(changed)).abs().amax((0, 2)) > 1e-6
    assert differ.tolist() == [False] * 3 + [True] * 3


def test_norms_stand_before_branches_or_behind_sums():
    tokens = 5 * torch.randn(3, 10, 32)
    for norm_first in (True, False):
        network = VisionTransformer(blocks=1, norm_first=norm_first).eval()
        spread = network.blocks(tokens).std(2, correction=0)
        assert torch.allclose(spread, torch.ones(3, 10), atol=1e-3) is not norm_first


def test_a_sequence_block_looks_at_three_neighbours():
    block = SequenceBlock(width=1).eval()
    nn.init.ones_(block[0].weight)
    nn.init.zeros_(block[0].bias)
    features = torch.tensor([[[0.0, 1.0, 0.0, 0.0, 0.0]]])
    assert torch.allclose(block(features), torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]), atol=1e-4)


def test_dropout_reaches_every_block(model):
    network = made(model, dropout=0.25)
    for block in network.blocks:
        dropouts = [layer.p for layer in block.modules() if isinstance(layer, nn.Dropout)]
        assert dropouts
        assert set(dropouts) == {0.25}
    images = MODELS[model]
    assert torch.equal(network(images), network(images))  # none in evaluation mode
    network.train()
    assert not torch.equal(network(images), network(images))


def test_dropout_out_of_range(model):
    with pytest.raises(ValueError, match=r"dropout=1.0: give a number in \[0, 1\)"):
        model(dropout=1.0)


def test_networks_learn(model):
    """Two classes that differ in the middle of a sample."""
    torch.manual_seed(1)
    labels = torch.arange(120) % 2
    if MODELS[model] is SEQUENCES:
        samples = torch.randint(4, (120, 16))
        samples[:, 5] += 4 * labels
    else:
        samples = torch.rand(120, 1, 10, 10)
        samples[:, :, 3:7, 3:7] += labels[:, None, None, None]
    network = fit(
        lambda: model(blocks=2, classes=2), samples[:100], labels[:100], epochs=8, batch_size=10
    )
    right = network(samples[100:]).argmax(1) == labels[100:]
    assert not network.training
    assert right.float().mean() >= 0.9  # by chance 0.5


def test_a_step_is_adamw_s():
    """From zero weights, the first step is the learning rate against the sign of the gradient."""

    def zeros():
        layer = nn.Linear(3, 2)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    images = torch.tensor([[1.0, -2.0, 0.5], [3.0, 1.0, -1.5]])
    labels = torch.tensor([0, 1])
    network = fit(zeros, images, labels, epochs=1, learning_rate=0.01, batch_size=2)
    # The logits are zero: each class has probability 1/2.
    error = torch.tensor([[-0.5, 0.5], [0.5, -0.5]])
    gradient = error.T @ images / 2
    assert torch.allclose(network.weight, -0.01 * gradient.sign(), atol=1e-7)


def test_training_stops_when_it_is_told():
    asked = []

    def until(network):
        asked.append(network.training)
        return len(asked) == 3

    def weight(epochs, **options):
        build = lambda: nn.Sequential(nn.Flatten(), nn.Linear(100, 2))  # noqa: E731
        return fit(build, IMAGES, LABELS, epochs, batch_size=7, **options)[1].weight

    stopped = weight(9, until=until)
    assert asked == [False] * 3
    assert torch.equal(stopped, weight(3))


def test_the_seed_decides(model):
    def weights(seed):
        build = lambda: model(blocks=1, dropout=0.2)  # noqa: E731
        return fit(build, MODELS[model], LABELS, epochs=1, seed=seed, batch_size=7).state_dict()

    first, second, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["readout.weight"], other["readout.weight"])


def test_the_callers_random_numbers_go_on():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fit(lambda: nn.Linear(2, 2), torch.rand(4, 2, generator=torch.Generator()), LABELS[:4], 1)
    assert torch.equal(torch.rand(3), expected)
