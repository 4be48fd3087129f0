"""Layers that are chosen by default where networks have several heads, taps, adapters or parts."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.models.layer_choice import choose_layers
from sbt_utils.models.trunk import look

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def chosen(model, *inputs, layers=None, run=None):
    run = run or (lambda: model(*(inputs or (X,))))
    return choose_layers(model, layers, look(model, run))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.rise, self.act, self.fall = nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 6)

    def forward(self, x):
        return x + self.fall(self.act(self.rise(x)))


class ConvBlock(nn.Module):
    """Two maps and two activations, and no way around."""

    def __init__(self, width=6):
        super().__init__()
        self.one, self.two = nn.Linear(width, 6), nn.Linear(6, 6)

    def forward(self, x):
        return F.relu(self.two(F.relu(self.one(x))))


def mlp(*parts):
    return nn.Sequential(*(layer for part in parts for layer in (nn.Linear(6, 6), part)))


class Function(nn.Module):
    """A forward pass written as a function of the model and its inputs."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


# Outputs -------------------------------------------------------------------------------------


class Routed(nn.Module):
    """A block that also tells how it shared its tokens out, as a mixture of experts does."""

    def __init__(self):
        super().__init__()
        self.router, self.block = nn.Linear(6, 2), Residual()

    def forward(self, x):
        logits = self.router(x)
        return self.block(x) * logits.softmax(-1)[:, :1], logits


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Routed() for _ in range(3))
        self.head = nn.Linear(6, 4)

    def forward(self, x, labels=None):
        routers = []
        for layer in self.layers:
            x, logits = layer(x)
            routers.append(logits)
        logits = self.head(x)
        if labels is None:
            return logits
        balance = sum(router.softmax(-1).square().mean() for router in routers)
        loss = F.cross_entropy(logits, labels) + 0.01 * balance
        return {"loss": loss, "aux_loss": balance, "logits": logits, "router_logits": routers}


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 1, 2])])
def test_a_loss_inside_of_the_model_is_no_output(labels):
    found = chosen(Mixture(), X, labels)
    assert found.names == ("layers.0", "layers.1", "layers.2")
    assert found.rule == "the 3 repeated blocks (Routed)"


def test_a_loss_that_looks_back_at_the_input():
    """Masked autoencoders compare what they restore with the image."""

    def forward(model, x):
        restored = model.blocks(x)
        return (restored - x).square().mean(), restored

    model = Function(forward, blocks=nn.Sequential(*(Residual() for _ in range(3))))
    assert chosen(model).names == ("blocks.0", "blocks.1", "blocks.2")


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_several_heads_leave_the_trunk_that_they_share(heads):
    model = Function(
        lambda model, x: [head(model.trunk(x)) for head in model.heads],
        trunk=mlp(nn.ReLU(), nn.ReLU()),
        heads=nn.ModuleList(mlp(nn.ReLU(), nn.Identity()) for _ in range(heads)),
    )
    shared = Function(lambda model, x: model.heads(model.trunk(x)), **dict(model.named_children()))
    shared.heads = model.heads[0]
    alone = chosen(shared).names
    assert alone == ("trunk.1", "trunk.3", "heads.1")
    if heads > 1:
        # What the trunk made is used again by each head.
        def forward(model, x):
            trunk = model.trunk(x)
            return [head(trunk) for head in model.heads]

        model.function = forward
        assert chosen(model).names == ("trunk.1", "trunk.3")


def test_heads_that_are_longer_than_what_they_share_are_chains():
    def forward(model, x):
        x = model.stem(x)
        return model.one(x), model.two(x)

    parts = {"stem": mlp(nn.ReLU()), "one": mlp(nn.ReLU(), nn.ReLU()), "two": mlp(*[nn.Tanh()] * 3)}
    model = Function(forward, **parts)
    with pytest.raises(ValueError, match="several chains"):
        chosen(model)


def test_chains_to_several_outputs_can_be_chosen_as_the_error_says():
    """Such as a point cloud network, which hands out the rotations that it has found."""

    class Rotation(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 36)

        def forward(self, x):
            return self.two(F.relu(self.one(x))).view(-1, 6, 6)

    def forward(model, x):
        rotation = model.rotation(x)
        x = F.relu(model.one((x[:, None] @ rotation)[:, 0]))
        again = model.again(x)
        x = F.relu(model.two((x[:, None] @ again)[:, 0]))
        return model.head(F.relu(model.three(x))), rotation, again

    maps = {name: nn.Linear(6, 6) for name in ("one", "two", "three", "head")}
    model = Function(forward, rotation=Rotation(), again=Rotation(), **maps)
    with pytest.raises(ValueError, match=r"several chains: relu\(\); rotation\.relu\(\);") as error:
        chosen(model)
    layers = eval(str(error.value).partition("layers=")[2])  # what the error says has to be code
    found = chosen(model, layers=layers)
    assert [name for name in ("relu()", "relu()#2", "relu()#3") if name in found] == [
        "relu()",
        "relu()#2",
        "relu()#3",
    ]
    assert "rotation.relu()" not in found


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.LogSigmoid(), torch.sigmoid])
def test_an_activation_that_reads_out_is_no_layer(last):
    hidden = mlp(nn.ReLU(), nn.ReLU())
    if isinstance(last, nn.Module):
        model = nn.Sequential(*hidden, nn.Linear(6, 1), last)
        y = torch.arange(3).repeat(2)
        assert load_curve(model, torch.randn(6, 6), y).layers == ("inputs", "1", "3")
    else:
        model = Function(lambda model, x: last(model.head(model.net(x))), net=hidden)
        model.head = nn.Linear(6, 1)
    names = chosen(model).names
    assert [name.removeprefix("net.") for name in names] == ["1", "3"]


def test_a_last_activation_of_the_kind_of_the_others_is_a_layer():
    assert chosen(mlp(nn.Tanh(), nn.Tanh())).names == ("1", "3")
    assert chosen(mlp(nn.Sigmoid())).names == ("1",)


# Ways past a row -----------------------------------------------------------------------------


class Gated(nn.Module):
    """A layer of a WaveNet: one output for the next layer, one for the head."""

    def __init__(self):
        super().__init__()
        self.gate, self.skip = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        made = torch.tanh(self.gate(x)) * torch.sigmoid(x)
        return x + made, self.skip(made)


def test_a_row_of_which_each_block_has_a_way_to_the_head():
    def forward(model, x):
        total = 0
        for layer in model.layers:
            x, skip = layer(x)
            total = total + skip
        return model.head(F.relu(total))

    model = Function(forward, layers=nn.ModuleList(Gated() for _ in range(4)), head=nn.Linear(6, 2))
    found = chosen(model)
    assert found.names == ("layers.0", "layers.1", "layers.2", "layers.3")
    assert found.rule == "the 4 repeated blocks (Gated), in a row that other ways pass by"


def test_a_head_that_takes_features_from_several_depths():
    """Such as networks that tell the pixels of an image apart."""

    def forward(model, x):
        low = model.blocks[:2](x)
        high = model.blocks[2:](low)
        return model.low(low) + model.high(high * torch.sigmoid(model.gate(high)))

    blocks = nn.Sequential(*(Residual() for _ in range(5)))
    heads = {name: nn.Linear(6, 2) for name in ("low", "high")}
    model = Function(forward, blocks=blocks, gate=nn.Linear(6, 6), **heads)
    assert chosen(model).names == tuple(f"blocks.{n}" for n in range(5))


def test_a_u_net_is_no_row_even_if_its_ends_are_on_the_trunk():
    def forward(model, x):
        one = model.one(x)
        two = model.two(one)
        three = model.three(two)
        two = model.four(torch.cat([three, two], 1))
        return model.five(torch.cat([two, one], 1))

    narrow = {name: ConvBlock() for name in ("one", "two", "three")}
    model = Function(forward, **narrow, four=ConvBlock(12), five=ConvBlock(12))
    with pytest.raises(ValueError, match="several chains: 5 ConvBlock; choose one, such as") as e:
        chosen(model)
    layers = eval(str(e.value).partition("layers=")[2])
    assert chosen(model, layers=layers).names == ("one", "two", "three", "four", "five")


# Parts ---------------------------------------------------------------------------------------


class Adapted(nn.Module):
    """A linear layer beside which a low-rank one has been trained."""

    def __init__(self, width):
        super().__init__()
        self.base, self.down = nn.Linear(6, width), nn.Linear(6, 2, bias=False)
        self.up = nn.Linear(2, width, bias=False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


@pytest.mark.parametrize("widths", [(6, 6, 6), (6, 6)])
def test_adapters_are_no_blocks(widths):
    adapted = [layer for width in widths for layer in (Adapted(width), nn.ReLU())]
    model = nn.Sequential(*adapted, Adapted(2))
    assert chosen(model).names == tuple(str(1 + 2 * n) for n in range(len(widths)))


class Square(nn.Module):
    """A block with a function that nobody knows."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(6, 6)

    def forward(self, x):
        return self.map(x) * x


def test_blocks_of_unknown_functions_are_blocks():
    assert chosen(nn.Sequential(*(Square() for _ in range(4)))).names == ("0", "1", "2", "3")


class Tree(nn.Module):
    """A stage made of two of its kind, which a way passes by; the smallest hold one map."""

    def __init__(self, depth):
        super().__init__()
        self.one, self.two = (
            (Tree(depth - 1), Tree(depth - 1)) if depth else (ConvBlock(), nn.Linear(6, 6))
        )

    def forward(self, x):
        return self.two(self.one(x)) + x


def test_blocks_that_hold_others_of_their_kind():
    model = nn.Sequential(nn.Linear(6, 6), Tree(0), Tree(1), Tree(2), nn.Linear(6, 2))
    assert chosen(model).names == ("1", "2", "3")


class Three(nn.Module):
    """A block of three named parts of one class, the second of which it may lack."""

    def __init__(self, mixes):
        super().__init__()
        self.conv, self.mlp = Residual(), Residual()
        self.mixer = Residual() if mixes else nn.Identity()

    def forward(self, x):
        return self.mlp(self.mixer(self.conv(x)))


def test_parts_with_names_of_their_own_are_no_row():
    model = nn.Sequential(*(Three(mixes) for mixes in (False, False, True, True)))
    assert chosen(model).names == ("0", "1", "2", "3")


class Shrinking(nn.Module):
    """A stage with blocks that all see its input, and its own way of making it shorter."""

    def __init__(self):
        super().__init__()
        self.blocks, self.shrink = nn.ModuleList([Residual(), Residual()]), ConvBlock()

    def forward(self, x):
        return self.shrink(self.blocks[1](self.blocks[0](x)) * x.mean(1, keepdim=True))


def test_what_is_mostly_a_part_of_blocks_is_none_in_the_stem():
    stages = [Shrinking() for _ in range(3)]
    assert chosen(nn.Sequential(ConvBlock(), *stages)).names == ("1", "2", "3")


def test_what_lies_on_the_trunk_beside_blocks_is_no_branch():
    """As convolutions of the same kind in the stem, between stages, and inside of blocks."""

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = nn.ModuleList(ConvBlock() for _ in range(2))
            self.gather = ConvBlock(18)

        def forward(self, x):
            parts = [x]
            for part in self.maps:
                parts.append(part(parts[-1]))
            return self.gather(torch.cat(parts, 1))

    between = [layer for _ in range(2) for layer in (Dense(), ConvBlock())]
    model = nn.Sequential(*(ConvBlock() for _ in range(4)), *between)
    assert chosen(model).names == ("4", "6")


def test_what_hands_its_input_on_beside_others_is_no_block():
    """As parallel branches of several scales, of which the first stays as it is."""

    class Parallel(nn.Module):
        def __init__(self):
            super().__init__()
            self.two = Residual()

        def forward(self, one, two):
            return one, self.two(two)

    def forward(model, x):
        one = two = model.serial(x)
        for layer in model.layers:
            one, two = layer(one, two)
        return model.head(one + two)

    model = Function(
        forward,
        serial=nn.Sequential(*(ConvBlock() for _ in range(2))),
        layers=nn.ModuleList(Parallel() for _ in range(2)),
        head=nn.Linear(6, 2),
    )
    assert chosen(model).names == ("serial.0", "serial.1")


# Numbers of words ----------------------------------------------------------------------------


class Words(nn.Module):
    """Words on their way to an embedding: padded to a multiple, or sequence first."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(0)
        self.change, self.words = change, nn.Embedding(30, 6)
        self.blocks = nn.Sequential(Residual(), Residual())

    def forward(self, ids):
        return self.blocks(self.words(self.change(ids)))


@pytest.mark.parametrize(
    ("change", "back"),
    [
        (lambda ids: F.pad(ids, (0, 3)), lambda h: h),
        (lambda ids: ids.mT.contiguous(), lambda h: h.movedim(1, 0)),
    ],
)
def test_words_that_are_padded_or_turned_are_still_words(change, back):
    ids = torch.randint(1, 30, (12, 5), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12) % 3
    model = Words(change)
    curve = load_curve(model, ids, labels)
    assert curve.layers == ("words", "blocks.0", "blocks.1")
    with torch.no_grad():
        stages = [model.words(change(ids))]
        stages += [model.blocks[0](stages[0]), model.blocks(stages[0])]
    expected = [data_separation(back(h), labels) for h in stages]
    np.testing.assert_allclose(curve.separation, expected, rtol=1e-5)


def test_values_that_are_rounded_to_words_are_inputs_themselves():
    def forward(model, x):
        return F.relu(model.two(F.relu(model.one(model.words((10 * x).abs().long()).mean(1)))))

    maps = {name: nn.Linear(6, 6) for name in ("one", "two")}
    model = Function(forward, words=nn.Embedding(100, 6), **maps)
    assert chosen(model).start is None
