"""Cost of the report of a language model beside its plain forward pass; prints JSON lines.

``report`` compares the stress map of SmolLM2-135M on 16,384 tokens with the forward pass over them
(the packages of its weights: see `sbt_book.trained_models.models`; without them, a model of the
same sizes with random weights; without transformers, nothing). ``residual`` compares the
prediction residual as well, in sample and held out. Each run is a process of its own.
"""

import json
import pydoc
import pydoc_data.topics
import sys
import time
from importlib.util import find_spec

import torch
from timing import answer, fresh, peak_gib

from sbt_book.trained_models.models import language_model, missing
from sbt_utils.language import token_batches, token_curves
from sbt_utils.reporting import report

TOKENS, LENGTH, ROWS = 16_384, 512, 4


def model_and_batches():
    """Return a model, and so many tokens of Python's help in rows of full length."""
    texts = [pydoc.plain(text) for text in pydoc_data.topics.topics.values()]
    if missing("language model"):
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(0)
        sizes = {"vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536}
        heads = {"num_attention_heads": 9, "num_key_value_heads": 3}
        model = LlamaForCausalLM(LlamaConfig(**sizes, **heads, num_hidden_layers=30)).eval()
        tokenizer = _letters
    else:
        model, tokenizer = language_model()
    rows = []
    for batch in token_batches(texts, tokenizer, length=LENGTH, batch_size=1):
        if batch["input_ids"].shape[1] == LENGTH and len(rows) * LENGTH < TOKENS:
            rows.append(batch)
    names = ("input_ids", "attention_mask", "texts")
    whole = {name: torch.cat([row[name] for row in rows]) for name in names}
    parts = range(0, len(rows), ROWS)
    return model, [{n: t[start : start + ROWS] for n, t in whole.items()} for start in parts]


def _letters(text):
    return [ord(letter) for letter in text]


def cost(what):
    """Return seconds on the clock and of the processor, and the peak memory."""
    model, batches = model_and_batches()
    few = [{name: tensor[:, :64] if tensor.dim() > 1 else tensor for name, tensor in b.items()}
           for b in batches[:4]]  # fmt: skip
    report(model, few, classes=5)  # what is compiled on the first call is not its cost
    start = time.perf_counter(), time.process_time()
    if what == "report":
        report(model, batches)
    elif what == "residual":
        token_curves(model, batches)
    else:
        with torch.no_grad():
            for batch in batches:
                model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    return {
        "seconds": round(time.perf_counter() - start[0], 2),
        "processor": round(time.process_time() - start[1], 2),
        "peak_gib": peak_gib(),
    }


def compare(what):
    """Yield the cost of one, beside that of the forward pass before and after it."""
    if find_spec("transformers") is None:
        yield {"skipped": "transformers are not installed"}
        return
    first, one, last = (fresh(__file__, "cost", name) for name in ("pass", what, "pass"))
    forward = {name: min(first[name], last[name]) for name in first}
    yield {
        "tokens": TOKENS,
        "forward_seconds": forward["seconds"],
        "ratio": round(one["seconds"] / forward["seconds"], 2),
        "processor_ratio": round(one["processor"] / forward["processor"], 2),
        "more_gib": round(one["peak_gib"] - forward["peak_gib"], 2),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["cost"]:
        print(json.dumps(cost(sys.argv[2])))
    else:
        answer({name: lambda name=name: compare(name) for name in ("report", "residual")})
