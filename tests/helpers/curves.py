"""Curves worked out by hand."""


def scaled(curve):
    """Return a curve (L + 1,) moved and stretched to lie between 0 and 1."""
    return (curve - min(curve)) / (max(curve) - min(curve))
