/** A sentence on its way through a language model: a column for each token, a row for each block. */

import { element, svg } from "../shared/controls.js";
import { chooseCell, walkCells } from "../shared/cell_walk.js";
import { cellWords, decidedAt, runName } from "./language_words.js";

const RANKS = [1, 10, 100, 1000, Infinity]; // the shades of the cells: up to these ranks
const RANK_NAMES = ["1", "2 to 10", "11 to 100", "101 to 1,000", "beyond"];

/** Return the shade of a rank, 0 for the darkest. */
export function shadeOf(rank) {
  return RANKS.findIndex((limit) => rank <= limit);
}

/** Return where each token is decided as a stepped line, in units of cells. */
export function decidedLine(rank) {
  const depths = rank[0].map((_, token) => decidedAt(rank.map((row) => row[token])));
  return depths.map((depth, token) => `${token ? "V" : "M0 "}${depth}H${token + 1}`).join("");
}

/**
 * Append the grid, and the load curve beside it with its depths beside the rows. `show` takes a
 * sentence; `frame` marks the chosen cell; `remove` strikes blocks out and shows what the model
 * says without them. The reader's choice is heard by `onChoose(depth, token)`, what the pointer is
 * over by `onPoint(place or null)`.
 */
export function sentencePicture(parent, words, separation) {
  const figure = element("figure", { class: "sbt-language" }, parent);
  const legend = element("figcaption", { class: "sbt-legend" }, figure);
  element("span", {}, legend, "Rank of the final word:");
  RANK_NAMES.forEach((name, shade) => {
    const item = element("span", {}, legend);
    const swatch = `sbt-language-swatch sbt-language-shade-${shade}`;
    element("i", { class: swatch, "aria-hidden": true }, item);
    item.append(name);
  });
  const decided = element("span", {}, legend);
  element("i", { class: "sbt-language-swatch sbt-language-line", "aria-hidden": true }, decided);
  decided.append("from here on 1");
  const grid = element("div", { role: "grid", class: "sbt-language-grid" }, figure);
  const strip = loadStrip(figure, separation);
  let cells = [];
  let rows = [];
  let sentence, place, marks, ends;
  const picture = { show, frame, outline, remove, onChoose: () => {}, onPoint: () => {} };

  function show(next, name) {
    sentence = next;
    place = null;
    grid.replaceChildren();
    grid.setAttribute("aria-label", `${name}: the arrow keys choose a token and a block`);
    figure.style.setProperty("--sbt-language-columns", sentence.tokens.length);
    rowOf("columnheader", sentence.tokens, "sbt-language-tokens", "block");
    const body = element("div", { role: "rowgroup", class: "sbt-language-body" }, grid);
    rows = sentence.rank.map((ranks, depth) => {
      const row = element("div", { role: "row", class: "sbt-language-row" }, body);
      element("span", { role: "rowheader", "aria-label": `block ${depth}` }, row, depth);
      return row;
    });
    cells = rows.map((row, depth) =>
      sentence.rank[depth].map((rank, token) => {
        const style = `sbt-language-shade-${shadeOf(rank)}`;
        const cell = element("div", { role: "gridcell", tabindex: -1, class: style }, row);
        element("span", {}, cell, words[sentence.top[depth][token]]);
        cell.setAttribute("aria-label", cellWords(sentence, words, depth, token));
        cell.place = [depth, token];
        return cell;
      }),
    );
    const sizes = { viewBox: `0 0 ${sentence.tokens.length} ${rows.length}` };
    const overlay = { class: "sbt-language-marks", preserveAspectRatio: "none", ...sizes };
    marks = svg("svg", { ...overlay, "aria-hidden": true }, body);
    for (const each of ["halo", "decided"]) {
      svg("path", { class: `sbt-language-${each}`, d: decidedLine(sentence.rank) }, marks);
    }
    const square = (name) => ({ class: `sbt-language-${name}`, width: 1, height: 1 });
    marks.pointed = svg("rect", square("pointed"), marks);
    marks.edge = svg("rect", square("edge"), marks);
    marks.chosen = svg("rect", square("chosen"), marks);
    const last = sentence.top.at(-1).map((word) => words[word]);
    rowOf("gridcell", last, "sbt-language-tokens", "The model says");
    ends = rowOf("gridcell", last, "sbt-language-tokens", "");
    outline(null);
  }

  function rowOf(role, texts, style, name) {
    const row = element("div", { role: "row", class: `sbt-language-row ${style}` }, grid);
    element("span", { role: "rowheader" }, row, name);
    for (const text of texts) element("span", {}, element("span", { role }, row), text);
    return row;
  }

  function frame(depth, token) {
    chooseCell(grid, place && cells[place[0]][place[1]], cells[depth][token]);
    place = [depth, token];
    for (const rect of [marks.edge, marks.chosen]) moveTo(rect, place);
  }

  function outline(at) {
    marks.pointed.style.display = at ? "" : "none";
    if (at) moveTo(marks.pointed, at);
  }

  function remove(start, length) {
    const gone = (depth) => depth >= start && depth < start + length;
    rows.forEach((row, depth) => {
      row.classList.toggle("sbt-language-gone", gone(depth));
      const name = gone(depth) ? `block ${depth}, left out` : `block ${depth}`;
      row.firstChild.setAttribute("aria-label", name);
    });
    strip.remove(start, length);
    const last = sentence.top.at(-1);
    const now = length ? sentence.without[length - 1][start - 1] : last;
    ends.firstChild.textContent = length ? `Without ${runName(start, length)} it says` : "";
    ends.classList.toggle("sbt-language-nothing", !length);
    now.forEach((word, token) => {
      const cell = ends.children[token + 1];
      cell.firstChild.textContent = words[word];
      cell.classList.toggle("sbt-language-changed", word !== last[token]);
    });
  }

  walkCells(grid, {
    size: () => [cells.length, cells[0].length],
    onChoose: (...at) => picture.onChoose(...at),
    onPoint: (at) => picture.onPoint(at),
  });
  return picture;
}

/** Append the load curve, turned by a right angle: depth goes down, as in the grid. */
function loadStrip(parent, separation) {
  const holder = element("div", { class: "sbt-language-strip" }, parent);
  element("p", {}, holder, "load curve");
  const last = separation.length - 1;
  const [least, most] = [Math.min(...separation), Math.max(...separation)];
  const x = (D) => 8 + (84 * (D - least)) / (most - least || 1);
  const overlay = { viewBox: `0 0 100 ${last + 1}`, preserveAspectRatio: "none", role: "img" };
  const picture = svg("svg", overlay, holder);
  const range = `from D = ${separation[0].toFixed(2)} to ${separation[last].toFixed(2)}`;
  picture.setAttribute("aria-label", `Load curve of the whole model, ${range}`);
  const out = svg("rect", { class: "sbt-language-out", x: 0, width: 100 }, picture);
  const points = separation.map((D, l) => `${x(D).toFixed(2)} ${l + 0.5}`);
  svg("path", { class: "sbt-chord", d: `M${points[0]}L${points[last]}` }, picture);
  svg("path", { class: "sbt-curve sbt-own", d: `M${points.join("L")}` }, picture);
  const scale = element("p", {}, holder);
  for (const D of [least, most]) element("span", {}, scale, D.toFixed(1).replace("-", "−"));
  element("p", {}, holder, "D");
  return {
    remove(start, length) {
      out.setAttribute("y", start);
      out.setAttribute("height", length);
    },
  };
}

function moveTo(rect, [row, column]) {
  rect.setAttribute("x", column);
  rect.setAttribute("y", row);
}
