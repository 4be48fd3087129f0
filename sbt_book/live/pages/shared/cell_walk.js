/** How a reader goes about a grid of cells: by pointer, by finger, and with the arrow keys. */

const CELL_MOVES = {
  ArrowLeft: ([row, column]) => [row, column - 1],
  ArrowRight: ([row, column]) => [row, column + 1],
  ArrowUp: ([row, column]) => [row - 1, column],
  ArrowDown: ([row, column]) => [row + 1, column],
  Home: ([row]) => [row, 0],
  End: ([row]) => [row, Infinity],
  PageUp: ([, column]) => [0, column],
  PageDown: ([, column]) => [Infinity, column],
};

/**
 * Let a reader choose cells, elements with a `place`, [row, column]. `size()` tells the number of
 * rows and of columns; `onChoose(row, column)` hears of choices, and `onPoint(place or null)` of
 * what a mouse is over.
 */
export function walkCells(grid, { size, onChoose, onPoint }) {
  const under = (event) => event.target.closest("[role=gridcell]")?.place;
  grid.addEventListener("click", (event) => under(event) && onChoose(...under(event)));
  // A finger that slides over the cells chooses them; without this its events go to the first.
  grid.addEventListener("pointerdown", ({ target, pointerId }) => {
    if (target.hasPointerCapture(pointerId)) target.releasePointerCapture(pointerId);
  });
  grid.addEventListener("pointerover", (event) => {
    const at = under(event);
    if (!at) return onPoint(null);
    if (event.pointerType === "mouse") onPoint(at);
    else if (event.buttons) onChoose(...at);
  });
  grid.addEventListener("pointerleave", () => onPoint(null));
  grid.addEventListener("keydown", (event) => {
    const move = CELL_MOVES[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey || !under(event)) return;
    event.preventDefault();
    const next = move(under(event));
    onChoose(...size().map((count, axis) => Math.min(Math.max(next[axis], 0), count - 1)));
  });
}

/** Make a cell the one that the Tab key finds, in place of another; focus follows in the grid. */
export function chooseCell(grid, before, now) {
  before?.setAttribute("tabindex", -1);
  before?.removeAttribute("aria-selected");
  now.setAttribute("tabindex", 0);
  now.setAttribute("aria-selected", "true");
  if (grid.contains(document.activeElement)) now.focus({ preventScroll: true });
}
