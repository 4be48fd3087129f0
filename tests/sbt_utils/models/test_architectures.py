"""The layers that are chosen by default in public architectures: as an expert would."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import torch

from sbt_utils.models.layer_choice import choose_layers
from sbt_utils.models.trunk import look

TABLE = tomllib.loads(Path(__file__).with_name("architectures.toml").read_text(encoding="utf-8"))
CASES = [(package, name) for package, names in TABLE.items() for name in names]
SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "pad_token_id": 0,
    "embedding_size": 32,
}
# Where a configuration has other names for these, or wants more of them.
CONFIGURATIONS = {
    "DistilBertModel": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
    "OPTModel": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "T5Model": {"d_model": 32, "num_layers": 3, "num_heads": 4, "d_kv": 8, "d_ff": 48},
    "T5EncoderModel": {"d_model": 32, "num_layers": 3, "num_heads": 4, "d_kv": 8, "d_ff": 48},
    "BartModel": {"d_model": 32, "encoder_layers": 3, "decoder_layers": 3},
    "WhisperModel": {
        **{"d_model": 32, "encoder_layers": 3, "decoder_layers": 3, "pad_token_id": 0},
        **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_mel_bins": 8},
        **{"bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
    },
    "XLNetModel": {"d_model": 32, "n_layer": 3, "n_head": 4, "d_inner": 48},
    "MixtralModel": {"num_key_value_heads": 2, "num_local_experts": 4},
    "GemmaModel": {"num_key_value_heads": 2, "head_dim": 8},
    "SwinModel": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 16,
        "depths": [2, 2],
        "num_heads": [2, 2],
    },
    "ConvNextModel": {"hidden_sizes": [16, 32], "depths": [2, 2], "num_stages": 2},
    "ResNetModel": {"hidden_sizes": [16, 32], "depths": [2, 2], "embedding_size": 16},
    "SegformerForSemanticSegmentation": {
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 2, 1],
    },
    "LongformerModel": {"attention_window": 4},
    "Qwen2MoeForCausalLM": {
        **{"num_key_value_heads": 2, "moe_intermediate_size": 16, "num_experts": 4},
        **{"shared_expert_intermediate_size": 16, "output_router_logits": True},
    },
    "BloomModel": {"n_layer": 3, "n_head": 4},
    "Dinov2Model": {"patch_size": 8},
    "Wav2Vec2Model": {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4},
}
# Other names throughout.
OWN = (
    *("SwinModel", "ConvNextModel", "ResNetModel", "WhisperModel"),
    "SegformerForSemanticSegmentation",
)
IMAGES = (
    *("ViTModel", "SwinModel", "ConvNextModel", "ResNetModel", "Dinov2Model"),
    "SegformerForSemanticSegmentation",
)
for name in ("MistralModel", "Qwen2Model", "LlamaForCausalLM"):
    CONFIGURATIONS[name] = {"num_key_value_heads": 2}


def vision_model(package, name, size=64, frames=None, options=None, **expected):
    if package == "torchvision":
        models = pytest.importorskip("torchvision.models")
        options = {
            key: None if value == "none" else value for key, value in (options or {}).items()
        }
        model = models.get_model(name, num_classes=10, **options)
    else:
        timm = pytest.importorskip("timm")
        model = timm.create_model(name, num_classes=10, **(options or {}))
    shape = (size, size) if frames is None else (frames, size, size)
    return model, {"": torch.randn(2, 3, *shape)}


def transformer(name, **expected):
    transformers = pytest.importorskip("transformers")
    kind = getattr(transformers, name)
    small = ({} if name in OWN else SMALL) | CONFIGURATIONS.get(name, {})
    if name == "CLIPModel":
        small = {part: {**SMALL, "patch_size": 8} for part in ("text_config", "vision_config")}
    model = kind(kind.config_class(**small))
    ids, images = torch.randint(5, 50, (2, 7)), torch.randn(2, 3, 32, 32)
    if name in IMAGES:
        return model, {"pixel_values": images}
    if name == "Wav2Vec2Model":
        return model, {"input_values": torch.randn(2, 4000)}
    if name == "WhisperModel":
        return model, {"input_features": torch.randn(2, 8, 3000), "decoder_input_ids": ids}
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name == "T5Model":
        batch["decoder_input_ids"] = ids.clone()
    return model, batch | ({"pixel_values": images} if name == "CLIPModel" else {})


def expanded(pattern):
    """Return the names that "[0-2]" stands for, in order."""
    first, *rest = re.split(r"\[(\d+)-(\d+)\]", pattern)
    ranges = [range(int(a), int(b) + 1) for a, b in zip(rest[::3], rest[1::3], strict=True)]
    for numbers in itertools.product(*ranges):
        yield first + "".join(f"{n}{part}" for n, part in zip(numbers, rest[2::3], strict=True))


def test_patterns_are_written_out():
    assert list(expanded("a[1-2].[0-1]b")) == ["a1.0b", "a1.1b", "a2.0b", "a2.1b"]
    assert list(expanded("a.0")) == ["a.0"]


def test_the_table_is_long():
    assert len(CASES) >= 40


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages
@pytest.mark.parametrize(("package", "name"), CASES, ids=["-".join(case) for case in CASES])
def test_the_default_layers_are_those_of_an_expert(package, name):
    expected = TABLE[package][name]
    torch.manual_seed(0)
    if package == "transformers":
        model, batch = transformer(name)
    else:
        model, batch = vision_model(package, name, **expected)
    positional = [batch.pop("")] if "" in batch else []
    seen = look(model, lambda: model(*positional, **batch))
    if "layers" in expected:
        names = [each for pattern in expected["layers"] for each in expanded(pattern)]
        assert list(choose_layers(model, None, seen).names) == names
    else:
        with pytest.raises(ValueError, match="chains") as error:
            choose_layers(model, None, seen)
        for chain in expected["chains"]:
            assert f"'{chain}'" in str(error.value)
