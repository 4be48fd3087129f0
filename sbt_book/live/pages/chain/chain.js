/** The chain explorable: pull a spring-block chain, shake it, watch its load curve. */

import { animation, bind, button, checkbox, choice, element, panel } from "../shared/controls.js";
import { prefersReducedMotion, readout, slider } from "../shared/controls.js";
import { keepInAddress } from "../shared/address.js";
import { guide } from "../shared/guide.js";
import { ChainCourse } from "./chain_course.js";
import { chainPicture } from "./chain_picture.js";
import { DT, DURATION, chainSeparation } from "./chain_steps.js";
import { meanFieldCurve, staticCurve } from "./chain_steps.js";
import { chainTour } from "./chain_tour.js";
import { earthquakes } from "./earthquakes.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { verdict } from "../shared/shape.js";
import { chainNoise } from "./skewed_noise.js";

const CHAIN_PACE = 90; // units of time in a second of the reader's
const NUDGE = 0.2; // the velocity that it gives a block
const PLAIN = { friction_right: 0.003, drive: 0, skewness: 0 };
const PRESETS = {
  Lazy: { ...PLAIN, friction_left: 0.004, noise: 0.0005 },
  Equiseparated: { ...PLAIN, friction_left: 0.004, noise: 0.003 },
  Active: { ...PLAIN, friction_left: 0.015, noise: 0.006 },
};
const FAULT = { earthquakes: true, blocks: 20, damping: 0.1 };
const CHAIN_FIELDS = ["blocks", "spring_constant", "mass", "damping", "friction_right"];
CHAIN_FIELDS.push("friction_left", "noise", "noise_decay", "common_noise", "end");
CHAIN_FIELDS.push("drive", "skewness", "weakening");
const small = (value) => value.toFixed(4);
const CHAIN_SLIDERS = {
  friction_right: {
    label: "Friction to the right",
    min: 0,
    max: 0.02,
    step: 0.0005,
    format: small,
  },
  friction_left: { label: "Friction to the left", min: 0, max: 0.02, step: 0.0005, format: small },
  noise: { label: "Noise", min: 0, max: 0.01, step: 0.0001, format: small },
  weakening: {
    label: "Friction lost in sliding",
    unit: "%",
    min: 0.05,
    max: 0.6,
    step: 0.05,
    format: (value) => (100 * value).toFixed(0),
  },
  drive: { label: "Drive", min: 0, max: 0.1, step: 0.002, format: (value) => value.toFixed(3) },
  skewness: { label: "Skewness", min: -4, max: 4, step: 0.5 },
  spring_constant: { label: "Spring constant", min: 0.02, max: 0.5, step: 0.01 },
  blocks: { label: "Blocks", min: 1, max: 20, step: 1 },
};
const ONE_PULL_ONLY = ["friction_left", "noise", "skewness"];
const WORDS = [
  "Tap a block of the picture to nudge it to the right.",
  "Drive: the hand pulls at every block as well, not only at the last.",
  "Skewness: above 0 the noise has rare strong kicks to the right, below 0 to the left.",
];
const FAULT_WORDS =
  "The table is quiet, and the hand pulls so slowly that it stands still while blocks slip. A " +
  "block that slides is held back by less friction than one at rest. A size is how far all blocks " +
  "move together in one slip. An exponent can be fitted to any sizes: it does not show that they " +
  "follow a power law. Slips that you set off by a nudge are not counted.";

/** Return 0, or a little less than the lowest D: a shaken block may overshoot the end. */
function lowest(separation) {
  return Math.min(0, 0.2 * Math.floor(5 * Math.min(...separation)));
}

function render({ model, el }) {
  const { root, stage, charts, controls } = panel(el, "Spring-block chain");
  const picture = chainPicture(stage, (block) => nudge(block, 1));
  const charted = element("div", {}, charts);
  const chart = loadCurveChart(charted, { xlabel: "block l", ylabel: "distance to the end, D" });
  const tell = readout(charts);
  let chain;
  let course;
  let noise, noiseOf; // the last random numbers, and what they depend on: most sliders keep them
  let shown = 0;
  let marked; // the block that was nudged last

  const time = slider(controls, { label: "Time", min: 0, max: DURATION, step: 2 });
  const buttons = element("div", { class: "sbt-buttons" }, controls);
  const mark = () => marked;
  const quakes = earthquakes({ root, picture, charts: charted, controls, model, tell, mark });
  const isFault = () => model.get("earthquakes");

  function show() {
    const positions = course.positions[course.stateAt(time.value)];
    const separation = chainSeparation(chain, positions);
    picture.draw(chain, positions, { marked });
    const words = verdict(separation);
    chart.draw(
      [
        { name: "the chain", kind: "own", values: separation },
        { name: "without noise, at rest", kind: "theory", values: staticCurve(chain) },
        {
          name: "with symmetric noise, in the end",
          kind: "theory2",
          values: meanFieldCurve(chain),
        },
      ],
      { range: [lowest(separation), chain.end], words: `Load curve of the chain, ${words}` },
    );
    tell(`At time ${time.value}: ${words}`);
    model.set("positions", Array.from(positions));
    model.set("time", time.value);
    model.save_changes();
  }
  /** Pull the chain anew: once, or for ever. */
  function pull() {
    rest();
    chain = Object.fromEntries(CHAIN_FIELDS.map((name) => [name, model.get(name)]));
    if (marked > chain.blocks) marked = undefined;
    offerBlocks();
    for (const part of ofOnePull) part.hidden = isFault();
    for (const part of ofFault) part.hidden = !isFault();
    toFault.setAttribute("aria-pressed", isFault());
    if (isFault()) return quakes.begin(chain, model.get("seed"));
    quakes.stop();
    const of = ["seed", "skewness", "damping", "mass"].map((name) => model.get(name)).join();
    const count = (chain.common_noise ? 1 : chain.blocks) * Math.round(DURATION / DT);
    if (noiseOf !== of || noise.length < count) {
      noise = chainNoise(chain, model.get("seed"), count, DT);
      noiseOf = of;
    }
    course = new ChainCourse(chain, noise);
    time.input.max = DURATION;
    time.value = Math.min(time.value, DURATION);
    show();
  }
  const movie = animation(root, (seconds) => {
    shown += seconds * CHAIN_PACE;
    time.value = Math.min(Math.round(shown / 2) * 2, Number(time.input.max));
    show();
    if (time.value >= Number(time.input.max)) rest();
  });
  function rest() {
    movie.stop();
    play.textContent = "Pull";
  }
  function run(from) {
    if (prefersReducedMotion()) {
      time.value = Number(time.input.max);
      return show();
    }
    shown = from;
    movie.start();
    play.textContent = "Pause";
  }
  /** Show how the course that was changed now goes on. */
  function goOn() {
    time.input.max = course.duration;
    run(time.value);
  }
  function nudge(block, direction) {
    marked = block;
    nudged.value = block;
    if (isFault()) return quakes.nudge(block, direction);
    course.nudge(time.value, block, direction * NUDGE, model.get("seed"));
    goOn();
  }
  const shake = () => {
    course.shake(time.value, model.get("seed"));
    goOn();
  };

  const play = button(buttons, "Pull", () => {
    if (movie.running) return rest();
    const end = time.value >= Number(time.input.max);
    run(end ? 0 : time.value);
  });
  const onlyOnce = [play, button(buttons, "Shake", shake)];
  for (const [name, preset] of Object.entries(PRESETS)) {
    const choose = button(buttons, name, () => {
      for (const [trait, value] of Object.entries(preset)) model.set(trait, value);
      run(0);
    });
    onlyOnce.push(choose);
  }
  let before = { blocks: 7, damping: 1 };
  const toFault = button(buttons, "Earthquakes", () => {
    const change = isFault() ? { earthquakes: false, ...before } : FAULT;
    if (!isFault()) before = { blocks: model.get("blocks"), damping: model.get("damping") };
    for (const [trait, value] of Object.entries(change)) model.set(trait, value);
    model.save_changes();
  });
  const taps = element("div", { class: "sbt-buttons" }, controls);
  const holder = element("span", {}, taps);
  let nudged; // the choice of a block, which offers as many as there are
  function offerBlocks() {
    const { blocks } = chain;
    if (nudged?.input.length === blocks) return;
    const chosen = Math.min(nudged?.value ?? Math.ceil(blocks / 2), blocks);
    const options = Array.from({ length: blocks }, (_, l) => [l + 1, `${l + 1}`]);
    holder.replaceChildren();
    nudged = choice(holder, { label: "Block", options });
    nudged.value = chosen;
  }
  button(taps, "Nudge left", () => nudge(nudged.value, -1));
  button(taps, "Nudge right", () => nudge(nudged.value, 1));

  time.onInput = () => {
    rest();
    show();
  };
  time.value = model.get("time");
  const jump = () => {
    if (model.get("time") === time.value) return;
    time.value = model.get("time");
    if (!isFault()) time.onInput();
  };
  model.on("change:time", jump);
  const common = checkbox(controls, { label: "Shake all blocks alike" });
  const bound = Object.entries(CHAIN_SLIDERS).map(([trait, look]) => [
    trait,
    slider(controls, look),
  ]);
  const sliders = Object.fromEntries(bound);
  const rowOf = (control) => control.input.closest("label");
  const ofOnePull = [chart.figure, ...onlyOnce, rowOf(time), rowOf(common)];
  ofOnePull.push(...ONE_PULL_ONLY.map((trait) => rowOf(sliders[trait])));
  const ofFault = [...quakes.parts, rowOf(sliders.weakening)];
  const notes = WORDS.map((words) => element("p", { class: "sbt-note" }, controls, words));
  ofOnePull.push(notes[2]);
  ofFault.push(element("p", { class: "sbt-note" }, controls, FAULT_WORDS));
  const unbind = [...bound, ["common_noise", common]].map(([trait, control]) =>
    bind(model, trait, control, pull),
  );
  const others = ["earthquakes", "damping", "mass", "end", "noise_decay", "seed"];
  for (const trait of others) model.on(`change:${trait}`, pull);
  pull();
  const act = { replay: () => run(0), shake, quake: quakes.pull };
  const endTour = guide(root, model, "chain", chainTour(act));
  const leaveAddress = keepInAddress(model, root, "chain", {
    ...Object.fromEntries(
      Object.entries(CHAIN_SLIDERS).map(([trait, { min, max }]) => [trait, { min, max }]),
    ),
    blocks: { min: 1, max: 20, integer: true },
    common_noise: { flag: true },
    damping: { min: 0, max: 10 },
    earthquakes: { flag: true },
    seed: { min: 0, max: 2 ** 31 - 1, integer: true },
    time: { min: 0 },
  });
  return () => {
    leaveAddress();
    endTour();
    movie.stop();
    quakes.stop();
    model.off("change:time", jump);
    for (const trait of others) model.off(`change:${trait}`, pull);
    unbind.forEach((each) => each());
  };
}

export default { render };
