/** Earthquakes of the chain: pulled for ever, its slips shown, counted and, if asked for, heard. */

import { animation, button, element, prefersReducedMotion } from "../shared/controls.js";
import { advanceHand, beginSlip, endSlip, nextSlip } from "./fault.js";
import { reachOfHold, slipSteps, stressedFault } from "./fault.js";
import { slipHistogram } from "./histogram.js";
import { slipSound } from "./slip_sound.js";

const PULL_PACE = 4; // what one block slips by, in a second of the reader's
const SLIP_PACE = 1200; // steps of a slip in a second of the reader's
const AT_ONCE = 1000; // slips
const COMPUTING = 8; // ms in a frame at most
const MOST_SLIPS = 5000; // the latest are kept
const TAP = 5; // of what one block slips by, is how far a nudged one would go without friction
const NO_FRICTION = "Without friction nothing sticks, and nothing slips.";

/**
 * Append histogram and buttons. `tell` reads out words; `mark()` is the block that is marked.
 *
 * Returns its `parts`, to be hidden where no earthquakes are asked for, and functions: `begin` anew,
 * `pull` for ever, `nudge` a block, `stop`.
 */
export function earthquakes({ root, picture, charts, controls, model, tell, mark }) {
  const histogram = slipHistogram(charts);
  const row = element("div", { class: "sbt-buttons" }, controls);
  const sound = slipSound();
  let fault, shownChain, unit;
  let sizes = [];
  let way = 0; // that the hand still goes until a block lets go
  let slipping = false;
  let nudged = false; // whether this slip had help, and does not count
  let pulling = false;
  let left = 0; // slips still to be computed at once

  function show() {
    const positions = Array.from(fault.gaps, (gap) => shownChain.end - gap);
    const moves = (l) => fault.velocities[l - 1] !== 0;
    const look = { free: true, travel: fault.travel, marked: mark(), slipping: moves };
    picture.draw(shownChain, positions, look);
  }
  function tellSizes() {
    const words = histogram.draw(sizes);
    tell(shownChain.friction_right > 0 ? words : NO_FRICTION);
  }
  /** Count a slip of a size, and let the hand go on. */
  function record(size) {
    way = reachOfHold(fault);
    slipping = false;
    if (nudged) return (nudged = false);
    if (!(size > 0)) return;
    sizes.push(size);
    if (sizes.length > MOST_SLIPS) sizes.shift();
  }

  /** Show what happens in some seconds; return whether a slip has ended. */
  function watch(seconds) {
    if (!slipping) {
      const most = PULL_PACE * unit * seconds;
      advanceHand(fault, Math.min(way, most));
      way -= most;
      if (way > 0) return false;
      slipping = true;
      beginSlip(fault);
    }
    if (!slipSteps(fault, Math.ceil(SLIP_PACE * seconds))) return false;
    const size = endSlip(fault);
    sound.click(size / (unit * fault.blocks ** 2));
    record(size);
    return true;
  }

  /** End the slip that is under way, as fast as it can be computed. */
  function hurry() {
    if (!slipping) return;
    for (let part = 0; part < 100 && !slipSteps(fault, 1000); part++);
    fault.velocities.fill(0);
    record(endSlip(fault));
  }
  function compute() {
    const begin = performance.now();
    hurry();
    while (left > 0 && performance.now() - begin < COMPUTING) {
      record(nextSlip(fault));
      left -= 1;
    }
    if (left === 0 || !prefersReducedMotion()) tellSizes();
    return left > 0;
  }
  const movie = animation(root, (seconds) => {
    if (left > 0) {
      const more = compute() || pulling;
      show();
      return more || rest();
    }
    const ended = watch(seconds);
    show();
    if (ended) tellSizes();
    if (ended && !pulling) return rest();
  });

  function rest() {
    if (!fault) return false;
    movie.stop();
    left = 0;
    pulling = false;
    pull.textContent = "Pull for ever";
    model.set("slip_sizes", [...sizes]);
    model.save_changes();
    return false;
  }
  function atOnce(count) {
    left = count;
    movie.start();
  }
  function start() {
    if (prefersReducedMotion()) return atOnce(AT_ONCE / 10);
    pulling = true;
    pull.textContent = "Pause";
    movie.start();
  }
  const pull = button(row, "Pull for ever", () => (pulling ? rest() : start()));
  button(row, `${AT_ONCE.toLocaleString("en")} slips at once`, () => atOnce(AT_ONCE));
  const toggle = button(row, "Sound", () => {
    if (sound.on) sound.stop();
    else sound.start();
    toggle.setAttribute("aria-pressed", sound.on);
  });
  toggle.setAttribute("aria-pressed", false);

  return {
    parts: [histogram.figure, row],
    pull: start,
    /** Begin anew with a chain, without a slip so far. */
    begin(chain, seed) {
      fault = stressedFault(chain, seed);
      const { friction_right: friction, spring_constant: spring, blocks, drive } = chain;
      // The longest it can be: with all blocks about to slip.
      const hung = (friction * blocks * (blocks + 1)) / 2 / spring;
      shownChain = { ...chain, end: Math.min(hung, (1.1 * friction) / drive) || 1 };
      unit = (chain.weakening * friction) / spring;
      sizes = [];
      way = reachOfHold(fault);
      slipping = nudged = false;
      show();
      tellSizes();
    },
    /** Push a block, 1..L: a slip follows, which is not counted. */
    nudge(block, direction) {
      if (!slipping) beginSlip(fault);
      slipping = nudged = true;
      const { spring_constant: spring, mass } = fault.chain;
      fault.velocities[block - 1] += direction * TAP * unit * Math.sqrt(spring / mass);
      if (prefersReducedMotion()) hurry();
      else movie.start();
      show();
    },
    stop() {
      rest();
      sound.stop();
      toggle.setAttribute("aria-pressed", false);
    },
  };
}
