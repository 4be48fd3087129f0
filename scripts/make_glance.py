"""Draw the pictures of the page "At a glance" from the committed results."""

from pathlib import Path

import sbt_utils as sbt
from sbt_book.chain import fit_diagram, side_by_side
from sbt_book.common import load_committed
from sbt_book.pictures import write_variants
from sbt_utils.drawing import load_curves

images = Path(__file__).parents[1] / "book" / "images"
networks = load_committed("dropout")
three = {
    "ReLU, no dropout": (0.0, 0.0),
    "α = 0.2, p = 0.1": (0.2, 0.1),
    "ReLU, p = 0.28": (0.0, 0.28),
}
curves = {
    label: sbt.LoadCurve(networks.separation_train.sel(slope=slope, noise=noise).values)
    for label, (slope, noise) in three.items()
}
pictures = {"three_regimes": load_curves(curves)}

chains = load_committed("spring_block").separation.astype("float64")
chains = chains.sel(order="second", shaking="common", friction_left=0.15, drop=True)
matched = fit_diagram(networks, chains, one_noise=True)
pictures["networks_and_chains"] = side_by_side(matched)

for name, figure in pictures.items():
    figure.savefig(images / f"{name}.png", dpi=130)
    write_variants(figure, images / name)
