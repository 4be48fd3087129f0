/** The phase diagram as a grid of cells, each with its load curve on a ground of its accuracy. */

import { chooseCell, walkCells } from "../shared/cell_walk.js";
import { element, svg } from "../shared/controls.js";
import { convexity, regime } from "../shared/shape.js";

/** Return a curve scaled to [0, 1], as published. */
export function scaledCurve(curve) {
  const least = Math.min(...curve);
  const height = Math.max(...curve) - least;
  return curve.map((D) => (D - least) / height);
}

/**
 * Return the border of the regimes as a path in units of cells: where neighbours differ in the sign
 * of their convexity. A curve without a convexity has no border.
 */
export function regimeBorder(separation) {
  const signs = separation.map((row) => row.map((curve) => Math.sign(convexity(curve))));
  const apart = (first, second) => first * second === -1;
  let path = "";
  signs.forEach((row, r) =>
    row.forEach((sign, c) => {
      if (apart(sign, row[c + 1])) path += `M${c + 1} ${r}v1`;
      if (apart(sign, signs[r + 1]?.[c])) path += `M${c} ${r + 1}h1`;
    }),
  );
  return path;
}

/**
 * Append the grid. `show` takes a packed diagram; `frame` marks the chosen cell, `outline` one that
 * the pointer is over (null for none). The reader's choice is heard by `onChoose(row, column)`,
 * what the pointer is over by `onPoint(place or null)`. Residuals above `goodMatch` are marked.
 */
export function diagramPicture(parent, goodMatch) {
  const figure = element("figure", { class: "sbt-diagram" }, parent);
  element("p", { class: "sbt-diagram-slope" }, figure, "negative slope α");
  const holder = element("div", { class: "sbt-diagram-cells" }, figure);
  const grid = element("div", { role: "grid" }, holder);
  const overlay = { class: "sbt-diagram-marks", preserveAspectRatio: "none", "aria-hidden": true };
  const marks = svg("svg", overlay, holder);
  const [border, misfits, curves] = ["border", "misfits", "curves"].map((name) =>
    svg("path", { class: `sbt-diagram-${name}` }, marks),
  );
  const pointed = svg("rect", { class: "sbt-diagram-pointed", width: 1, height: 1 }, marks);
  const halo = svg("rect", { class: "sbt-diagram-halo", width: 1, height: 1 }, marks);
  const chosen = svg("rect", { class: "sbt-diagram-chosen", width: 1, height: 1 }, marks);
  const axis = element("p", { class: "sbt-diagram-noise" }, figure);
  element("span", {}, axis, "← more noise");
  const label = element("strong", {}, axis);
  element("span", {}, axis, "less noise →");
  const legend = element("figcaption", { class: "sbt-legend" }, figure);
  const item = (swatch) => {
    const holds = element("span", {}, legend);
    element("i", { class: `sbt-diagram-swatch sbt-diagram-${swatch}`, "aria-hidden": true }, holds);
    return element("span", {}, holds);
  };
  const accuracies = item("grounds");
  const turns = item("turns");
  turns.textContent = "concave on its right, convex on its left";
  item("misfit").textContent = "no chain comes close";
  let cells = [];
  let place = [0, 0];
  const picture = { show, frame, outline, onChoose: () => {}, onPoint: () => {} };

  function show(diagram, name) {
    const { separation, accuracy, residual, slope, noise_names: names } = diagram;
    const all = accuracy.flat();
    const best = Math.max(...all);
    const least = Math.max(Math.min(...all), best - 12); // one bad cell must not stretch the scale
    grid.replaceChildren();
    grid.setAttribute("aria-label", `Phase diagram, ${name}: the arrow keys choose a cell`);
    figure.style.setProperty("--sbt-diagram-columns", names.length);
    figure.classList.toggle("sbt-diagram-many", names.length > 10);
    cells = separation.map((row, r) => {
      const line = element("div", { role: "row", class: "sbt-diagram-row" }, grid);
      element("span", { role: "rowheader", "aria-label": `α = ${slope[r]}` }, line, slope[r]);
      return row.map((curve, c) => {
        const ground = (100 * Math.max(accuracy[r][c] - least, 0)) / (best - least || 1);
        const words = `${diagram.label} ${names[c]}, α = ${slope[r]}: ${regime(curve)}`;
        const cell = element("div", { role: "gridcell", tabindex: -1 }, line);
        cell.setAttribute("aria-label", `${words}, accuracy ${accuracy[r][c]} %`);
        cell.style.setProperty("--sbt-diagram-ground", `${ground.toFixed(1)}%`);
        cell.place = [r, c];
        return cell;
      });
    });
    const line = element("div", { role: "row", class: "sbt-diagram-row" }, grid);
    for (const level of names) {
      element("span", {}, element("span", { role: "columnheader" }, line), level);
    }
    marks.setAttribute("viewBox", `0 0 ${names.length} ${slope.length}`);
    curves.setAttribute("d", over(separation, curveIn).join(""));
    border.setAttribute("d", regimeBorder(separation));
    const corner = (value, r, c) => (value > goodMatch ? `M${c + 1} ${r}v.28l-.28 -.28z` : "");
    misfits.setAttribute("d", over(residual, corner).join(""));
    label.textContent = diagram.label;
    const from = `${least.toFixed(1)} %${least > Math.min(...all) ? " or less" : ""}`;
    accuracies.textContent = `test accuracy, ${from} to ${best.toFixed(1)} %`;
    outline(null);
  }

  function frame(row, column) {
    chooseCell(grid, cells[place[0]]?.[place[1]], cells[row][column]);
    place = [row, column];
    for (const rect of [halo, chosen]) move(rect, place);
  }

  function outline(at) {
    pointed.style.display = at ? "" : "none";
    if (at) move(pointed, at);
  }

  walkCells(holder, {
    size: () => [cells.length, cells[0].length],
    onChoose: (row, column) => picture.onChoose(row, column),
    onPoint: (at) => picture.onPoint(at),
  });
  return picture;
}

/** Return f(value, row, column) of every cell. */
function over(values, f) {
  return values.flatMap((row, r) => row.map((value, c) => f(value, r, c)));
}

/** Return a load curve as a path within its cell, in units of cells. */
function curveIn(curve, row, column) {
  const last = curve.length - 1;
  const points = scaledCurve(curve).map((D, l) => {
    const [x, y] = [column + 0.12 + (0.76 * l) / last, row + 0.86 - 0.72 * D];
    return `${x.toFixed(3)} ${y.toFixed(3)}`;
  });
  return `M${points.join("L")}`;
}

function move(rect, [row, column]) {
  rect.setAttribute("x", column);
  rect.setAttribute("y", row);
}
