"""The committed results of a checkout."""

from pathlib import Path

RESULTS = Path(__file__).parents[2] / "results"
