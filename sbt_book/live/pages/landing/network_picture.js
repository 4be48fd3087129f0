/** A network as a picture: its layers as columns, as far apart as their loads, like a chain's blocks. */

import { svg } from "../shared/controls.js";

const HEIGHT_OF_NETWORK = 92;
const UNITS = 4; // that stand for those of a layer
const [UPPERMOST, LOWERMOST] = [10, 66];
// A handwritten 3 in pixels: what the network is shown.
const DIGIT = ["1110", "0001", "0001", "0110", "0001", "0001", "1110"];

/**
 * Append the picture; `draw` moves it. Between its margins it has the scale of `chainPicture`: a
 * layer stands where a block stands that has come as far.
 */
export function networkPicture(parent) {
  const picture = svg("svg", { role: "img", height: HEIGHT_OF_NETWORK }, parent);
  const digit = svg("path", { class: "sbt-network-digit" }, picture);
  const edges = svg("path", { class: "sbt-network-edges" }, picture);
  const output = svg("path", { class: "sbt-network-edges sbt-network-output" }, picture);
  const layers = svg("g", { class: "sbt-network-layers" }, picture);
  const named = svg("text", {}, picture, "3");
  let latest, width;
  const resized = new ResizeObserver(() => {
    width = undefined;
    if (latest) draw(...latest);
  });
  resized.observe(parent);

  /** Draw layers at positions from 0, that of the input, to those of a chain held at `end`. */
  function draw(positions, end) {
    latest = [positions, end];
    width ??= parent.clientWidth || 600;
    const count = positions.length;
    const size = Math.max(8, Math.min(26, width / (2.6 * (count + 1))));
    const [left, right] = [14, width - 16];
    const length = right - left - (count + 0.5) * size;
    const edge = (l) => left + (length * positions[l - 1]) / end + (l - 1) * size;
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT_OF_NETWORK}`);
    const words = `A picture of a digit, ${count} layers of units, and the digit’s name`;
    picture.setAttribute("aria-label", words);
    while (layers.childElementCount < count) {
      const layer = svg("g", {}, layers);
      svg("rect", { rx: 3, y: UPPERMOST - 8, height: LOWERMOST - UPPERMOST + 16 }, layer);
      for (let unit = 0; unit < UNITS; unit++) svg("circle", { cy: heightOf(unit) }, layer);
      svg("text", { "text-anchor": "middle", y: LOWERMOST + 23 }, layer, layers.childElementCount);
    }
    let path = "";
    for (let l = 1; l <= count; l++) {
      const [rect, ...rest] = layers.children[l - 1].children;
      rect.setAttribute("x", edge(l));
      rect.setAttribute("width", size);
      for (const each of rest) {
        each.setAttribute(each.tagName === "circle" ? "cx" : "x", edge(l) + size / 2);
        each.setAttribute("r", Math.min(4, size / 4));
      }
      path += l === 1 ? fan(left, edge(1)) : between(edge(l - 1) + size, edge(l));
    }
    edges.setAttribute("d", path);
    output.setAttribute("d", fan(right - 8, edge(count) + size));
    digit.setAttribute("d", pixels(left - 13));
    named.setAttribute("x", right - 4);
    named.setAttribute("y", (UPPERMOST + LOWERMOST) / 2 + 8);
  }

  return { draw };
}

function heightOf(unit) {
  return UPPERMOST + ((LOWERMOST - UPPERMOST) * unit) / (UNITS - 1);
}

/** Return lines from every unit of a layer to every unit of the next. */
function between(from, to) {
  let path = "";
  for (let one = 0; one < UNITS; one++) {
    for (let other = 0; other < UNITS; other++) {
      path += `M${from.toFixed(2)} ${heightOf(one)}L${to.toFixed(2)} ${heightOf(other)}`;
    }
  }
  return path;
}

/** Return lines from one point to every unit of a layer. */
function fan(from, to) {
  let path = "";
  for (let unit = 0; unit < UNITS; unit++) {
    path += `M${from.toFixed(2)} ${(UPPERMOST + LOWERMOST) / 2}L${to.toFixed(2)} ${heightOf(unit)}`;
  }
  return path;
}

/** Return the digit as squares from an x on. */
function pixels(left) {
  const side = 3;
  const top = (UPPERMOST + LOWERMOST - side * DIGIT.length) / 2;
  let path = "";
  DIGIT.forEach((line, row) =>
    [...line].forEach((pixel, column) => {
      if (pixel === "1") path += `M${left + side * column} ${top + side * row}h3v3h-3z`;
    }),
  );
  return path;
}
