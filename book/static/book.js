// Repairs to what the theme and its extensions leave to be desired.

// Live pictures keep their settings in the address of a page of the book, and find the book's root.
document.documentElement.dataset.book = document.documentElement.dataset.content_root;

// The theme asks for the reader's colour scheme only in its deferred scripts; until then a first
// page would be drawn without colours, and white. This script runs before anything is drawn.
if (document.documentElement.dataset.theme === "auto") {
  const { matches } = matchMedia("(prefers-color-scheme: dark)");
  document.documentElement.dataset.theme = matches ? "dark" : "light";
}

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
    icon.querySelectorAll("title").forEach((title) => title.remove());
  });
  // What scrolls sideways must be within reach of the keyboard.
  for (const box of document.querySelectorAll(
    ".bd-article :is(figure, table, pre, div, mjx-container)",
  )) {
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    if (scrolls && box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}

// Icons are drawn and equations set while a page loads: before and after that.
window.addEventListener("DOMContentLoaded", mend);
window.addEventListener("load", mend);
window.addEventListener("resize", mend);
