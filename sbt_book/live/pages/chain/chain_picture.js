/** A spring-block chain as a picture: a wall, springs, blocks on a rough table, a hand. */

import { element, svg } from "../shared/controls.js";

const HEIGHT_OF_CHAIN = 92;
const TABLE = 68;
const RAIL = 24; // where the drive reaches over the blocks

/** Append the picture; `draw` moves it. It fills the width that there is, at one scale. */
export function chainPicture(parent) {
  const holder = element("div", { class: "sbt-chain" }, parent);
  const picture = svg("svg", { role: "img", height: HEIGHT_OF_CHAIN }, holder);
  const table = svg("path", { class: "sbt-chain-table" }, picture);
  const springs = svg("path", { class: "sbt-chain-spring" }, picture);
  const last = svg("path", { class: "sbt-chain-spring sbt-chain-last" }, picture);
  const drive = svg("path", { class: "sbt-chain-drive" }, picture);
  const blocks = svg("g", {}, picture);
  const hand = svg("circle", { class: "sbt-chain-hand", cy: TABLE - 14, r: 9 }, picture);
  let latest, reach, width;
  const resized = new ResizeObserver(() => {
    width = undefined;
    if (latest) draw(...latest);
  });
  resized.observe(holder);

  function draw(chain, positions) {
    // Shaken hard, blocks overshoot the end: the scale leaves room for the furthest so far.
    reach = Math.max(chain === latest?.[0] ? reach : chain.end, ...positions);
    latest = [chain, positions];
    width ??= holder.clientWidth || 600; // asked for only anew: the browser lays the page out for it
    const count = positions.length;
    const size = Math.max(8, Math.min(26, width / (2.6 * (count + 1))));
    const [left, right] = [14, width - 16];
    // A load of zero leaves blocks side by side: their own widths are no part of it.
    const length = right - left - (count + 0.5) * size;
    const edge = (l) => left + (length * positions[l - 1]) / reach + (l - 1) * size;
    const held = left + (length * chain.end) / reach + (count + 0.5) * size;
    const middle = TABLE - size / 2;
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT_OF_CHAIN}`);
    const words = `A wall, ${count} blocks joined by springs on a table, and the end that is held`;
    const drawn = chain.drive ? ", which draws every block" : "";
    picture.setAttribute("aria-label", words + drawn);
    table.setAttribute("d", roughTable(left, width));
    let path = "";
    let rail = `M${held} ${middle}V${RAIL}H${edge(1) + size / 2}`;
    while (blocks.childElementCount > count) blocks.lastChild.remove();
    while (blocks.childElementCount < count) {
      const block = svg("g", {}, blocks);
      svg("rect", { rx: 3 }, block);
      svg("text", { "text-anchor": "middle" }, block, blocks.childElementCount);
    }
    for (let l = 1; l <= count; l++) {
      path += spring(l === 1 ? left : edge(l - 1) + size, edge(l), middle, size);
      const [rect, label] = blocks.children[l - 1].children;
      place(rect, { x: edge(l), y: TABLE - size, width: size, height: size });
      place(label, { x: edge(l) + size / 2, y: middle + 4 });
      rail += `M${edge(l) + size / 2} ${RAIL}V${TABLE - size}`;
      label.style.display = size < 16 ? "none" : "";
    }
    springs.setAttribute("d", path);
    drive.setAttribute("d", chain.drive ? rail : "");
    last.setAttribute("d", spring(edge(count) + size, held - 6, middle, size));
    place(hand, { cx: held, cy: middle });
  }

  return { draw };
}

/** Return a zigzag of ten teeth from one x to another. */
function spring(from, to, y, size) {
  const teeth = 10;
  const step = (to - from) / (teeth + 2);
  const rise = size * 0.28;
  let path = `M${from.toFixed(2)} ${y}`;
  for (let tooth = 1; tooth <= teeth + 1; tooth++) {
    const height = tooth > teeth ? y : y + (tooth % 2 ? -rise : rise);
    path += `L${(from + step * (tooth + (tooth > teeth ? 0 : 0.5))).toFixed(2)} ${height}`;
  }
  return `${path}L${to.toFixed(2)} ${y}`;
}

function roughTable(left, width) {
  let path = `M${left} ${TABLE - 44}V${TABLE}H${width}`;
  for (let x = left; x < width; x += 12) path += `M${x + 8} ${TABLE}l-7 9`;
  for (let y = TABLE - 40; y < TABLE; y += 11) path += `M${left} ${y}l-9 8`;
  return path;
}

function place(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}
