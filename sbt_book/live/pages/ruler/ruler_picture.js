/** A folding ruler on a table, seen from above: wooden sections, the pin, the hand as a ring. */

import { element, svg } from "../shared/controls.js";

const RING = 11; // radius, px
const TOUCH = 26; // radius of what takes the pointer, px
const LONGEST_TRACE = 600;

/** Append the picture; `draw` moves it, `toMetres` reads a pointer, `handle` is the hand. */
export function rulerPicture(parent) {
  const holder = element("div", { class: "sbt-ruler" }, parent);
  const picture = svg("svg", { class: "sbt-ruler-table" }, holder);
  const scaleBar = svg("g", { class: "sbt-ruler-scale" }, picture);
  const scaleLine = svg("path", {}, scaleBar);
  const scaleText = svg("text", { "text-anchor": "end" }, scaleBar);
  const shadow = svg("path", { class: "sbt-ruler-ghost" }, picture);
  const trace = svg("path", { class: "sbt-ruler-trace" }, picture);
  const bars = svg("g", {}, picture);
  const pin = svg("g", { class: "sbt-ruler-pin" }, picture);
  svg("circle", { r: 6 }, pin);
  svg("circle", { r: 2, class: "sbt-ruler-eye" }, pin);
  const pinText = svg("text", { y: 24, "text-anchor": "middle" }, pin, "pin");
  const arrow = svg("path", { class: "sbt-ruler-arrow", d: "M24 0h42m-11 -8l11 8l-11 8" }, picture);
  const handle = svg("g", { class: "sbt-ruler-hand", tabindex: 0, role: "slider" }, picture);
  svg("circle", { r: TOUCH, class: "sbt-ruler-touch" }, handle);
  svg("circle", { r: RING, class: "sbt-ruler-ring" }, handle);
  const view = { scale: 1, left: 0, middle: 0, width: 0, height: 0 };
  let shape = "";
  let way = [];
  let wayShown = "";
  let latest;
  let ghostPoints = [];
  new ResizeObserver(() => latest && draw(...latest)).observe(holder);

  /** Fit the view to the ruler and to the width that there is; build its sections anew. */
  function fit(ruler, width) {
    const { sections, section_length: section } = ruler;
    const full = sections * section;
    view.width = width;
    view.height = Math.round(width * (width < 480 ? 0.52 : 0.36));
    view.scale = Math.min((0.9 * width) / full, view.height / (2.6 * section));
    view.left = 0.055 * width;
    view.middle = view.height / 2 + 0.5 * section * view.scale;
    picture.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
    picture.setAttribute("height", view.height);
    const long = section * view.scale;
    const half = Math.min(Math.max(0.055 * long, 1.8), 5);
    bars.replaceChildren();
    for (let k = 0; k < sections; k++) {
      const bar = svg("g", {}, bars);
      const size = { x: -half, y: -half, width: long + 2 * half, height: 2 * half, rx: half };
      svg("rect", { class: "sbt-ruler-wood", ...size }, bar);
      svg("path", { class: "sbt-ruler-ticks", d: rulerTicks(long, half) }, bar);
      svg("circle", { class: "sbt-ruler-rivet", r: 0.42 * half }, bar);
      svg("circle", { class: "sbt-ruler-rivet", cx: long, r: 0.42 * half }, bar);
    }
    pinText.style.display = width < 480 ? "none" : "";
    pin.setAttribute("transform", `translate(${view.left} ${view.middle})`);
    const [x, y] = [view.width - 12, view.height - 12];
    scaleLine.setAttribute("d", `M${x - long} ${y - 4}v4H${x}v-4`);
    scaleText.textContent = `${Math.round(100 * section)} cm`;
    scaleText.setAttribute("x", x);
    scaleText.setAttribute("y", y - 8);
    wayShown = "";
    for (const [px, py] of way) wayShown += corner(px, py);
    drawGhost();
  }

  const corner = (x, y) => {
    const [px, py] = toPixels(x, y);
    return `${wayShown ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
  };
  const toPixels = (x, y) => [view.left + view.scale * x, view.middle - view.scale * y];

  /** Show a shape to hit, the ends of its sections as in `draw`; none if they are empty. */
  function ghost(points) {
    ghostPoints = points;
    drawGhost();
  }
  function drawGhost() {
    let path = "";
    for (let k = 0; k < ghostPoints.length; k += 2) {
      const [px, py] = toPixels(ghostPoints[k], ghostPoints[k + 1]);
      path += `${path ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
    }
    shadow.setAttribute("d", path);
  }

  /**
   * Show the ends of the sections (x, y in turn, in m); `fresh` forgets the hand's way.
   */
  function draw(ruler, points, fresh = false, words = "") {
    latest = [ruler, points, false, words];
    const width = Math.round(holder.clientWidth) || 640;
    const now = `${ruler.sections} ${ruler.section_length} ${width}`;
    const last = points.length - 2;
    const [x, y] = [points[last], points[last + 1]];
    if (fresh) [way, wayShown] = [[], ""];
    if (shape !== now) {
      shape = now;
      fit(ruler, width);
    }
    const before = way.at(-1);
    if (!before || Math.hypot(x - before[0], y - before[1]) * view.scale > 1.5) {
      if (way.length >= LONGEST_TRACE) {
        way.shift();
        wayShown = wayShown.slice(wayShown.indexOf("L", 1)).replace("L", "M");
      }
      wayShown += corner(x, y);
      way.push([x, y]);
    }
    trace.setAttribute("d", wayShown);
    for (let k = 0; k < ruler.sections; k++) {
      const [px, py] = toPixels(points[2 * k], points[2 * k + 1]);
      const dx = points[2 * k + 2] - points[2 * k],
        dy = points[2 * k + 3] - points[2 * k + 1];
      const turn = (-Math.atan2(dy, dx) * 180) / Math.PI;
      const place = `translate(${px.toFixed(2)} ${py.toFixed(2)}) rotate(${turn.toFixed(3)})`;
      bars.children[k].setAttribute("transform", place);
    }
    const [px, py] = toPixels(x, y);
    const place = `translate(${px.toFixed(2)} ${py.toFixed(2)})`;
    handle.setAttribute("transform", place);
    arrow.setAttribute("transform", place);
    handle.setAttribute("aria-valuetext", words);
  }

  /** Return a place moved into the picture, in m. */
  function inside(x, y) {
    const [right, top] = [view.width - RING - view.left, view.middle - RING];
    const [left, bottom] = [RING - view.left, view.middle + RING - view.height];
    return [
      Math.min(Math.max(x, left / view.scale), right / view.scale),
      Math.min(Math.max(y, bottom / view.scale), top / view.scale),
    ];
  }

  /** Return where on the table a pointer is, in m. */
  function toMetres(event) {
    const box = picture.getBoundingClientRect();
    const zoom = view.width / box.width;
    const px = (event.clientX - box.left) * zoom,
      py = (event.clientY - box.top) * zoom;
    return [(px - view.left) / view.scale, (view.middle - py) / view.scale];
  }

  return { handle, arrow, draw, ghost, inside, toMetres };
}

/** Return the marks of a section: a tenth of it each where there is room, else its half. */
function rulerTicks(long, half) {
  let path = "";
  for (let tenth = 1; tenth < 10; tenth++) {
    if (long < 45 && tenth !== 5) continue;
    const reach = tenth === 5 ? 1.1 : 0.7;
    path += `M${((long * tenth) / 10).toFixed(2)} ${-half + 0.5}v${(reach * half).toFixed(2)}`;
  }
  return path;
}
