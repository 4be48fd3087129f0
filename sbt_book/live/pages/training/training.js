/** The training explorable: train a network in the page and turn its knobs meanwhile. */

import { animation, bind, button, element, panel } from "../shared/controls.js";
import { prefersReducedMotion, readout, saveSoon, slider } from "../shared/controls.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { REGIME_TOLERANCE, convexity, signed, verdict } from "../shared/shape.js";
import { trainingHistory } from "./training_history.js";
import { trainingHost } from "./training_host.js";

const SETTINGS = ["negative_slope", "dropout", "learning_rate", "batch_size", "label_noise"];
const ARCHITECTURE = ["width", "hidden_layers", "seed"];
const CLASSES = 10;
const GHOSTS = 4; // past curves in the picture
const SETTLING = 0.08; // seconds: time constant at which the curve follows what is measured
const SAVING = 1000; // milliseconds between two messages to Python while it trains
const REDUCED = 500; // milliseconds between two pictures where the reader asked for less motion

const MEMORY =
  "Noise turned down does not bend the curve all the way back. Start a new network that becomes";

const decimals = (digits) => (value) => value.toFixed(digits);
const KNOBS = {
  negative_slope: { label: "Negative slope α", min: 0, max: 1, step: 0.05, format: decimals(2) },
  dropout: { label: "Dropout p", min: 0, max: 0.5, step: 0.01, format: decimals(2) },
  learning_rate: { label: "Learning rate", levels: "_learning_rates" },
  batch_size: { label: "Batch size", unit: "images", levels: "_batch_sizes" },
  label_noise: {
    label: "Label noise",
    min: 0,
    max: 1,
    step: 0.05,
    format: (value) => `${Math.round(100 * value)} %`,
  },
};

const STRIPS = [
  {
    label: "Convexity",
    range: [-0.4, 0.4],
    ticks: [
      [-0.3, "lazy"],
      [0, "0"],
      [0.3, "active"],
    ],
    band: [-REGIME_TOLERANCE, REGIME_TOLERANCE],
    lines: [{ style: "sbt-own", read: (point) => point.convexity }],
    words: (point) => (Number.isFinite(point.convexity) ? signed(point.convexity) : "none"),
  },
  {
    label: "Accuracy (dashed: test)",
    range: [0, 1],
    ticks: [
      [0, "0"],
      [0.5, "50 %"],
      [1, "100 %"],
    ],
    lines: [
      { style: "sbt-own", read: (point) => point.accuracy_train },
      { style: "sbt-other", read: (point) => point.accuracy_test },
    ],
    words: ({ accuracy_train, accuracy_test }) =>
      `${percent(accuracy_train)}, ${percent(accuracy_test)}`,
  },
  {
    label: "Loss",
    range: [-4, 1],
    ticks: [
      [-4, "10⁻⁴"],
      [-2, "10⁻²"],
      [0, "1"],
    ],
    lines: [{ style: "sbt-own", read: (point) => point.loss && Math.log10(point.loss) }],
    words: ({ loss }) => (loss === null ? "" : loss.toPrecision(2)),
  },
];

function percent(fraction) {
  return `${Math.round(100 * fraction)} %`;
}

function render({ model, el }) {
  const { root, charts, controls } = panel(el, "Live training");
  root.classList.add("sbt-training");
  const chart = loadCurveChart(charts, {});
  const tell = readout(charts);
  const details = element("p", { class: "sbt-note" }, charts);
  const history = trainingHistory(root, STRIPS);
  const still = prefersReducedMotion();
  const data = trainingData(model);
  const host = trainingHost(model.get("_worker"), hear);
  let running = false;
  let seen = true;
  let number = 0; // of the network: what is heard of an earlier one comes too late
  let told; // what was last heard
  let shown; // the curve as drawn, on its way to the one last heard
  let ghosts = [];
  let turned = -Infinity; // when a knob was last turned
  let range = [-4, 2];
  let saved = 0;

  function hear(latest) {
    if (latest.number !== number) return;
    const loss = latest.loss ?? (told?.number === number ? told.loss : null);
    told = { ...latest, loss, convexity: convexity(latest.separation) };
    history.add(told);
    if (shown?.length !== told.separation.length) {
      ghosts = [];
      shown = told.separation;
      show(); // also while out of sight
    }
    if (still) shown = told.separation;
    movie.start();
    save();
  }

  function save() {
    const now = performance.now();
    if (running && now - saved < SAVING) return;
    saved = now;
    const known = told.separation.every(Number.isFinite);
    model.set("separation", known ? told.separation : []);
    for (const name of ["steps", "loss", "accuracy_train", "accuracy_test"]) {
      model.set(name, told[name]);
    }
    saveSoon(model);
  }

  const movie = animation(root, (seconds) => {
    const part = 1 - Math.exp(-seconds / SETTLING);
    const target = told.separation;
    const near = shown.every((D, l) => Math.abs(target[l] - D) < 0.005);
    shown = near ? target : shown.map((D, l) => D + part * (target[l] - D));
    show();
    return !near;
  });

  function show() {
    const words = verdict(told.separation);
    if (shown.every(Number.isFinite)) {
      // The axis grows when it must and never shrinks: a curve that moves is then one that bends.
      const all = [...range, ...shown, ...ghosts.flat()];
      range = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
      const past = ghosts.map((values, place) => {
        return { name: place ? "" : "before the knobs were turned", kind: "ghost", values };
      });
      chart.draw([{ name: "the network now", kind: "own", values: shown }, ...past], {
        range,
        words: `Load curve of the network, ${words}`,
      });
    }
    tell(words[0].toUpperCase() + words.slice(1));
    const [trained, tested] = [data.train.labels.length, data.test.labels.length];
    const pace = running && told.pace ? `, ${Math.round(told.pace)} a second` : "";
    const steps = `${told.steps.toLocaleString("en-GB")} steps${pace}`;
    details.textContent = `${steps}; ${trained} digits to train on, ${tested} to test.`;
  }

  function remember() {
    const now = performance.now();
    // One ghost for a slider's whole way, none of an untrained network.
    const drawn = told?.steps > 0 && told.separation.every(Number.isFinite);
    if (drawn && now - turned > 1500) {
      ghosts = [told.separation, ...ghosts].slice(0, GHOSTS);
      movie.start(); // the ghost is seen at once, not when the network is next heard of
    }
    turned = now;
  }

  const settings = () => Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));
  const turn = () => {
    remember();
    history.mark();
    host.send({ settings: settings() });
  };
  function renew() {
    remember();
    history.clear();
    number++;
    const architecture = Object.fromEntries(ARCHITECTURE.map((name) => [name, model.get(name)]));
    const fresh = { ...data, number, architecture: { ...architecture, classes: CLASSES } };
    host.send({ settings: settings(), fresh, interval: still ? REDUCED : 125 });
  }
  function run(wanted) {
    running = wanted;
    start.textContent = running ? "Pause" : "Start";
    start.setAttribute("aria-pressed", running);
    host.send({ running: running && seen && !document.hidden });
  }

  const buttons = element("div", { class: "sbt-buttons" }, controls);
  const start = button(buttons, "Start", () => run(!running));
  button(buttons, "New network", () => {
    model.set("seed", model.get("seed") + 1);
    saveSoon(model);
  });
  const unbind = Object.entries(KNOBS).map(([trait, { levels, ...knob }]) => {
    const control = slider(controls, { ...knob, levels: levels && model.get(levels) });
    return bind(model, trait, control, turn);
  });
  const presets = element("div", { class: "sbt-buttons" }, controls);
  element("p", { class: "sbt-note" }, presets, MEMORY);
  for (const [name, preset] of model.get("_presets")) {
    button(presets, name, () => {
      for (const [trait, value] of Object.entries(preset)) model.set(trait, value);
      saveSoon(model);
      renew();
      run(true);
    });
  }
  for (const name of ARCHITECTURE) {
    model.on(`change:${name}`, renew);
    unbind.push(() => model.off(`change:${name}`, renew));
  }

  // A training that nobody sees would only warm the room.
  const rest = () => run(running);
  const observer = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    rest();
  });
  observer.observe(root);
  document.addEventListener("visibilitychange", rest);
  renew();
  return () => {
    host.stop();
    movie.stop();
    observer.disconnect();
    document.removeEventListener("visibilitychange", rest);
    unbind.forEach((each) => each());
  };
}

/** Return the images (grey levels) and labels that came from Python, as {train, test}. */
function trainingData(model) {
  const bytes = (name) => {
    const { buffer, byteOffset, byteLength } = model.get(name);
    return new Uint8Array(buffer, byteOffset, byteLength);
  };
  const [images, labels] = [bytes("_images"), bytes("_labels")];
  const inputs = images.length / labels.length;
  const count = model.get("_training_images");
  const part = (from, to) => {
    return { images: images.slice(from * inputs, to * inputs), labels: labels.slice(from, to) };
  };
  return { train: part(0, count), test: part(count, labels.length) };
}

export default { render };
