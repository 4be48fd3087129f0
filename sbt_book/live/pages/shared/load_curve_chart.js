/** A chart of load curves in SVG: cheap enough to be redrawn in every frame. */

import { element, svg } from "./controls.js";

const WIDTH = 400;
const MARGIN = { left: 52, right: 12, top: 12, bottom: 42 };

/**
 * Append a chart; `draw` shows curves, and the chord of the first as a thin line.
 *
 * A curve is {name, kind, values, low, high}: `values` D_0..D_L, the band `low` to `high` optional;
 * its kind is "own", "other", "theory" or "ghost" and decides how it is drawn. Curves with a name
 * have their place in the legend. Without a `range` of D the chart fits itself to its curves.
 */
export function loadCurveChart(
  parent,
  { xlabel = "layer l", ylabel = "data separation D", height = 270 },
) {
  const figure = element("figure", { class: "sbt-chart" }, parent);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img" }, figure);
  picture.setAttribute("aria-label", "A chart without load curves yet");
  const axes = svg("g", { class: "sbt-axes" }, picture);
  const marks = svg("g", {}, picture);
  const legend = element("figcaption", { class: "sbt-legend" }, figure);
  const middle = (MARGIN.left + WIDTH - MARGIN.right) / 2;
  const centre = (MARGIN.top + height - MARGIN.bottom) / 2;
  svg("text", { x: middle, y: height - 6, "text-anchor": "middle" }, picture, xlabel);
  const turned = { transform: `translate(13 ${centre}) rotate(-90)`, "text-anchor": "middle" };
  svg("text", turned, picture, ylabel);
  let frame = "";
  let names = "";

  function draw(curves, { range, words } = {}) {
    const last = curves[0].values.length - 1;
    const [low, high] = range ?? span(curves);
    const x = (l) => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * l) / last;
    const y = (D) =>
      height - MARGIN.bottom - ((height - MARGIN.top - MARGIN.bottom) * (D - low)) / (high - low);
    if (frame !== (frame = `${last} ${low} ${high}`)) drawAxes(axes, x, y, last, low, high);
    const line = (values) => values.map((D, l) => `${l ? "L" : "M"}${at(x(l))} ${at(y(D))}`);
    const shapes = [];
    const own = curves[0].values;
    shapes.push(["sbt-chord", `M${x(0)} ${at(y(own[0]))}L${x(last)} ${at(y(own[last]))}`]);
    for (const { kind, values, low: lower, high: upper } of [...curves].reverse()) {
      if (lower) {
        const back = upper.map((D, l) => `L${at(x(l))} ${at(y(D))}`).reverse();
        shapes.push([`sbt-band sbt-${kind}`, [...line(lower), ...back, "Z"].join("")]);
      }
      shapes.push([`sbt-curve sbt-${kind}`, line(values).join("")]);
      if (kind === "own") {
        const dots = values.map((D, l) => `M${at(x(l))} ${at(y(D))}h0`);
        shapes.push(["sbt-dots", dots.join("")]);
      }
    }
    while (marks.childElementCount > shapes.length) marks.lastChild.remove();
    while (marks.childElementCount < shapes.length) svg("path", {}, marks);
    shapes.forEach(([style, path], place) => {
      marks.children[place].setAttribute("class", style);
      marks.children[place].setAttribute("d", path);
    });
    const named = curves.filter(({ name }) => name);
    if (names !== (names = named.map(({ name, kind }) => name + kind).join())) {
      legend.replaceChildren();
      for (const { name, kind } of named) {
        const item = element("span", {}, legend);
        const swatch = svg("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, item);
        svg("path", { class: `sbt-curve sbt-${kind}`, d: "M1 4H25" }, swatch);
        if (kind === "own") svg("path", { class: "sbt-dots", d: "M13 4h0" }, swatch);
        item.append(name);
      }
    }
    picture.setAttribute("aria-label", words ?? "Load curve");
  }

  return { figure, draw };
}

function drawAxes(axes, x, y, last, low, high) {
  axes.replaceChildren();
  const [left, bottom] = [x(0), y(low)];
  for (const D of ticks(low, high)) {
    svg("path", { d: `M${left} ${at(y(D))}H${x(last)}` }, axes);
    const label = { x: left - 6, y: at(y(D) + 4), "text-anchor": "end" };
    svg("text", label, axes, String(D).replace("-", "−"));
  }
  const every = last > 12 ? 4 : 1;
  for (let l = 0; l <= last; l += every) {
    svg("text", { x: at(x(l)), y: bottom + 17, "text-anchor": "middle" }, axes, l);
  }
}

/** Return about five round numbers between two. */
function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= 0.8 * rough) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) {
    found.push(Number((k * step).toPrecision(6)));
  }
  return found;
}

/** Return a range of D that holds all curves, in steps that keep the axes from trembling. */
function span(curves) {
  const all = curves.flatMap(({ values, low, high }) => [
    ...values,
    ...(low ?? []),
    ...(high ?? []),
  ]);
  const known = all.filter(Number.isFinite);
  const least = Math.min(...known);
  const most = Math.max(...known, least + 0.1);
  const step = most - least > 4 ? 1 : 0.5;
  return [step * Math.floor(least / step), step * Math.ceil(most / step)];
}

function at(number) {
  return Math.round(100 * number) / 100;
}
