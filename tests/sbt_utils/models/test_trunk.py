"""The look at a forward pass: its calls, and the points through which everything passes."""

import copy
import subprocess
import sys

import networkx
import pytest
import torch
from models import fingerprint
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from sbt_utils.models.calls import unwrapped, watching
from sbt_utils.models.trunk import _Flow, look


class Residual(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.rise, self.act, self.fall = nn.Linear(width, 9), nn.ReLU(), nn.Linear(9, width)

    def forward(self, x):
        return x + self.fall(self.act(self.rise(x)))


class Net(nn.Module):
    def __init__(self, blocks=3):
        super().__init__()
        self.blocks = nn.ModuleList(Residual() for _ in range(blocks))
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def function(forward, *layers):
    """Return a module of these layers that computes `forward`."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, *inputs):
            return forward(self.layers, *inputs)

    return Model()


def points(model, *inputs, **options):
    """Return the names of the trunk points of the only chain of a model."""
    seen = look(model, lambda: model(*inputs, **options))
    (chain,) = seen.chains
    return [seen.calls[number].name for number in sorted(chain.points)]


X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def test_branches_are_no_points():
    assert points(Net(2), X) == ["Net", "blocks.0", "blocks.1", "head"]


def test_dominators_are_those_of_another_library():
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        flow = _Flow()
        edges = []
        for node in range(40):
            sources = torch.randint(max(node, 1), (3,), generator=generator).tolist()
            sources = set(sources[: 1 + node % 3]) if node else set()
            flow.sources.append(sources)
            edges += [(source, node) for source in sources]
        expected = networkx.immediate_dominators(networkx.DiGraph(edges), 0)
        assert flow.dominators(0, set()) == {**expected, 0: 0}


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda f, x: f[1](torch.cat([f[0](x), x], 1)), ["1"]),  # x passes layer 0 by
        (lambda f, x: f[2](f[0](x).chunk(2, 1)[0]), ["0", "2"]),  # a view is what it views
        (lambda f, x: f[2](f[0](x).relu_()[:, :3]), ["0", "relu()", "2"]),  # written in place
        (lambda f, x: f[0](torch.zeros_like(x).copy_(x)), ["0"]),
        (lambda f, x: f[0](f[0](x) + torch.zeros_like(x)), ["0", "0#2"]),  # a shape is no feature
        (lambda f, x: f[0](f[0](x).masked_fill(x > 0, 0.0)), ["0", "0#2"]),  # nor is a mask
        (lambda f, x: (f[0](x) > 0).float(), ["0"]),  # unless nothing else leads on
        (lambda f, x: {"loss": f[0](x).sum(), "text": "none"}, ["0"]),
        (lambda f, x: [{f[0](x)}], ["0"]),  # an output out of sight
    ],
)
def test_flow(forward, expected):
    model = function(forward, nn.Linear(6, 6), nn.Linear(12, 2), nn.Linear(3, 2))
    found = [name.removeprefix("layers.") for name in points(model, X)]
    assert [name for name in found if name != "Model"] == expected


def test_a_tensor_written_in_part_is_made_of_both():
    def forward(layers, x):
        whole = layers[0](x)
        whole[:, :3] = layers[1](x)
        return layers[0](whole)

    model = function(forward, nn.Linear(6, 6), nn.Linear(6, 3))
    assert points(model, X) == ["Model", "layers.0#2"]


def test_what_is_not_handed_on_ends_no_chain():
    def forward(layers, x):
        y = layers[0](x)
        layers[1](y)
        return y

    assert points(function(forward, nn.Linear(6, 6), nn.Linear(6, 2)), X) == ["Model", "layers.0"]


def test_masks_and_other_outputs_make_no_longer_chains():
    def forward(layers, x, mask):
        states = [x]
        for layer in layers:
            states.append(layer(states[-1]) * mask)
        return states[-1], states

    model = function(forward, *(nn.Linear(6, 6) for _ in range(3)))
    seen = look(model, lambda: model(X, torch.ones(3, 6)))
    names = [[seen.calls[n].name for n in sorted(chain.points)] for chain in seen.chains]
    assert names == [["Model", "layers.0", "layers.1", "layers.2"], ["Model"]]


def test_calls_are_numbered_and_functions_named_by_the_module_that_calls_them():
    def forward(layers, x):
        return functional.gelu(layers[0](torch.relu(layers[0](x)))).tanh()

    inner = function(lambda layers, x: torch.relu(x))
    model = function(forward, nn.Sequential(nn.Linear(6, 6), inner))
    seen = look(model, lambda: model(X))
    assert [call.name for call in seen.calls if call.kind not in ("Linear", "Sequential")] == [
        *("Model", "layers.0.1", "layers.0.1.relu()", "relu()"),
        *("layers.0.1#2", "layers.0.1.relu()#2", "gelu()", "tanh()"),
    ]
    assert [call.kind for call in seen.calls][-2:] == ["gelu", "tanh"]


def test_an_error_that_the_model_catches_leaves_the_names_right():
    def forward(layers, x):
        try:
            layers[0](x[:, :2])
        except RuntimeError:
            return layers[1](torch.relu(x))

    model = function(forward, nn.Linear(6, 6), nn.Linear(6, 6))
    assert points(model, X) == ["Model", "relu()", "layers.1"]


def test_attention_is_seen_as_it_runs_while_training():
    # In evaluation mode PyTorch would run an encoder layer as one, and call nothing in it.
    layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    seen = look(model.eval(), lambda: model(X[None]))
    names = [call.name for call in seen.calls]
    assert "layers.1.self_attn.multi_head_attention_forward()" in names
    assert "layers.1.linear1" in names
    assert points(model, X[None]) == ["TransformerEncoder", "layers.0", "layers.1"]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_are_looked_through(reentrant):
    def forward(layers, x):
        for layer in layers:
            x = checkpoint(layer, x, use_reentrant=reentrant)
        return x

    assert points(function(forward, Residual(), Residual()), X) == ["Model", "layers.0", "layers.1"]


def test_the_states_of_a_recurrent_layer_count_as_its_output():
    model = function(lambda layers, x: layers[0](x)[1][0][-1], nn.LSTM(6, 4, 2, batch_first=True))
    assert points(model, X[None]) == ["Model", "layers.0", "layers.0.lstm()"]


def test_a_model_of_which_only_parts_are_called():
    model = Net(2)
    seen = look(model, lambda: model.head(model.blocks[0](2 * X)))
    (chain,) = seen.chains
    assert [seen.calls[n].name for n in sorted(chain.points)] == ["blocks.0", "head"]
    assert [seen.calls[n].parent for n in sorted(chain.points)] == [None, None]


@pytest.mark.parametrize("kind", ["root", "layer", "root in place", "layer in place"])
@pytest.mark.parametrize("functions", [True, False])
@torch.no_grad()
def test_compiled_modules_are_watched_uncompiled(kind, functions):
    model = Net(2)
    for part in ([model], model.blocks)["layer" in kind]:
        if "in place" in kind:
            part.compile(backend="eager", fullgraph=True)
    if kind == "root":
        model = torch.compile(model, backend="eager", fullgraph=True)
    if kind == "layer":
        model.blocks[1] = torch.compile(model.blocks[1], backend="eager", fullgraph=True)
    expected = model(X)
    inner, seen = unwrapped(model), []
    with watching(inner, lambda name, output: seen.append(name), functions=functions) as counts:
        inner(X)
        counts.clear()
        torch.testing.assert_close(inner(X), expected)
    names = [name for name in seen if not name.endswith("()")]
    once = [f"blocks.{n}{part}" for n in (0, 1) for part in (".rise", ".act", ".fall", "")]
    assert names == 2 * [*once, "head", "Net"]
    torch.testing.assert_close(model(X), expected)


def test_wrappers_are_taken_off():
    model = Net()
    assert unwrapped(nn.DataParallel(model)) is model
    assert unwrapped(torch.compile(model, backend="eager")) is model
    assert unwrapped(model) is model


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("convert", [torch.jit.script, lambda model: torch.jit.trace(model, X)])
def test_scripted_and_traced_models_are_rejected(convert):
    with pytest.raises(TypeError, match="scripted or traced, runs as one; give the original"):
        unwrapped(convert(Net()))


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    class Failing(Net):
        def forward(self, x):
            super().forward(x + torch.rand(()))
            if fails:
                raise KeyError("late")

    model = Failing()
    model.blocks[0].register_forward_hook(lambda module, args, output: output + 1)
    model(torch.zeros(1, 6)) if not fails else None
    before, state = copy.deepcopy(fingerprint(model)), torch.get_rng_state()
    if fails:
        with pytest.raises(KeyError, match="late"):
            look(model, lambda: model(X))
    else:
        look(model, lambda: model(X))
    assert fingerprint(model)["training"] == before["training"]
    assert fingerprint(model)["state"] == before["state"]
    hooks = [len(hooks) for pair in fingerprint(model)["hooks"] for hooks in pair]
    assert sum(hooks) == 1
    assert torch.equal(torch.get_rng_state(), state)


def test_hooks_of_others_change_what_is_seen():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 2))
    model[0].register_forward_hook(lambda module, args, output: output + 1)
    seen = {}
    with watching(model, seen.__setitem__):
        model(X)
    torch.testing.assert_close(seen["1"], model[1](model[0](X)))
    torch.testing.assert_close(seen["0"], model[0](X))


def test_no_values_are_kept_alive():
    # Else the features of a whole network would be in memory at once.
    alive = []

    class Counting(nn.Module):
        def forward(self, x):
            y = x + 1
            alive.append(torch.multiprocessing.reductions.StorageWeakRef(y.untyped_storage()))
            return y

    model = nn.Sequential(*(Counting() for _ in range(5)))
    gone = []
    last = model[4]
    last.register_forward_pre_hook(lambda *_: gone.extend(ref.expired() for ref in alive[:3]))
    look(model, lambda: model(X))
    assert gone == [True, True, True]


def test_looking_loads_no_compiler():
    code = """if True:
        import sys, torch
        from torch import nn
        from sbt_utils.models.trunk import look
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        look(model, lambda: model(torch.zeros(1, 2)))
        print("torch._dynamo" in sys.modules)"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
