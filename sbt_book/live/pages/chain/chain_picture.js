/** A spring-block chain as a picture: a wall, springs, blocks on a rough table, a hand. */

import { element, svg } from "../shared/controls.js";

const HEIGHT_OF_CHAIN = 92;
const TABLE = 68;
const RAIL = 24; // where the drive reaches over the blocks

/**
 * Append the picture; `draw` moves it. It fills the width that there is, at one scale.
 *
 * `onBlock(l)`, if given, hears which block the reader points at, the nearest of 1..L.
 */
export function chainPicture(parent, onBlock) {
  const holder = element("div", { class: "sbt-chain" }, parent);
  const picture = svg("svg", { role: "img", height: HEIGHT_OF_CHAIN }, holder);
  const table = svg("path", { class: "sbt-chain-table" }, picture);
  const springs = svg("path", { class: "sbt-chain-spring" }, picture);
  const last = svg("path", { class: "sbt-chain-spring sbt-chain-last" }, picture);
  const drive = svg("path", { class: "sbt-chain-drive" }, picture);
  const blocks = svg("g", {}, picture);
  const hand = svg("circle", { class: "sbt-chain-hand", cy: TABLE - 14, r: 9 }, picture);
  let latest, reach, width;
  let middles = [];
  const resized = new ResizeObserver(() => {
    width = undefined;
    if (latest) draw(...latest);
  });
  resized.observe(holder);
  if (onBlock) {
    picture.classList.add("sbt-chain-taps");
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      const x = ((event.clientX - box.left) * width) / box.width;
      const off = middles.map((middle) => Math.abs(middle - x));
      onBlock(1 + off.indexOf(Math.min(...off)));
    });
  }

  /**
   * Show the blocks. `free` chains hang from the hand alone, over a table that has moved on by
   * `travel`; `marked` is a block, `slipping(l)` tells which ones slip.
   */
  function draw(chain, positions, { free = false, travel = 0, marked, slipping } = {}) {
    // Shaken hard, blocks overshoot the end: the scale leaves room for the furthest so far.
    reach = Math.max(chain === latest?.[0] ? reach : chain.end, ...positions);
    latest = [chain, positions, { free, travel, marked, slipping }];
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
    const words = `${count} blocks joined by springs on a table, and the end that is held`;
    const drawn = chain.drive ? ", which draws every block" : "";
    picture.setAttribute("aria-label", (free ? "" : "A wall, ") + words + drawn);
    const moved = (length * travel) / reach;
    table.setAttribute("d", roughTable(left, width, moved) + (free ? "" : roughWall(left)));
    let path = "";
    middles = [];
    let rail = `M${held} ${middle}V${RAIL}H${edge(1) + size / 2}`;
    while (blocks.childElementCount > count) blocks.lastChild.remove();
    while (blocks.childElementCount < count) {
      const block = svg("g", {}, blocks);
      svg("rect", { rx: 3 }, block);
      svg("text", { "text-anchor": "middle" }, block, blocks.childElementCount);
    }
    for (let l = 1; l <= count; l++) {
      if (l > 1) path += spring(edge(l - 1) + size, edge(l), middle, size);
      else if (!free) path += spring(left, edge(l), middle, size);
      middles.push(edge(l) + size / 2);
      const [rect, label] = blocks.children[l - 1].children;
      place(rect, { x: edge(l), y: TABLE - size, width: size, height: size });
      place(label, { x: edge(l) + size / 2, y: middle + 4 });
      rail += `M${edge(l) + size / 2} ${RAIL}V${TABLE - size}`;
      label.style.display = size < 16 ? "none" : "";
      rect.classList.toggle("sbt-chain-marked", l === marked);
      rect.classList.toggle("sbt-chain-slips", slipping?.(l) ?? false);
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

/** Return a table whose marks have moved to the left by `moved`. */
function roughTable(left, width, moved) {
  let path = `M${left} ${TABLE}H${width}`;
  for (let x = left - (moved % 12); x < width - 8; x += 12) {
    if (x + 1 >= left) path += `M${(x + 8).toFixed(2)} ${TABLE}l-7 9`;
  }
  return path;
}

function roughWall(left) {
  let path = `M${left} ${TABLE - 44}V${TABLE}`;
  for (let y = TABLE - 40; y < TABLE; y += 11) path += `M${left} ${y}l-9 8`;
  return path;
}

function place(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}
