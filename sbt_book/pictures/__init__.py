"""Figures and tables in other forms: narrow for phones, vector graphics and CSV to take away."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {"narrowing": "narrowed", "variants": "as_csv as_svg write_variants"},
)
