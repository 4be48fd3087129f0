"""Draw figures of the phase diagrams from the committed results, in seconds.

`python scripts/make_figures.py phase_diagram --out figures --format pdf`; by default, all of them.
"""

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sbt_book.chain import figures as chain_figures
from sbt_book.chain import matching_figures
from sbt_book.chain.diagram_matching import fit_diagram
from sbt_book.common import NOISES, load_committed
from sbt_book.phase_diagram import cell_figures, diagram_figures, noise_figures
from sbt_book.phase_diagram.published import compare, published_diagram
from sbt_book.phase_diagram.summaries import cell_summary
from sbt_book.status.verdicts import DEVIATIONS
from sbt_utils.mechanics.published_chains import SECOND_ORDER, theory_diagram

CORNERS = [{"noise": noise, "slope": slope} for slope in (0.0, 0.8) for noise in (0.28, 0.0)]
LIMITS = {source: of_a_cell for source, (_, of_a_cell) in DEVIATIONS.items()}

diagram = cache(load_committed)


def of_all(function: Callable[[xr.Dataset], xr.Dataset] = lambda d: d) -> dict[str, xr.Dataset]:
    """Return a function of every diagram, by its source of noise."""
    return {source: function(diagram(source)) for source in NOISES}


def fair(diagram: xr.Dataset) -> xr.Dataset:
    """Sum up the cells of a diagram in which no network failed."""
    cells = cell_summary(diagram)
    return cells.where(cells.failed == 0)


def comparison(source: str) -> xr.Dataset:
    """Return a diagram's comparison with the published one."""
    return compare(diagram(source), published_diagram(source))


def worst(source: str) -> Figure:
    """Draw the cells that deviate most from the published ones."""
    cells = cell_figures.worst_cells(comparison(source))
    published = published_diagram(source)
    return cell_figures.cells_compared(source, diagram(source), published, cells)


def deviation() -> Figure:
    """Draw how far every cell is from the published one."""
    values = {source: comparison(source).deviation for source in LIMITS}
    label = "mean absolute deviation of the scaled curve"
    return diagram_figures.cell_values(values, label, LIMITS)


def mechanical() -> xr.DataArray:
    """Return the load curves of the main mechanical phase diagram."""
    cells = {"order": "second", "shaking": "common", "friction_left": 0.15}
    return diagram("spring_block").separation.sel(cells, drop=True).astype("float64")


def mechanical_phase_diagram() -> Figure:
    """Draw the mechanical phase diagram with its theory."""
    cells = mechanical()
    friction = np.linspace(0, float(cells.friction.max()), 40).tolist()
    noise = np.geomspace(*cells.noise.values[[0, -1]], 60).tolist()
    theory = theory_diagram(SECOND_ORDER, friction, noise)
    name = "second order"
    return chain_figures.mechanical_diagrams({name: cells}, {name: theory}, with_curves=True)


def networks_and_chains() -> Figure:
    """Draw the networks' diagram beside that of the chains that match them."""
    matched = fit_diagram(diagram("dropout"), mechanical(), one_noise=True)
    return matching_figures.side_by_side(matched)


FIGURES: dict[str, Callable[[], Figure]] = {
    "phase_diagram": lambda: diagram_figures.phase_diagram(of_all()),
    "shape_and_accuracy": lambda: diagram_figures.shape_and_accuracy(of_all(cell_summary)),
    "convexity_against_noise": lambda: noise_figures.convexity_against_noise(of_all(cell_summary)),
    "train_and_test": lambda: cell_figures.train_and_test("dropout", diagram("dropout"), CORNERS),
    "seeds_apart": lambda: cell_figures.seeds_apart("learning_rate", diagram("learning_rate")),
    "deviation": deviation,
    "worst_dropout": lambda: worst("dropout"),
    "worst_learning_rate": lambda: worst("learning_rate"),
    "shape_family": lambda: noise_figures.shape_family(of_all(fair)),
    "accuracy_against_convexity": lambda: noise_figures.accuracy_against_convexity(of_all(fair)),
    "mechanical_phase_diagram": mechanical_phase_diagram,
    "networks_and_chains": networks_and_chains,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("figures", nargs="*", help=f"default: all of {', '.join(FIGURES)}")
    parser.add_argument("--out", type=Path, default=Path(), help="folder")
    parser.add_argument("--format", default="png", choices=("png", "svg", "pdf"))
    arguments = parser.parse_args()
    if unknown := set(arguments.figures) - set(FIGURES):
        parser.error(f"no figure {', '.join(sorted(unknown))}: choose of {', '.join(FIGURES)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.figures or FIGURES:
        path = arguments.out / f"{name}.{arguments.format}"
        FIGURES[name]().savefig(path, dpi=150)
        print(path)
