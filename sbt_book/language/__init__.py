"""Chapter 11: the blocks of a trained language model."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "texts": "KINDS documents pieces",
        "removal": "LONGEST_RUN PROXIES Stack removed_runs removed_sets stack_of",
        "experiment": "CHOICES CONFIGURATION everything model_and_tokenizer",
        "findings": "choice_table correlation_table cost_table law_table share_table",
        "figures": "cost_of_removal curve_and_law",
    },
)
