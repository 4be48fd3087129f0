"""Draw the picture of the README and the landing page from the committed results."""

from pathlib import Path

from sbt_book.common import load_committed
from sbt_book.phase_diagram import diagram_excerpt, published_diagram
from sbt_book.pictures import write_variants

published = published_diagram("dropout")
rows = {"slope": [0.0, 0.2, 0.6, 1.0], "noise": published.noise}
figure = diagram_excerpt(load_committed("dropout").sel(rows), published)
images = Path(__file__).parents[1] / "book" / "images"
figure.savefig(images / "load_curves.png", dpi=130)
write_variants(figure, images / "load_curves")
