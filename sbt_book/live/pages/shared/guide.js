/** A guided tour of an explorable: a few steps, each with something to see. */

import { button, element } from "./controls.js";

const TOUR_ENDED = "end";

/** Return what the reader's browser remembers of a tour: the place of a step, the end, or null. */
function recallTour(name) {
  try {
    return localStorage.getItem(`sbt-tour-${name}`);
  } catch {
    return null; // the reader's settings, or a page opened as a file
  }
}

function rememberTour(name, place) {
  try {
    localStorage.setItem(`sbt-tour-${name}`, place);
  } catch {
    // Then the next visit starts anew.
  }
}

/**
 * Offer a tour above the charts and controls of an explorable.
 *
 * `steps` are `{ words, look, set, act }`: what to do, what to look at, the traits that the step
 * sets, and a function that it calls after that, e.g. to start a movie. Returns a function that
 * ends it.
 */
export function guide(root, model, name, steps) {
  const tour = element("div", { class: "sbt-guide", role: "group", "aria-label": "Guided tour" });
  root.querySelector(".sbt-columns").before(tour);
  const card = element("div", { class: "sbt-guide-card" }, tour);
  const words = element("div", { "aria-live": "polite" }, card);
  const row = element("div", { class: "sbt-guide-buttons" }, tour);
  const open = button(row, "", () => {
    const place = Number(recallTour(name) ?? 0);
    enter(steps[place] ? place : 0);
    next.focus({ preventScroll: true });
  });
  const back = button(row, "Back", () => enter(now - 1));
  const next = button(row, "Next", () => (now < steps.length - 1 ? enter(now + 1) : end()));
  const close = button(row, "Close", rest);
  let now = 0;

  function enter(place) {
    now = place;
    rememberTour(name, place);
    words.replaceChildren();
    element("p", { class: "sbt-note" }, words, `Step ${place + 1} of ${steps.length}`);
    element("p", { class: "sbt-guide-words" }, words, steps[place].words);
    element("p", {}, words, steps[place].look);
    show(true);
    back.disabled = place === 0;
    if (document.activeElement === document.body) next.focus({ preventScroll: true });
    next.textContent = place < steps.length - 1 ? "Next" : "Done";
    for (const [trait, value] of Object.entries(steps[place].set ?? {})) model.set(trait, value);
    model.save_changes();
    steps[place].act?.();
  }
  function end() {
    rememberTour(name, TOUR_ENDED);
    rest();
  }
  function rest() {
    show(false);
    open.focus({ preventScroll: true });
  }
  function show(touring) {
    const place = recallTour(name);
    if (place === TOUR_ENDED) open.textContent = "Take the tour again";
    else open.textContent = Number(place) > 0 ? "Go on with the tour" : "Take the tour";
    for (const each of [card, back, next, close]) each.hidden = !touring;
    open.hidden = touring;
  }

  show(false);
  return () => tour.remove();
}
