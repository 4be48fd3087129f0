"""Measures of language models: tokens that are told apart by what comes next."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(__name__, {})
