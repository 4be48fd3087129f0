"""Which layers are measured: those that everything passes through, or those asked for."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from sbt_utils.models.calls import unwrapped
from sbt_utils.models.layer_choice import Chosen, choose_layers
from sbt_utils.models.trunk import look

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def chosen(model, *inputs, layers=None):
    inputs = inputs or (X,)
    inner = unwrapped(model)
    return choose_layers(inner, layers, look(inner, lambda: inner(*inputs)))


class Residual(nn.Module):
    def __init__(self, widen=9):
        super().__init__()
        self.rise, self.act, self.fall = nn.Linear(6, widen), nn.ReLU(), nn.Linear(widen, 6)

    def forward(self, x):
        return x + self.fall(self.act(self.rise(x)))


class Attention(nn.Module):
    """Attention alone, as a residual branch."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        return torch.softmax(x @ self.inner(x).mT, -1) @ x


class Branch(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


class Layer(nn.Module):
    """A transformer layer made of two residual branches of one class."""

    def __init__(self):
        super().__init__()
        mlp = nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6))
        self.parts = nn.ModuleList([Branch(Attention()), Branch(mlp)])

    def forward(self, x):
        return self.parts[1](self.parts[0](x))


class Stage(nn.Module):
    def __init__(self, *blocks):
        super().__init__()
        self.merge, self.blocks = Merge(), nn.Sequential(*blocks)

    def forward(self, x):
        return self.blocks(self.merge(x))


class Merge(nn.Module):
    """What norms and maps linearly, such as the merging of patches."""

    def __init__(self):
        super().__init__()
        self.norm, self.map = nn.LayerNorm(6), nn.Linear(6, 6)

    def forward(self, x):
        return self.map(self.norm(x))


class Reduction(Residual):
    """A block of a class of its own."""


class Net(nn.Module):
    """A list of blocks between a stem and a head."""

    def __init__(self, *blocks):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def mlp(*activations):
    layers = [part for act in activations for part in (nn.Linear(6, 6), act)]
    return nn.Sequential(*layers, nn.Linear(6, 2))


# Blocks


def test_repeated_blocks_and_the_rule():
    found = chosen(Net(Residual(), Residual(), Residual()))
    assert found.names == ("blocks.0", "blocks.1", "blocks.2")
    assert found.rule == "the 3 repeated blocks (Residual)"
    assert "blocks.1" in found
    assert "blocks.1#2" not in found
    assert "blocks.1.act" not in found


def test_stages_are_measured_block_by_block():
    uneven = Net(Stage(Residual()), Stage(Residual(), Residual()), Stage(Residual()))
    even = Net(Stage(Residual(), Residual()), Stage(Residual(), Residual()))
    assert chosen(uneven).names == tuple(
        f"blocks.{name}" for name in ("0.blocks.0", *two(1), *two(2)[:1])
    )
    assert chosen(even).names == tuple(f"blocks.{name}" for name in (*two(0), *two(1)))


def two(stage):
    return f"{stage}.blocks.0", f"{stage}.blocks.1"


def test_stages_of_several_kinds_of_blocks():
    model = Net(Stage(Residual(), Layer(), Residual()), Stage(Residual(), Layer()))
    assert chosen(model).names == (
        *("blocks.0.blocks.0", "blocks.0.blocks.1", "blocks.0.blocks.2"),
        *("blocks.1.blocks.0", "blocks.1.blocks.1"),
    )


def test_the_parts_of_a_block_are_no_blocks():
    assert chosen(Net(Layer(), Layer()), X[None]).names == ("blocks.0", "blocks.1")


def test_outputs_of_inner_layers_change_nothing():
    class Open(Net):
        def forward(self, x):
            weights = [x.softmax(-1)]
            for block in self.blocks:
                x = block(x)
                weights.append((2 * x).softmax(-1))
            return self.head(x), weights

    found = chosen(Open(*(Residual() for _ in range(3))))
    assert found.names == ("blocks.0", "blocks.1", "blocks.2")


def test_a_class_that_occurs_once_takes_its_turn():
    found = chosen(Net(Residual(), Reduction(), Residual()))
    assert found.names == ("blocks.0", "blocks.1", "blocks.2")
    assert found.rule == "the 3 repeated blocks (Residual, Reduction)"


class NormAct(nn.Module):
    """An activation that has a norm."""

    def __init__(self):
        super().__init__()
        self.norm, self.act = nn.LayerNorm(6), nn.ReLU()

    def forward(self, x):
        return self.act(self.norm(x))


def test_maps_activations_and_heads_are_no_blocks():
    found = chosen(Net(Residual(), Merge(), NormAct(), Residual()))
    assert found.names == ("blocks.0", "blocks.3")
    assert chosen(nn.Sequential(Residual(), Residual(), Reduction())).names == ("0", "1")


def test_layers_with_and_without_a_part_are_layers():
    class Decoding(nn.Module):
        def __init__(self, *parts):
            super().__init__()
            self.parts = nn.Sequential(*parts)

        def forward(self, x):
            return self.parts(x)

    class Straight(nn.Module):
        def __init__(self):
            super().__init__()
            self.map, self.act = nn.Linear(6, 6), nn.ReLU()

        def forward(self, x):
            return self.act(self.map(x))

    class SelfPart(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Straight()

        def forward(self, x):
            return self.inner(x)

    class CrossPart(SelfPart):
        pass

    model = Net(Decoding(SelfPart()), Decoding(SelfPart(), CrossPart()), Decoding(SelfPart()))
    assert chosen(model).names == ("blocks.0", "blocks.1", "blocks.2")


def test_one_block_for_all_layers_counts_call_by_call():
    block = Residual()
    found = chosen(Net(block, block, block))
    assert found.names == ("blocks.0", "blocks.0#2", "blocks.0#3")
    assert "blocks.0#4" not in found


def test_blocks_on_branches_leave_the_modules_around_them():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList(nn.Sequential(Merge(), nn.ReLU()) for _ in range(3))
            self.join = nn.Linear(24, 6)

        def forward(self, x):
            found = [x]
            for part in self.parts:
                found.append(part(sum(found)))
            return self.join(torch.cat(found, 1))

    assert chosen(Net(Dense(), Dense())).names == ("blocks.0", "blocks.1")


def test_copies_that_are_never_called_do_not_count():
    class Averaged(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net(Residual(), Residual())
            self.ema = copy.deepcopy(self.net)

        def forward(self, x):
            return self.net(x)

    assert chosen(Averaged()).names == ("net.blocks.0", "net.blocks.1")


def test_what_a_mask_passes_through_is_no_trunk():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 6, padding_idx=0)
            layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
            self.pooler = nn.Sequential(nn.Linear(6, 6), nn.Tanh())

        def forward(self, ids, mask=None):
            absent = ids == 0 if mask is None else (1.0 - mask) * -1e9
            states = self.encoder(self.embed(ids), src_key_padding_mask=absent)
            return {"states": states, "pooled": self.pooler(states[:, 0])}

    ids = torch.randint(1, 9, (3, 5))
    for inputs in ((ids,), (ids, torch.ones(3, 5))):
        found = chosen(Masked(), *inputs)
        assert found.names == tuple(f"encoder.layers.{n}" for n in range(3))
        assert found.start == "embed"


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_fed_directly_starts_from_its_input(norm_first):
    # The first norm to run reads what attention has made of the input.
    layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True, norm_first=norm_first)
    found = chosen(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), X[None])
    assert found.names == ("layers.0", "layers.1", "layers.2")
    assert found.start is None


def test_a_norm_of_the_whole_input_is_the_start():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), *mlp(nn.ReLU()))
    assert chosen(model).start == "1"
    assert chosen(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(6), *mlp(nn.ReLU()))).start is None
    assert chosen(Net(Merge(), Residual(), Residual())).start is None


# Activations


def test_functions_count_beside_modules():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))
            self.act = nn.ReLU()

        def forward(self, x):
            x = functional.relu(self.layers[0](x))
            x = self.act(self.layers[1](x))
            x = self.layers[2](x).relu_()
            return self.layers[3](x) * torch.sigmoid(self.layers[3](x))  # a gate

    found = chosen(Mixed())
    assert found.names == ("relu()", "act", "relu()#2")
    assert found.rule == "the 3 activations that everything passes through"


def test_activations_of_ones_own():
    class Swish(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(6))

        def forward(self, x):
            return torch.tanh(x @ self.weight)

    assert chosen(nn.Sequential(nn.Linear(6, 6), Swish(), Dense(), nn.PReLU())).names == tuple(
        "123"
    )


def test_shared_activations_count_where_everything_passes():
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.act = nn.Linear(6, 6), nn.Linear(6, 6), nn.ReLU()

        def forward(self, x):
            x = self.act(self.a(x))
            return self.act(x + self.b(self.act(self.b(x))))

    assert chosen(Once()).names == ("act", "act#3")


def test_recurrent_layers_count_as_activations():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.LSTM(6, 5, batch_first=True), nn.GRU(5, 4, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.two(self.one(x)[0])[1][-1])

    assert chosen(Reader(), X[None]).names == ("one", "two")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of quantisation, and of its tensors
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_quantised_network_gives_the_layers_of_its_float_twin():
    model = mlp(nn.ReLU(), nn.ReLU())
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    assert chosen(quantised).names == chosen(model).names == ("1", "3")


def test_parametrised_layers_are_no_blocks():
    weight_norm = nn.utils.parametrizations.weight_norm
    model = mlp(nn.ReLU(), nn.Tanh())
    for layer in (model[0], model[2]):
        weight_norm(layer)
    assert chosen(model).names == ("1", "3")
    blocks = [Residual(), Residual()]
    for block in blocks:
        weight_norm(block.rise)
    assert chosen(Net(*blocks)).names == ("blocks.0", "blocks.1")


# Wrappers


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_wrappers_change_no_name(wrap):
    options = {"backend": "eager", "fullgraph": True} if wrap is torch.compile else {}
    model = Net(Residual(), Residual())
    model.blocks[1] = torch.compile(model.blocks[1], backend="eager")
    wrapped = wrap(model, **options)
    with torch.no_grad():
        wrapped(X)
    assert chosen(wrapped).names == ("blocks.0", "blocks.1")
    for name in ("blocks.1.act", "blocks.1._orig_mod.act"):
        assert chosen(wrapped, layers=name).names == ("blocks.1.act",)


def test_traced_graphs():
    assert chosen(torch.fx.symbolic_trace(mlp(nn.ReLU(), nn.ReLU()))).names == ("1", "3")
    model = torch.fx.symbolic_trace(nn.Sequential(Residual(), Residual(), Residual()))
    with pytest.raises(
        ValueError, match=r"3 ReLU; .* lost in this traced graph: give the original"
    ):
        chosen(model)


# Several chains


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = Net(Residual(), Residual()), Net(*(Residual() for _ in range(3)))
        self.head = nn.Linear(4, 2)

    def forward(self, x, y=None):
        parts = self.left(x), self.right(x if y is None else y)
        return self.head(torch.cat(parts, 1))


@pytest.mark.parametrize("inputs", [(X,), (X, X + 1)])
def test_towers_are_named_and_one_can_be_chosen_as_the_error_says(inputs):
    model = Towers()
    message = r"3 Residual in 'right.blocks', 2 Residual in 'left.blocks'; choose one, such as"
    with pytest.raises(ValueError, match=message) as error:
        chosen(model, *inputs)
    remedy = str(error.value).partition("layers=")[2]
    layers = eval(remedy)  # what the error says has to be code
    assert chosen(model, *inputs, layers=layers).names == tuple(f"right.blocks.{n}" for n in "012")


def test_an_encoder_and_a_decoder_are_two_chains():
    options = {"num_encoder_layers": 2, "num_decoder_layers": 2, "dim_feedforward": 8}
    model = nn.Transformer(6, 2, batch_first=True, **options)
    with pytest.raises(ValueError, match=r"2 TransformerEncoderLayer in 'encoder.layers', 2 Tr"):
        chosen(model, X[None], X[None])


def test_skip_connections_across_the_whole_network():
    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.levels = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.ReLU()) for _ in range(5))

        def forward(self, x):
            a, levels = self.levels[0](x), self.levels
            b = levels[1](a)
            return levels[4](levels[3](levels[2](b) + b) + a)

    with pytest.raises(ValueError, match="several chains: 5 ReLU; choose one by the names"):
        chosen(UNet())


def test_a_model_without_either():
    with pytest.raises(ValueError, match=r"no repeated blocks.*its layers are LayerNorm, Linear;"):
        chosen(nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)))
    with pytest.raises(TypeError, match="look: None given, and no layers"):
        choose_layers(mlp(nn.ReLU()), None, None)


# Layers that are asked for


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("1", ("1",)),
        (nn.Linear, ("0", "2", "4")),
        (["3", nn.ReLU], ("1", "3")),
        (lambda name, module: name == "2", ("2",)),
        (["1.relu()"], ("1.relu()",)),
    ],
)
def test_by_name_type_function_and_call(layers, names):
    found = chosen(mlp(nn.ReLU(), nn.Tanh()), layers=layers)
    assert sorted(found.names) == list(names)
    assert found.rule == "the layers that were asked for"
    assert f"{names[0]}#2" in found


def test_modules_need_no_look():
    assert choose_layers(mlp(nn.ReLU()), nn.ReLU, None) == Chosen(
        ("1",), "the layers that were asked for", every_call=True
    )


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ("relu()", ValueError, r"no layer 'relu\(\)'; its layers are Linear, ReLU; choose by name"),
        (["1", "10"], ValueError, "no layer '10'"),
        (nn.Tanh, ValueError, "Sequential has no layer for"),
        ([], ValueError, "Sequential has no layer for"),
        ([1], TypeError, "give names, module types or a function"),
        (7, TypeError, "7 given"),
    ],
)
def test_bad_choices(layers, error, message):
    with pytest.raises(error, match=message):
        chosen(mlp(nn.ReLU()), layers=layers)
