/** The chain explorable: pull a spring-block chain, shake it, watch its load curve. */

import { animation, bind, button, checkbox, element, panel } from "../shared/controls.js";
import { prefersReducedMotion, readout, saveSoon, slider } from "../shared/controls.js";
import { chainPicture } from "./chain_picture.js";
import { DT, DURATION, EVERY, atRest, pullChain } from "./chain_steps.js";
import { chainKicks, chainSeparation, langevinSteps } from "./chain_steps.js";
import { meanFieldCurve, staticCurve } from "./chain_steps.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { verdict } from "../shared/shape.js";
import { chainNoise } from "./skewed_noise.js";

const CHAIN_PACE = 90; // units of time in a second of the reader's
const SHAKE = { noise: 0.02, duration: 60, calm: 140 };
const PLAIN = { friction_right: 0.003, drive: 0, skewness: 0 };
const PRESETS = {
  Lazy: { ...PLAIN, friction_left: 0.004, noise: 0.0005 },
  Equiseparated: { ...PLAIN, friction_left: 0.004, noise: 0.003 },
  Active: { ...PLAIN, friction_left: 0.015, noise: 0.006 },
};
const WORDS = [
  "Drive: the hand pulls at every block as well, not only at the last.",
  "Skewness: above 0 the noise has rare strong kicks to the right, below 0 to the left.",
];

/** Return what follows when the table under a chain at rest is shaken for a while. */
function shakeChain(chain, positions, before, normals) {
  const columns = chain.common_noise ? 1 : chain.blocks;
  const state = atRest(positions);
  const shaken = { ...chain, noise: SHAKE.noise, noise_decay: 0 };
  const part = (duration, of) => {
    const drawn = normals.subarray(0, Math.round(duration / DT) * columns);
    return langevinSteps(state, of, chainKicks(of, drawn, columns, DT, before), DT, EVERY);
  };
  return [...part(SHAKE.duration, shaken), ...part(SHAKE.calm, chain)];
}

/** Return 0, or a little less than the lowest D: a shaken block may overshoot the end. */
function lowest(separation) {
  return Math.min(0, 0.2 * Math.floor(5 * Math.min(...separation)));
}

function render({ model, el }) {
  const { root, stage, charts, controls } = panel(el, "Spring-block chain");
  const picture = chainPicture(stage);
  const chart = loadCurveChart(charts, { xlabel: "block l", ylabel: "distance to the end, D" });
  const tell = readout(charts);
  const fields = ["blocks", "spring_constant", "mass", "damping", "friction_right"];
  fields.push("friction_left", "noise", "noise_decay", "common_noise", "end");
  fields.push("drive", "skewness");
  let chain;
  let states;
  let noise, noiseOf; // the last random numbers, and what they depend on: most sliders keep them
  let shakes = 0;
  let shown = 0;

  const time = slider(controls, { label: "Time", min: 0, max: DURATION, step: 2 });
  const buttons = element("div", { class: "sbt-buttons" }, controls);
  const format = (value) => value.toFixed(4);
  const inputs = {
    friction_right: { label: "Friction to the right", min: 0, max: 0.02, step: 0.0005, format },
    friction_left: { label: "Friction to the left", min: 0, max: 0.02, step: 0.0005, format },
    noise: { label: "Noise", min: 0, max: 0.01, step: 0.0001, format },
    drive: { label: "Drive", min: 0, max: 0.1, step: 0.002, format: (value) => value.toFixed(3) },
    skewness: { label: "Skewness", min: -4, max: 4, step: 0.5 },
    spring_constant: { label: "Spring constant", min: 0.02, max: 0.5, step: 0.01 },
    blocks: { label: "Blocks", min: 1, max: 20, step: 1 },
  };

  function show() {
    const positions = states[Math.round(time.value / (DT * EVERY))];
    const separation = chainSeparation(chain, positions);
    picture.draw(chain, positions);
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
    saveSoon(model);
  }
  function pull() {
    rest();
    chain = Object.fromEntries(fields.map((name) => [name, model.get(name)]));
    const of = ["seed", "skewness", "damping", "mass"].map((name) => model.get(name)).join();
    const count = (chain.common_noise ? 1 : chain.blocks) * Math.round(DURATION / DT);
    if (noiseOf !== of || noise.length < count) {
      noise = chainNoise(chain, model.get("seed"), count, DT);
      noiseOf = of;
    }
    states = pullChain(chain, noise);
    time.input.max = DURATION;
    time.value = Math.min(time.value, DURATION);
    shakes = 0;
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
  const play = button(buttons, "Pull", () => {
    if (movie.running) return rest();
    const end = time.value >= Number(time.input.max);
    run(end ? 0 : time.value);
  });
  button(buttons, "Shake", () => {
    const now = Math.round(time.value / (DT * EVERY));
    const drawn = chainNoise(chain, model.get("seed") + ++shakes, (20 * SHAKE.calm) / DT, DT);
    states = states.slice(0, now + 1);
    states.push(...shakeChain(chain, states[now], time.value, drawn));
    time.input.max = (states.length - 1) * DT * EVERY;
    run(time.value);
  });
  for (const [name, preset] of Object.entries(PRESETS)) {
    button(buttons, name, () => {
      for (const [trait, value] of Object.entries(preset)) model.set(trait, value);
      run(0);
    });
  }
  time.onInput = () => {
    rest();
    show();
  };
  time.value = model.get("time");
  const jump = () => {
    if (model.get("time") === time.value) return;
    time.value = model.get("time");
    time.onInput();
  };
  model.on("change:time", jump);
  const common = checkbox(controls, { label: "Shake all blocks alike" });
  const bound = Object.entries(inputs).map(([trait, input]) => [trait, slider(controls, input)]);
  const unbind = [...bound, ["common_noise", common]].map(([trait, control]) =>
    bind(model, trait, control, pull),
  );
  for (const words of WORDS) element("p", { class: "sbt-note" }, controls, words);
  pull();
  return () => {
    movie.stop();
    model.off("change:time", jump);
    unbind.forEach((each) => each());
  };
}

export default { render };
