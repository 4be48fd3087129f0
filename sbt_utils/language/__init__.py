"""Measures of language models: tokens that are told apart by what comes next."""

from sbt_utils.lazily import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "tokens": "token_batches",
        "residual": "LeastSquares prediction_residual",
        "curves": "TokenCurves token_curves",
    },
)
