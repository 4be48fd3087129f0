/** A grid of grey cells to draw on: by mouse, by finger, and with the arrow keys and Space. */

import { element, svg } from "../shared/controls.js";

const PEN = 1.25; // cells from the middle of the pen to where its ink ends
const PEN_MOVES = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

/** Leave the ink of a pen that stands at (x, y), in cells, on a picture of side x side greys. */
export function inkAt(image, side, x, y) {
  const near = (middle) => [Math.max(Math.floor(middle - PEN), 0), Math.min(middle + PEN, side)];
  const [[left, right], [top, bottom]] = [near(x), near(y)];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const ink = PEN - Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const grey = Math.round(255 * Math.min(Math.max(ink, 0), 1));
      image[row * side + column] = Math.max(image[row * side + column], grey);
    }
  }
}

/** Leave the ink of a stroke from one point to another. */
export function inkAlong(image, side, [x0, y0], [x1, y1]) {
  const dots = Math.ceil(4 * Math.hypot(x1 - x0, y1 - y0)) || 1;
  for (let k = 1; k <= dots; k++) {
    inkAt(image, side, x0 + ((x1 - x0) * k) / dots, y0 + ((y1 - y0) * k) / dots);
  }
}

/** Append a pad. What it returns has the `image` (greys 0 to 255) and can `clear` it. */
export function drawingPad(parent, side) {
  const image = new Uint8Array(side * side);
  const grid = svg("svg", { viewBox: `0 0 ${side} ${side}`, class: "sbt-pad" }, parent);
  const words = "Pad to draw a digit on: draw with the pointer, or move with the arrow keys and ";
  grid.setAttribute("role", "grid");
  grid.setAttribute("aria-label", `${words}ink a cell with Space`);
  const cells = [];
  for (let row = 0; row < side; row++) {
    const line = svg("g", { role: "row" }, grid);
    for (let column = 0; column < side; column++) {
      const box = { x: column, y: row, width: 1, height: 1, role: "gridcell", tabindex: -1 };
      cells.push(svg("rect", box, line));
    }
  }
  let place = 0; // of the cell that the Tab key finds
  cells[0].setAttribute("tabindex", 0);

  function show() {
    cells.forEach((cell, k) => {
      const ink = (image[k] / 255).toFixed(2);
      if (cell.getAttribute("fill-opacity") === ink) return;
      cell.setAttribute("fill-opacity", ink);
      const at = `row ${Math.floor(k / side) + 1}, column ${(k % side) + 1}`;
      cell.setAttribute("aria-label", `${at}: ${image[k] ? "ink" : "empty"}`);
    });
  }

  let pen = null; // where the pointer that draws was last
  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = grid.getBoundingClientRect();
    return [((clientX - left) / width) * side, ((clientY - top) / height) * side];
  };
  grid.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    grid.setPointerCapture(event.pointerId);
    pen = at(event);
    inkAt(image, side, ...pen);
    show();
  });
  grid.addEventListener("pointermove", (event) => {
    if (!pen) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const next = at(each);
      inkAlong(image, side, pen, next);
      pen = next;
    }
    show();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    grid.addEventListener(end, () => (pen = null));
  }
  grid.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const move = PEN_MOVES[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    if (!move) image[place] = image[place] ? 0 : 255;
    else {
      const inside = (value) => Math.min(Math.max(value, 0), side - 1);
      cells[place].setAttribute("tabindex", -1);
      place = inside(Math.floor(place / side) + move[0]) * side + inside((place % side) + move[1]);
      cells[place].setAttribute("tabindex", 0);
      cells[place].focus({ preventScroll: true });
    }
    show();
  });
  show();
  return {
    image,
    clear() {
      image.fill(0);
      show();
    },
  };
}

/** Append a small picture of a drawing. */
export function smallPicture(parent, image, side) {
  const canvas = element("canvas", { width: side, height: side, "aria-hidden": "true" }, parent);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(side, side);
  image.forEach((grey, k) => pixels.data.set([255 - grey, 255 - grey, 255 - grey, 255], 4 * k));
  context.putImageData(pixels, 0, 0);
}
