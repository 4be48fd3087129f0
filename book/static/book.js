// Repairs to what the theme and its extensions leave to be desired, and how pages suit their reader.

const pageRoot = document.documentElement;

// Live pictures keep their settings in the address of a page of the book, and find the book's root.
pageRoot.dataset.book = pageRoot.dataset.content_root;

// The theme asks for the reader's colour scheme only in its deferred scripts; until then a first
// page would be drawn without colours, and white. This script runs before anything is drawn.
if (pageRoot.dataset.theme === "auto") {
  const { matches } = matchMedia("(prefers-color-scheme: dark)");
  pageRoot.dataset.theme = matches ? "dark" : "light";
}

// Code is folded away, but where its reader has chosen to see it. The folds come open, for readers
// without scripts, and are closed as they are read.
const CODE_KEY = "sbt-code";
let showsCode = false;
try {
  showsCode = localStorage.getItem(CODE_KEY) === "shown";
} catch {
  // A browser may keep nothing.
}

// Browsers choose between a figure and its dark twin by the reader's system. The page's own colour
// scheme decides, which a reader can change.
function matchScheme(source) {
  source.media = pageRoot.dataset.theme === "dark" ? source.dataset.media : "not all";
}
new MutationObserver(() => document.querySelectorAll("source.dark").forEach(matchScheme)).observe(
  pageRoot,
  { attributeFilter: ["data-theme"] },
);

const reading = new MutationObserver((changes) => {
  for (const { addedNodes } of changes) {
    for (const node of addedNodes) {
      if (node.nodeName === "DETAILS" && node.classList.contains("code")) node.open = showsCode;
      if (node.nodeName === "SOURCE" && node.classList.contains("dark")) matchScheme(node);
    }
  }
});
reading.observe(document, { childList: true, subtree: true });

// One switch for all code of a page, beside the other buttons above it.
function addSwitch() {
  reading.disconnect();
  const folds = document.querySelectorAll("details.code");
  const buttons = document.querySelector(".article-header-buttons");
  if (!folds.length || !buttons) return;
  buttons.insertAdjacentHTML(
    "afterbegin",
    `<button type="button" class="btn btn-sm code-switch" title="Show all code">
      <span class="btn__icon-container"><i class="fas fa-code"></i></span>
      <span class="btn__text-container">Show all code</span>
    </button>`,
  );
  const button = buttons.firstElementChild;
  button.setAttribute("aria-pressed", showsCode);
  button.addEventListener("click", () => {
    showsCode = !showsCode;
    button.setAttribute("aria-pressed", showsCode);
    for (const fold of folds) fold.open = showsCode;
    try {
      if (showsCode) localStorage.setItem(CODE_KEY, "shown");
      else localStorage.removeItem(CODE_KEY);
    } catch {
      // As above: then the choice holds for this page.
    }
  });
}
window.addEventListener("DOMContentLoaded", addSwitch);

// Equations that are wider than the page: MathJax 3 breaks no lines and shrinks nothing. Shrink a
// little; where that is not enough, break lines first, at wide spaces or else before a relation or
// a sum, outside brackets.
const LEAST_SIZE = 0.7;
const SIZE_IN_LINES = 0.8;
const OPENING = ".mjx-c28, .mjx-c5B, .mjx-c7B, .mjx-c27E8";
const CLOSING = ".mjx-c29, .mjx-c5D, .mjx-c7D, .mjx-c27E9";

// Whether a part opens (1) or closes (-1) a bracket, which may bear an exponent.
function bracketOf(part) {
  const sign = part.localName === "mjx-mo" ? part : part.querySelector(":scope > mjx-mo");
  return sign?.querySelector(OPENING) ? 1 : sign?.querySelector(CLOSING) ? -1 : 0;
}

// How bad it is to begin a line with a part, at this depth of brackets.
function badnessOf(part, depth) {
  if (depth > 0) return Infinity;
  if (part.localName === "mjx-mstyle" && part.firstElementChild?.localName === "mjx-mspace") {
    return part.offsetWidth > 12 ? 0 : Infinity; // pixels: \quad and \qquad, not \,
  }
  if (part.localName !== "mjx-mo") return Infinity;
  return { 4: 1, 3: 2 }[part.getAttribute("space")] ?? Infinity;
}

function breakLines(formula, width) {
  let depth = 0;
  const parts = [...formula.children].map((part) => {
    const badness = badnessOf(part, depth);
    depth += bracketOf(part);
    return { part, badness, left: part.offsetLeft, right: part.offsetLeft + part.offsetWidth };
  });
  let start = 0;
  for (let end = 0; end < parts.length; end++) {
    if (parts[end].right - parts[start].left <= width) continue;
    // Not so near the beginning that a line is short.
    const places = parts
      .slice(start, end + 1)
      .filter(({ left, badness }) => badness < 3 && left - parts[start].left > width / 4);
    if (!places.length) return;
    const least = Math.min(...places.map(({ badness }) => badness));
    const place = places.filter(({ badness }) => badness === least).at(-1);
    const line = document.createElement("span");
    line.className = "new-line";
    place.part.before(line);
    if (place.badness === 0) place.part.classList.add("at-break");
    start = parts.indexOf(place) + (place.badness === 0 ? 1 : 0);
    end = start;
  }
}

function widthFor(equation) {
  const inLine = equation.getAttribute("display") !== "true";
  return (inLine ? equation.closest("p, li, dd, td, div") : equation).clientWidth;
}

const formulaOf = (equation) => equation.querySelector("mjx-math");

function fit(equation) {
  const [formula, width] = [formulaOf(equation), widthFor(equation)];
  const isLine = equation.getAttribute("display") === "true";
  if (isLine && width / formula.offsetWidth < LEAST_SIZE) {
    breakLines(formula, width / SIZE_IN_LINES);
  }
  const size = Math.max(LEAST_SIZE, Math.min(1, width / (formula.offsetWidth + 1)));
  equation.style.fontSize = `${size * equation.dataset.size}%`;
}

function fitEquations(within) {
  const equations = [...within.querySelectorAll(".bd-article .math mjx-container")];
  for (const equation of equations) {
    equation.dataset.size ??= parseFloat(equation.style.fontSize) || 100;
    equation.style.fontSize = `${equation.dataset.size}%`;
    equation.querySelectorAll(".new-line").forEach((line) => line.remove());
    equation.querySelectorAll(".at-break").forEach((space) => space.classList.remove("at-break"));
  }
  // What is folded away may have no width yet.
  const isWide = (each) => widthFor(each) > 0 && formulaOf(each).offsetWidth > widthFor(each);
  equations.filter(isWide).forEach(fit);
}

let fittedWidth;
function fitPage() {
  if (fittedWidth === innerWidth) return; // a phone's bars come and go
  fittedWidth = innerWidth;
  fitEquations(document);
}
window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(fitPage));
window.addEventListener("resize", () => fittedWidth && fitPage());
document.addEventListener("toggle", ({ target }) => fitEquations(target), true);

// For keyboards and screen readers.
function mend() {
  // Names that differ from what is read: the text of these elements names them well enough.
  document
    .querySelectorAll(".search-button-field, .bd-article summary[aria-label]")
    .forEach((each) => each.removeAttribute("aria-label"));
  // An arrow alone, beside the link to the page whose parts it shows.
  document.querySelectorAll(".has-children > details > summary").forEach((arrow) => {
    const page = arrow.closest(".has-children").querySelector("a").textContent.trim();
    arrow.setAttribute("aria-label", `Pages of “${page}”`);
  });
  // A list whose entries are not marked as such.
  document.querySelectorAll(".citation-list").forEach((list) => list.removeAttribute("role"));
  // Pictures on a button that has a name.
  document.querySelectorAll(".theme-switch").forEach((icon) => {
    icon.setAttribute("aria-hidden", "true");
    icon.removeAttribute("title");
  });
  // What scrolls sideways must be within reach of the keyboard.
  for (const box of document.querySelectorAll(
    ".bd-article :is(figure, table, pre, div, mjx-container)",
  )) {
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    if (scrolls && box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}

// Equations are set while a page loads: before and after that.
window.addEventListener("DOMContentLoaded", mend);
window.addEventListener("load", mend);
window.addEventListener("resize", mend);
