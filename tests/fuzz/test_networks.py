"""Networks and data at random: D is that of features from plain hooks, or a refusal says why."""

import numpy as np
import torch
from fuzzing import REFUSED, answer, tried
from hypothesis import given
from hypothesis import strategies as st
from odd_values import odd
from torch import nn

from sbt_utils.measuring.probe import load_curve
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.stress_map import report

WIDTH, TOKENS, WORDS = 4, 5, 9
ARGUMENTS = ("data", "labels", "layers", "pool", "mask", "forward", "features", "model", "measure")
ARGUMENTS += ("batch_size", "separation", "layer")


class Tokens(nn.Module):
    """Words or vectors, which a mask may hide, through blocks that mix them."""

    def __init__(self, embeds, blocks):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH) if embeds else nn.Identity()
        kind = nn.TransformerEncoderLayer
        self.blocks = nn.ModuleList(
            kind(WIDTH, 2, 6, batch_first=True, norm_first=True) for _ in range(blocks)
        )

    def forward(self, inputs, attention_mask=None):
        hidden = self.words(inputs)
        padding = None if attention_mask is None else attention_mask == 0
        for block in self.blocks:
            hidden = block(hidden, src_key_padding_mask=padding)
        return hidden


def perceptron(depth, activation, norm):
    layers = [nn.BatchNorm1d(WIDTH)] if norm else []
    for _ in range(depth):
        layers += [nn.Linear(WIDTH, WIDTH), activation(), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 2))


perceptrons = st.builds(
    perceptron,
    st.integers(1, 4),
    st.sampled_from([nn.ReLU, nn.Tanh, nn.GELU, nn.LeakyReLU]),
    st.booleans(),
)


def hooked(chosen, run):
    """Return the outputs of modules as they run, by plain hooks."""
    found = []
    hooks = [m.register_forward_hook(lambda m, a, out: found.append(out.clone())) for m in chosen]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return found


def in_form(inputs, mask, labels, form):
    """Return the same data in one of the forms that are taken."""
    named = {"inputs": inputs} | ({} if mask is None else {"attention_mask": mask.long()})
    if form == "mapping":
        return {**named, "labels": labels}
    if form == "samples":
        return [
            {name: column[i] for name, column in named.items()} | {"label": int(labels[i])}
            for i in range(len(labels))
        ]
    batches = zip(*(column.split(4) for column in (*named.values(), labels)), strict=True)
    if form == "nested":
        return [(tuple(batch[:-1]), batch[-1]) for batch in batches]
    return list(batches)


def compare(model, data, features, labels, measure, pool=None):
    """Assert that a curve is that of these features, or is refused where these have no D."""
    curve = answer(lambda: load_curve(model, data, measure=measure, pool=pool), *ARGUMENTS)
    try:
        expected = [data_separation(h, labels, measure) for h in features]
    except ValueError:
        assert curve is REFUSED
        return
    np.testing.assert_allclose(curve.separation, expected, 1e-7, 1e-7)
    if measure == "trace":
        stress = report(model, data, resamples=40, pool=pool)
        np.testing.assert_allclose(stress.train.mean, expected, 1e-7, 1e-7)


measures = st.sampled_from(["trace", "fuzziness"])
forms = st.sampled_from(["mapping", "samples", "nested", "tuples"])
seeds = st.integers(0, 2**31)


@tried(6)
@given(perceptrons, seeds, st.integers(6, 20), st.integers(2, 3), measures)
def test_perceptrons(model, seed, samples, classes, measure):
    torch.manual_seed(seed)
    model = model.double().eval()
    inputs, labels = torch.randn(samples, WIDTH).double(), torch.arange(samples) % classes
    activations = [layer for layer in model if layer.__module__.endswith("activation")]
    norms = [layer for layer in model if isinstance(layer, nn.BatchNorm1d)]
    features = hooked([*norms, *activations], lambda: model(inputs))
    compare(model, (inputs, labels), features if norms else [inputs, *features], labels, measure)


@tried(8)
@given(
    st.booleans(),
    st.integers(2, 3),
    st.one_of(st.none(), st.integers(0, 6)),
    seeds,
    forms,
    st.sampled_from([None, "mean", "cls", "last"]),
    measures,
)
def test_tokens(embeds, blocks, padding, seed, form, pool, measure):
    torch.manual_seed(seed)
    model = Tokens(embeds, blocks).double().eval()
    size = TOKENS + (padding or 0)
    labels, lengths = torch.arange(12) % 2, torch.full((12,), size)
    inputs = torch.randint(WORDS, (12, size)) if embeds else torch.randn(12, size, WIDTH).double()
    mask = None
    if padding is not None:
        lengths = torch.randint(1, TOKENS + 1, (12,))
        mask = torch.arange(size) < lengths[:, None]

    def by_hand(h, pool):
        if pool == "cls":
            return h[:, 0]
        if pool == "last":
            return h[torch.arange(12), lengths - 1]
        if pool is None and mask is None:
            return h
        return torch.stack([one[:n].mean(0) for one, n in zip(h, lengths, strict=True)])

    arguments = (inputs,) if mask is None else (inputs, mask.long())
    start, *features = hooked([model.words, *model.blocks], lambda: model(*arguments))
    pooled = [by_hand(h, pool) for h in features]
    of_start = by_hand(start, pool if embeds or pool == "mean" else None)
    if (of_start == of_start[:1]).all():
        of_start = by_hand(start, None)
    compare(model, in_form(inputs, mask, labels, form), [of_start, *pooled], labels, measure, pool)


@tried(8)
@given(st.sampled_from(["labels", "pool", "mask", "forward", "batch_size", "data"]), odd)
def test_odd_arguments(name, value):
    model = perceptron(2, nn.ReLU, norm=True).eval()
    arguments = {"data": torch.randn(12, WIDTH), "labels": torch.arange(12) % 2, name: value}
    curve = answer(lambda: load_curve(model, **arguments), *ARGUMENTS)
    if curve is not REFUSED:
        assert curve.layers == load_curve(model, torch.randn(12, WIDTH), np.arange(12) % 2).layers
