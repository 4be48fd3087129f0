/** A histogram of slip sizes with logarithmic axes, and the power law fitted to it. */

import { element, svg } from "../shared/controls.js";
import { fitSlips, slipBins, slipWords } from "./slip_sizes.js";

const SLIP_CHART = { width: 400, height: 270, left: 52, right: 12, top: 12, bottom: 42 };
const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴" };
Object.assign(SUPERSCRIPTS, { 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" });

/** Append the chart; `draw` shows sizes. */
export function slipHistogram(parent) {
  const { width, height, left, right, top, bottom } = SLIP_CHART;
  const figure = element("figure", { class: "sbt-chart sbt-slips" }, parent);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" }, figure);
  const axes = svg("g", { class: "sbt-axes" }, picture);
  const bars = svg("path", { class: "sbt-slip-bars" }, picture);
  const law = svg("path", { class: "sbt-curve sbt-other" }, picture);
  const middle = { "text-anchor": "middle" };
  const names = svg("g", {}, picture);
  svg("text", { x: (left + width - right) / 2, y: height - 6, ...middle }, names, "size of a slip");
  const turned = `translate(13 ${(top + height - bottom) / 2}) rotate(-90)`;
  svg("text", { transform: turned, ...middle }, names, "share per unit of size");
  const legend = element("figcaption", { class: "sbt-legend" }, figure);
  let frame = "";

  function draw(sizes) {
    const fit = fitSlips(sizes);
    const words = slipWords(sizes, fit);
    const bins = slipBins(sizes);
    const [low, high] = decadesOf(
      bins.flatMap((bin) => [bin.low, bin.high]),
      [-3, 1],
    );
    const [least, most] = decadesOf(
      bins.map(({ density }) => density),
      [-3, 2],
    );
    const x = (size) => alongAxis(left, width - right, (Math.log10(size) - low) / (high - low));
    const y = (density) =>
      alongAxis(height - bottom, top, Math.max(Math.log10(density) - least, 0) / (most - least));
    if (frame !== (frame = [low, high, least, most].join())) {
      axes.replaceChildren();
      for (let power = low; power <= high; power++) {
        const mark = { x: x(10 ** power), y: height - bottom + 17, ...middle };
        svg("text", mark, axes, powerOfTen(power));
      }
      for (let power = least; power <= most; power++) {
        svg("path", { d: `M${left} ${y(10 ** power)}H${width - right}` }, axes);
        if ((power - least) % 2) continue;
        const mark = { x: left - 6, y: y(10 ** power) + 4, "text-anchor": "end" };
        svg("text", mark, axes, powerOfTen(power));
      }
    }
    const foot = height - bottom;
    const bar = (bin) => `M${x(bin.low)} ${foot}V${y(bin.density)}H${x(bin.high)}V${foot}Z`;
    bars.setAttribute("d", bins.map(bar).join(""));
    law.setAttribute("d", fit ? lawPath(fit, sizes, x, y) : "");
    legend.textContent = fit ? "Dashed: the power law that fits best" : "";
    picture.setAttribute("aria-label", `Histogram of slip sizes. ${words}`);
    return words;
  }

  draw([]);
  return { figure, draw };
}

/** Return the path of a fitted law over the sizes that it was fitted to. */
function lawPath({ exponent, smallest, count }, sizes, x, y) {
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const share = count / sizes.length;
  const density = (size) => (share * (exponent - 1) * (size / smallest) ** -exponent) / smallest;
  const ends = [smallest, largest];
  return ends.map((size, n) => `${n ? "L" : "M"}${x(size)} ${y(density(size))}`).join("");
}

/** Return whole powers of ten around positive numbers, and around a range that always shows. */
function decadesOf(numbers, [low, high]) {
  const powers = numbers.map(Math.log10);
  return [Math.floor(Math.min(low, ...powers) + 1e-9), Math.ceil(Math.max(high, ...powers) - 1e-9)];
}

function powerOfTen(power) {
  return `10${String(power).replace(/./g, (digit) => SUPERSCRIPTS[digit])}`;
}

function alongAxis(from, to, share) {
  return Math.round(100 * (from + (to - from) * share)) / 100;
}
