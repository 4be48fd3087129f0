/** The ruler explorable: pull a folding ruler by hand, and see which sections open. */

import { animation, bind, button, choice, element, panel } from "../shared/controls.js";
import { prefersReducedMotion, readout, slider } from "../shared/controls.js";
import { keepInAddress } from "../shared/address.js";
import { guide } from "../shared/guide.js";
import { quickAndJerky } from "./hand.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { GHOSTS, REPLAYS, ghostDistance, ghostMaker } from "./ruler_ghosts.js";
import { kindOfPull, rulerMeter } from "./ruler_meter.js";
import { rulerPicture } from "./ruler_picture.js";
import { RulerPull } from "./ruler_pull.js";
import { rulerTour } from "./ruler_tour.js";
import { verdict } from "../shared/shape.js";

const RULER_FIELDS = [
  "sections",
  "section_length",
  "mass",
  "table_friction",
  "hinge_friction",
  "opening",
];
const RULER_SLIDERS = {
  speed: {
    label: "Speed of replays and keys",
    unit: "m/s",
    levels: [0.05, 0.1, 0.2, 0.5, 1, 1.5, 2, 3],
  },
  amplitude: {
    label: "Tremble of replays",
    unit: "mm",
    min: 0,
    max: 0.015,
    step: 0.0005,
    format: (value) => (1e3 * value).toFixed(1),
  },
  sections: { label: "Sections", min: 4, max: 16, step: 1 },
  table_friction: {
    label: "Friction on the table",
    min: 0.05,
    max: 1,
    step: 0.05,
    format: (value) => value.toFixed(2),
  },
  hinge_friction: {
    label: "Friction in the hinges",
    unit: "mN m",
    min: 0,
    max: 3e-3,
    step: 1e-4,
    format: (value) => (1e3 * value).toFixed(1),
  },
};
const STEPS_A_FRAME = 25; // of a millisecond: a page that draws 40 times a second keeps pace
const BUSY = 8; // ms of simulation in a frame at most
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const INVITATION =
  "Drag the ring away from the pin, slowly or with a jerk. By keyboard: arrow keys on the ring.";
const NO_GHOST = "none";
const BALKED = "The ruler cannot follow there: pull it another way, or fold it again.";

function render({ model, el }) {
  const { root, stage, controls } = panel(el, "Folding ruler");
  const hint = element("p", { class: "sbt-note" }, stage, INVITATION);
  const picture = rulerPicture(stage);
  const { handle } = picture;
  const score = element("p", { class: "sbt-ruler-score" }, stage);
  const reach = slider(stage, {
    label: "Reach of the ruler",
    unit: "% of its length",
    min: 0,
    max: 99,
    step: 1,
  });
  const buttons = element("div", { class: "sbt-buttons" }, stage);
  const columns = element("div", { class: "sbt-columns" }, stage);
  const chart = loadCurveChart(columns, {
    xlabel: "hinge l",
    ylabel: "distance to the hand, D (m)",
  });
  const side = element("div", {}, columns);
  const meter = rulerMeter(side);
  side.append(controls);
  const tell = readout(chart.figure);
  const kept = [...Object.keys(RULER_SLIDERS), "ghost"];
  const initial = kept.map((trait) => [trait, model.get(trait)]);
  const keys = new Set();
  let ruler, pull, before;
  let ghost = null; // what was made of the trait of this name
  let grabbed = null;
  let trembles = 0;
  let debt = 0;
  let balked = 0;

  function show(fresh = false) {
    const { separation, linkage, highest } = pull;
    const full = ruler.sections * ruler.section_length;
    const share = Math.round((100 * pull.x) / full);
    const points = linkage.points();
    const off = pull.begun && ghost ? offGhost(points) : "";
    const at = `at ${share} % of the ruler's length${off && `, ${off}`}`;
    picture.draw(ruler, points, fresh, at);
    picture.arrow.style.display = pull.begun ? "none" : "";
    handle.setAttribute("aria-valuenow", Math.min(Math.max(share, 0), 99));
    if (pull.led.pace === Infinity || document.activeElement !== reach.input) reach.value = share;
    meter.draw(ruler, pull.meter, highest);
    const kind = kindOfPull(ruler, highest);
    const words = pull.begun
      ? `A ${kind} pull, and the ruler is ${verdict(separation)}`
      : "Folded, not yet pulled";
    score.hidden = model.get("ghost") === NO_GHOST;
    score.textContent = ghost
      ? `Dashed: the ghost, what our ${ghost.name} pull leaves (simulated). ${off ? `${off}.` : "Hit it!"}`
      : "The ghost is on its way.";
    const curves = [{ name: "this pull", kind: "own", values: separation }];
    if (ghost) curves.push({ name: "the ghost", kind: "theory2", values: ghost.separation });
    if (before) curves.push({ name: before.name, kind: "other", values: before.separation });
    const all = curves.flatMap(({ values }) => values);
    const fifths = (round, most) => (round((5 * most) / full - 1e-9) / 5) * full;
    const top = Math.max(0.6 * full, fifths(Math.ceil, Math.max(...all)));
    const range = [Math.min(0, fifths(Math.floor, Math.min(...all) + 0.01 * full)), top];
    chart.draw(curves, { range, words: `Load curve. ${words}` });
    tell(words);
    hint.textContent = balked > 20 ? BALKED : INVITATION;
  }

  /** Say how far the openings are from those of the ghost. */
  function offGhost(points) {
    const distance = ghostDistance(points, ghost.points, ruler.section_length);
    return `Off the ghost by ${Math.round(100 * distance)} % of a section, on average`;
  }

  /** Make the ghost that is asked for. */
  function summon(fresh = false) {
    const name = model.get("ghost");
    ghost = null;
    picture.ghost([]);
    maker.stop();
    if (name !== NO_GHOST) maker.make(name, ruler, model.get("reach"), model.get("phases")[0]);
    show(fresh);
  }
  const maker = ghostMaker(root, (made) => {
    ghost = made;
    picture.ghost(made.points);
    show();
  });

  /** Tell Python what the hand did and what came of it. */
  function send() {
    model.set("hand_times", pull.times.slice());
    model.set("hand_positions", pull.positions.slice());
    model.set("angles", Array.from(pull.linkage.angles));
    model.save_changes();
  }

  /** Fold the ruler again; the load curve of the last pull stays for comparison. */
  function fold() {
    const now = Object.fromEntries(RULER_FIELDS.map((name) => [name, model.get(name)]));
    if (pull?.begun) {
      const name = `before: ${kindOfPull(ruler, pull.highest)}`;
      before = { separation: pull.separation, name };
    }
    const alike = now.sections === ruler?.sections && now.section_length === ruler.section_length;
    if (!alike) before = null;
    const same = RULER_FIELDS.every((name) => now[name] === ruler?.[name]);
    ruler = now;
    pull = new RulerPull(ruler);
    movie.stop();
    [grabbed, balked, debt] = [null, 0, 0];
    keys.clear();
    for (const trait of ["hand_times", "hand_positions", "angles"]) {
      if (model.get(trait).length === 0) continue;
      model.set(trait, []);
      model.save_changes();
    }
    if (same) show(true);
    else summon(true);
  }

  function replay() {
    fold();
    const set = { speed: model.get("speed"), amplitude: model.get("amplitude") };
    const phases = model.get("phases");
    const place = set.amplitude > 0 ? trembles++ % phases.length : 0;
    pull.play(quickAndJerky(ruler, { reach: model.get("reach"), ...set }, phases[place]));
    movie.start();
  }

  /** Go on by what has passed since the last frame; true where the pull is over. */
  function advance(seconds) {
    const begin = performance.now();
    const rush = pull.replay !== null && prefersReducedMotion();
    debt = Math.min(debt + 1e3 * seconds, STEPS_A_FRAME);
    const steps = rush ? Infinity : Math.round(debt);
    pull.retry();
    for (let n = 0; n < steps && !(pull.begun && pull.resting); n++) {
      pull.step();
      debt -= 1;
      if (n % 5 === 4 && performance.now() - begin > BUSY) break;
    }
    if (rush && pull.replay) return false;
    if (debt > 1) debt = 0; // too slow a machine: time itself slows down
    balked = pull.refused ? balked + 1 : 0;
    const over = pull.resting;
    if (over) Object.assign(pull.meter, { speed: 0, acceleration: 0 });
    show();
    return over;
  }
  const movie = animation(root, (seconds) => {
    const over = advance(seconds);
    if (over) send();
    return !over;
  });

  function lead(x, y, pace) {
    pull.lead(...picture.inside(x, y), pace);
    if (!movie.running) debt = 16; // the first frame already shows a move
    movie.start();
  }

  // The pointer holds the ring where it took it.
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(event.pointerId);
    const [x, y] = picture.toMetres(event);
    grabbed = [pull.x - x, pull.y - y];
    lead(pull.x, pull.y);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!grabbed) return;
    const [x, y] = picture.toMetres(event);
    lead(x + grabbed[0], y + grabbed[1]);
  });
  const release = () => {
    if (!grabbed) return;
    grabbed = null;
    // It still arrives, but does not go on trying where it cannot.
    if (pull.refused) pull.halt();
    else pull.led.pace = 1e3;
  };
  handle.addEventListener("pointerup", release);
  handle.addEventListener("pointercancel", release);

  handle.addEventListener("keydown", (event) => {
    const [startX, startY] = pull.positions;
    const pace = model.get("speed");
    const full = ruler.sections * ruler.section_length;
    const { x, y } = pull.led;
    const goals = { Home: [startX, startY], End: [0.95 * full, startY], Escape: [x, y] };
    goals.PageUp = [x + 0.1 * full, y];
    goals.PageDown = [x - 0.1 * full, y];
    if (event.key in ARROWS) {
      if (!keys.has(event.key)) steer(keys.add(event.key));
    } else if (event.key in goals) lead(...goals[event.key], pace);
    else return;
    event.preventDefault();
  });
  const steer = () => {
    let [dx, dy] = [0, 0];
    for (const key of keys) [dx, dy] = [dx + ARROWS[key][0], dy + ARROWS[key][1]];
    const full = ruler.sections * ruler.section_length;
    lead(pull.led.x + dx * full, pull.led.y + dy * full, model.get("speed"));
  };
  handle.addEventListener("keyup", (event) => keys.delete(event.key) && steer());
  handle.addEventListener("blur", () => {
    if (keys.size > 0) pull.halt();
    keys.clear();
  });
  for (const [name, value] of Object.entries({
    "aria-label": "The hand that pulls",
    "aria-valuemin": 0,
    "aria-valuemax": 99,
  }))
    handle.setAttribute(name, value);

  reach.onInput = (percent) => {
    const full = ruler?.sections * ruler?.section_length;
    lead((percent / 100) * full, pull.positions[1], model.get("speed"));
  };
  for (const [label, set] of Object.entries(REPLAYS)) {
    button(buttons, label, () => {
      for (const [trait, value] of Object.entries(set)) model.set(trait, value);
      model.save_changes();
      replay();
    });
  }
  button(buttons, "Pull as set", replay);
  button(buttons, "Fold", fold);
  button(buttons, "Reset", () => {
    for (const [trait, value] of initial) model.set(trait, value);
    model.save_changes();
    before = null;
    pull = null;
    fold();
  });
  const unbind = Object.entries(RULER_SLIDERS).map(([trait, look]) => {
    const refold = RULER_FIELDS.includes(trait) ? () => fold() : () => {};
    return bind(model, trait, slider(controls, look), refold);
  });
  const options = [[NO_GHOST, "none"]];
  for (const name of Object.keys(GHOSTS)) options.push([name, `our ${name} pull`]);
  unbind.push(bind(model, "ghost", choice(controls, { label: "Ghost to hit", options }), summon));
  fold();
  const endTour = guide(root, model, "ruler", rulerTour({ replay, fold }));
  const between = ({ levels, min, max }) => (levels ? { levels } : { min, max });
  const leaveAddress = keepInAddress(model, root, "ruler", {
    ...Object.fromEntries(
      Object.entries(RULER_SLIDERS).map(([trait, look]) => [trait, between(look)]),
    ),
    sections: { min: 4, max: 16, integer: true },
    reach: { min: 0.5, max: 0.9 },
    ghost: { options: options.map(([name]) => name) },
  });
  return () => {
    leaveAddress();
    endTour();
    movie.stop();
    maker.stop();
    unbind.forEach((each) => each());
  };
}

export default { render };
