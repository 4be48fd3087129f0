"""Language models of transformers, small and random: skipped where it is not installed."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional

from sbt_utils.language import token_curves
from sbt_utils.language.states import Reader
from sbt_utils.measuring.separation import data_separation
from sbt_utils.reporting.stress_map import report

transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
LENGTHS = torch.arange(24) % 6 + 20
MASK = (torch.arange(25) < LENGTHS[:, None]).long()
IDS = torch.randint(5, 50, (24, 25), generator=torch.Generator().manual_seed(0))
IDS[MASK == 0] = 0
DATA = {"input_ids": IDS, "attention_mask": MASK}
KEEP = torch.zeros(24, 25, dtype=torch.bool)
KEEP[:, :-1] = MASK[:, 1:] == 1
NEXT = IDS.roll(-1, 1)[KEEP]


def made(kind, **options):
    torch.manual_seed(0)
    names = {"llama": "Llama", "neox": "GPTNeoX", "bert": "Bert", "opt": "OPT"}
    if kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=50, n_embd=16, n_layer=3, n_head=2, n_positions=40
        )
        model = transformers.GPT2LMHeadModel(config)
    elif kind == "opt":
        sizes = SIZES | {"ffn_dim": 32, "word_embed_proj_dim": 16}
        model = transformers.OPTForCausalLM(transformers.OPTConfig(**sizes))
    else:
        config = getattr(transformers, f"{names[kind]}Config")(**SIZES, **options)
        task = "ForMaskedLM" if kind == "bert" else "ForCausalLM"
        model = getattr(transformers, f"{names[kind]}{task}")(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name.lower() or "ln_" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.double().eval()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "neox", "opt"])
def test_states_are_the_hidden_states(kind):
    model = made(kind)
    with torch.no_grad():
        hidden = model(**DATA, output_hidden_states=True).hidden_states
    curves = token_curves(model, DATA, classes=8)
    states = [h[KEEP] for h in hidden]
    # As He & Su: the final normalisation as it is when new, of all but the last, which has it.
    if kind == "llama":
        normal = [functional.rms_norm(h, (16,), eps=1e-6) for h in states[:-1]]
    else:
        normal = [functional.layer_norm(h, (16,), eps=1e-5) for h in states[:-1]]
    for number, h in enumerate([*normal, states[-1]]):
        design = np.column_stack([np.ones(len(h)), h.numpy()])
        left = NEXT.numpy() - design @ np.linalg.lstsq(design, NEXT.numpy(), rcond=None)[0]
        expected = left.var() / NEXT.numpy().var()
        assert curves.residual["next"][number] == pytest.approx(expected, abs=1e-9)
    among = torch.isin(NEXT, torch.tensor(curves.classes))
    for number, h in enumerate(states[:-1]):
        x = h[among] / h[among].square().mean(1, keepdim=True).sqrt()
        expected = data_separation(x, NEXT[among])
        assert curves.separation.mean[number] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "options", "beside"),
    [
        ("llama", {}, False),
        ("gpt2", {}, False),
        ("opt", {}, False),
        ("neox", {}, True),
        ("neox", {"use_parallel_residual": False}, False),
    ],
)
def test_attention_and_mlp_apart(kind, options, beside):
    model = made(kind, **options)
    stress = report(model, DATA, classes=8, layers="attention and mlp")
    assert ("side by side" in stress.rule) == beside
    assert stress.table.layer.str.rpartition(" ")[2].tolist() == ["attention", "MLP"] * 3
    whole = report(model, DATA, classes=8)
    np.testing.assert_allclose(stress.train.mean[::2], whole.train.mean, atol=1e-12)
    # Without MLP, the block ends where attention does.
    first = next(m for name, m in model.named_modules() if name.endswith((".layers.0", ".h.0")))
    mlp = first.fc2 if kind == "opt" else first.mlp
    mlp.forward = lambda x: torch.zeros_like(x[..., :16])
    short = report(model, DATA, classes=8)
    assert stress.train.mean[1] == pytest.approx(short.train.mean[1], abs=1e-12)


def test_a_masked_model():
    class Tokenizer:
        mask_token_id, all_special_ids = 4, (0, 1, 2, 3, 4)

        def __call__(self, text):
            raise AssertionError("ids are given")

    model = made("bert")
    stress = report(model, DATA, tokenizer=Tokenizer(), classes=4, layers="attention and mlp")
    names = [f"bert.encoder.layer.{n} {part}" for n in range(3) for part in ("attention", "MLP")]
    assert stress.table.layer.tolist() == names
    assert "masked tokens" in stress.notes[0]
    attention = model.bert.encoder.layer[0].attention
    batch = {**DATA, "input_ids": IDS.clone(), "labels": torch.full_like(IDS, -100)}
    batch["input_ids"][:, 3::4], batch["labels"][:, 3::4] = 4, IDS[:, 3::4] % 3
    kept = []
    hook = attention.register_forward_hook(lambda module, args, output: kept.append(output[0]))
    with torch.no_grad():
        model(batch["input_ids"], MASK)
    hook.remove()
    hidden = (batch["labels"] >= 0) & (MASK == 1)
    x = kept[0][hidden]
    x = x / x.square().mean(1, keepdim=True).sqrt()
    found = report(model, batch, classes=3, layers="attention and mlp").train.mean[1]
    assert found == pytest.approx(data_separation(x, batch["labels"][hidden]), abs=1e-9)


def test_batches_of_transformers():
    model = made("llama")
    expected = report(model, DATA, classes=6)
    rows = transformers.BatchEncoding(DATA)
    np.testing.assert_array_equal(report(model, rows, classes=6).train.mean, expected.train.mean)
    collated = [{**DATA, "labels": torch.where(MASK == 1, IDS, -100)}]
    np.testing.assert_array_equal(
        report(model, collated, classes=6).train.mean, expected.train.mean
    )


KV = {"num_key_value_heads": 1}


def family(kind, task="ForCausalLM", **options):
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**options)
    model = getattr(transformers, kind + task)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def added(block, x, attention):
    return x + attention


def normalised_first(block, x, attention):
    return x + block.post_attention_layernorm(attention)


def whole(block, x, attention):
    """Attention has the way around and the normalisation in itself."""
    return attention


FAMILIES = {
    "albert": ("Albert", "ForMaskedLM", SIZES | {"embedding_size": 8}, "attention", whole),
    "qwen2": ("Qwen2", "ForCausalLM", SIZES | KV, "self_attn", added),
    "phi": ("Phi", "ForCausalLM", SIZES, "self_attn", added),
    "gemma": ("Gemma", "ForCausalLM", SIZES | KV | {"head_dim": 8}, "self_attn", added),
    "gemma2": (
        "Gemma2",
        "ForCausalLM",
        SIZES | KV | {"head_dim": 8},
        "self_attn",
        normalised_first,
    ),
    "gpt-neox": ("GPTNeoX", "ForCausalLM", SIZES, "attention", added),
    "olmo2": ("Olmo2", "ForCausalLM", SIZES, "self_attn", normalised_first),
    "cohere": ("Cohere", "ForCausalLM", SIZES, "self_attn", added),
    "xlnet": (
        "XLNet",
        "LMHeadModel",
        {"vocab_size": 50, "d_model": 16, "n_layer": 3, "n_head": 2, "d_inner": 32},
        "rel_attn",
        whole,
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_attention_and_mlp_of_families_by_hand(name):
    kind, task, options, attention, after = FAMILIES[name]
    model = family(kind, task, **options)
    expected, taken, hooks = [], [], []
    blocks = [m for n, m in model.named_modules() if re.search(r"(layers|layer|groups)\.\d+$", n)]

    def first(value):
        return (value[0] if isinstance(value, tuple) else value).clone()

    def after_attention(block):
        return lambda m, args, kwargs, output: expected.append(
            after(block, taken[-1], first(output))
        )

    for block in blocks if name != "albert" else blocks[:1]:
        inner = block.albert_layers[0] if name == "albert" else block
        hooks += [
            block.register_forward_pre_hook(
                lambda m, args, kwargs: taken.append(
                    (args or (kwargs.get("hidden_states"),))[0].clone()
                ),
                with_kwargs=True,
            ),
            getattr(inner, attention).register_forward_hook(
                after_attention(inner), with_kwargs=True
            ),
            block.register_forward_hook(lambda m, args, output: expected.append(first(output))),
        ]
    with torch.no_grad():
        model(**DATA)
    for hook in hooks:
        hook.remove()
    found = []
    reader = Reader(model, "attention and mlp", DATA)
    reader.read([(DATA, None)], lambda name, states, item: found.append(states.clone()))
    assert len(expected) == 6
    for states, by_hand in zip(found[1:], expected, strict=True):
        by_hand = by_hand.transpose(0, 1) if name == "xlnet" else by_hand
        torch.testing.assert_close(states[MASK == 1], by_hand[MASK == 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "task", "options", "message"),
    [
        ("T5", "ForConditionalGeneration", {"d_model": 16}, r"has an encoder and a decoder; give"),
        ("Mamba", "ForCausalLM", {"hidden_size": 16}, r"no attention in block 'backbone.layers.0'"),
        ("FNet", "ForMaskedLM", {"hidden_size": 16}, r"no attention in block 'fnet.encoder"),
        (
            "MobileBert",
            "ForMaskedLM",
            SIZES | {"embedding_size": 8, "intra_bottleneck_size": 8},
            r"makes is not just added to what block 'mobilebert.encoder.layer.2' takes",
        ),
    ],
)
def test_families_without_the_two_say_so(kind, task, options, message):
    model = family(kind, task, **{"vocab_size": 50, **options})
    with pytest.raises(ValueError, match=message):
        Reader(model, "attention and mlp", DATA)
