/** A small chart: the loss of a model without a run of blocks, over the first block of the run. */

import { element, svg } from "../shared/controls.js";

const LOSS_SIZE = { width: 400, height: 210, left: 40, right: 10, top: 12, bottom: 40 };

/** Append the chart; `draw` shows the losses of all runs of one length, and marks a start. */
export function lossChart(parent, loss) {
  const { width, height, left, right, top, bottom } = LOSS_SIZE;
  const figure = element("figure", { class: "sbt-chart" }, parent);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" }, figure);
  const axes = svg("g", { class: "sbt-axes" }, picture);
  const level = svg("path", { class: "sbt-curve sbt-theory" }, picture);
  const curve = svg("path", { class: "sbt-curve sbt-other sbt-language-loss" }, picture);
  const dot = svg("circle", { class: "sbt-language-dot", r: 6 }, picture);
  const legend = element("figcaption", { class: "sbt-legend" }, figure);
  for (const [kind, name] of [
    ["theory", "whole model"],
    ["other sbt-language-loss", "without"],
  ]) {
    const item = element("span", {}, legend);
    const swatch = svg("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, item);
    svg("path", { class: `sbt-curve sbt-${kind}`, d: "M1 4H25" }, swatch);
    item.append(name);
  }
  const starts = loss.without[0].length;
  const most = Math.ceil(Math.max(...loss.without.flat().filter(Number.isFinite)));
  const least = Math.floor(loss.whole);
  const x = (start) => left + ((width - left - right) * (start - 1)) / (starts - 1);
  const y = (value) => top + ((height - top - bottom) * (most - value)) / (most - least);
  for (let value = least; value <= most; value += most - least > 5 ? 2 : 1) {
    svg("path", { d: `M${left} ${y(value)}H${width - right}` }, axes);
    svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, axes, value);
  }
  for (let start = 5; start <= starts; start += 5) {
    svg("text", { x: x(start), y: height - bottom + 17, "text-anchor": "middle" }, axes, start);
  }
  const middle = (left + width - right) / 2;
  const below = { x: middle, y: height - 5, "text-anchor": "middle" };
  svg("text", below, picture, "first block that is left out");
  const turned = `translate(12 ${(top + height - bottom) / 2}) rotate(-90)`;
  svg("text", { transform: turned, "text-anchor": "middle" }, picture, "loss (nats per token)");
  level.setAttribute("d", `M${left} ${y(loss.whole)}H${width - right}`);

  function draw(start, length, words) {
    const values = length ? loss.without[length - 1].filter(Number.isFinite) : [];
    const line = values.map((value, place) => `${place ? "L" : "M"}${x(place + 1)} ${y(value)}`);
    curve.setAttribute("d", line.join(""));
    dot.style.display = length ? "" : "none";
    dot.setAttribute("cx", x(start));
    dot.setAttribute("cy", y(length ? values[start - 1] : loss.whole));
    picture.setAttribute("aria-label", words);
  }

  return { draw };
}
