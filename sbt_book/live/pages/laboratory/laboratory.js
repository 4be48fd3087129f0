/** The laboratory: knobs for the trainer of a live kernel, and the curves that come back. */

import { bind, button, element, panel, readout, slider } from "../shared/controls.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { convexity, regime, signed } from "../shared/shape.js";

const PATIENCE = 2000; // milliseconds in which a kernel answers, if there is one
const KINDS = ["own", "other", "third", "fourth", "fifth"];
const BATCH_SIZES = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 0];
const RATES = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1];

function render({ model, el }) {
  const { root, stage, charts, controls } = panel(el, "Laboratory");
  const note = element("p", { class: "sbt-note" }, stage);
  const chart = loadCurveChart(charts, {});
  const tell = readout(charts);
  const table = element("div", { class: "sbt-laboratory-runs", tabindex: 0 }, charts);
  table.setAttribute("role", "region");
  table.setAttribute("aria-label", "Runs so far");
  const buttons = element("div", { class: "sbt-buttons" }, controls);
  const train = button(buttons, "Train", () => {
    model.send(model.get("training") ? "stop" : "train");
  });
  const clear = button(buttons, "Forget all runs", () => model.send("clear"));
  const bar = element("progress", { max: 1, "aria-label": "Training" }, controls);
  const percent = (value) => `${Math.round(100 * value)} %`;
  const inputs = {
    negative_slope: { label: "Negative slope α", min: 0, max: 1, step: 0.05 },
    dropout: { label: "Dropout p", min: 0, max: 0.6, step: 0.01 },
    learning_rate: { label: "Learning rate", levels: RATES },
    data_noise: { label: "Data noise", min: 0, max: 1, step: 0.05, format: percent },
    batch_size: { label: "Batch size", levels: BATCH_SIZES, unit: "images" },
    epochs: { label: "Epochs", min: 10, max: 400, step: 10 },
    networks: { label: "Networks at once", min: 1, max: 10, step: 1 },
  };
  inputs.batch_size.format = (value) => value || "all";
  const knobs = Object.entries(inputs).map(([trait, input]) => [trait, slider(controls, input)]);
  const unbind = knobs.map(([trait, knob]) => bind(model, trait, knob, () => {}));
  let kernel = false;

  function enable() {
    for (const [, knob] of knobs) knob.input.disabled = !kernel;
    train.disabled = !kernel;
    clear.disabled = !kernel || model.get("training");
    train.textContent = model.get("training") ? "Stop" : "Train";
    note.textContent = kernel
      ? `A kernel is listening; it trains on ${model.get("device")}.`
      : "No kernel is listening: these are the runs that were saved with this page. To train " +
        "your own, open the chapter on Colab or Binder, or run it on your machine.";
  }

  function show() {
    const runs = model.get("runs");
    bar.value = model.get("progress");
    const latest = runs.slice(-KINDS.length).reverse();
    table.replaceChildren();
    if (!latest.length) return tell(model.get("message") || "Nothing has been trained yet.");
    const curves = latest.map((run, place) => ({
      name: run.name,
      kind: KINDS[place],
      ...spread(run.separation),
    }));
    list(table, runs);
    if (!curves[0].values.every(Number.isFinite)) return tell("D is undefined: a network failed.");
    const [run] = latest;
    const shape = `${regime(curves[0].values)}, convexity ${signed(convexity(curves[0].values))}`;
    const drawn = curves.filter(({ values }) => values.every(Number.isFinite));
    chart.draw(drawn, { words: `Load curves; the latest is ${shape}` });
    const count = run.separation.length;
    tell(model.get("message") || `Epoch ${run.epochs}, mean of ${count}: ${shape}`);
  }

  const follow = { training: enable, runs: show, progress: show, message: show };
  for (const [trait, react] of Object.entries(follow)) model.on(`change:${trait}`, react);
  const answer = () => {
    kernel = true;
    enable();
  };
  model.on("msg:custom", answer);
  model.send("hello");
  const silence = setTimeout(enable, PATIENCE);
  show();
  return () => {
    clearTimeout(silence);
    model.off("msg:custom", answer);
    for (const [trait, react] of Object.entries(follow)) model.off(`change:${trait}`, react);
    unbind.forEach((each) => each());
    root.remove();
  };
}

/** Return the mean over networks of D_l, and what lies one standard deviation around it. */
function spread(separation) {
  const values = separation[0].map((_, l) => mean(separation.map((curve) => curve[l])));
  if (separation.length < 2) return { values };
  const deviations = values.map((middle, l) => {
    return Math.sqrt(mean(separation.map((curve) => (curve[l] - middle) ** 2)));
  });
  const low = values.map((value, l) => value - deviations[l]);
  return { values, low, high: values.map((value, l) => value + deviations[l]) };
}

function mean(numbers) {
  return numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
}

function list(parent, runs) {
  const table = element("table", {}, parent);
  const head = element("tr", {}, element("thead", {}, table));
  const names = ["run", "epochs", "test accuracy", "convexity", "regime"];
  for (const name of names) element("th", { scope: "col" }, head, name);
  const body = element("tbody", {}, table);
  for (const run of runs) {
    const { values } = spread(run.separation);
    const row = element("tr", {}, body);
    element("th", { scope: "row" }, row, run.name);
    const accuracy = `${(100 * mean(run.accuracy_test)).toFixed(1)} %`;
    const cells = [run.epochs, accuracy, signed(convexity(values)), regime(values)];
    for (const cell of cells) element("td", {}, row, cell);
  }
}

export default { render };
