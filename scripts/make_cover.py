"""Draw the picture of the README and the landing page from the committed results."""

from pathlib import Path

from sbt_book.common import load_committed
from sbt_book.phase_diagram import diagram_excerpt, published_diagram

published = published_diagram("dropout")
rows = {"slope": [0.0, 0.2, 0.6, 1.0], "noise": published.noise}
figure = diagram_excerpt(load_committed("dropout").sel(rows), published)
figure.savefig(Path(__file__).parents[1] / "book" / "images" / "load_curves.png", dpi=130)
