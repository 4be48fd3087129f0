/** The phase diagram explorable: choose a cell, see its networks and the chain that matches it. */

import { animation, button, choice, element, panel } from "../shared/controls.js";
import { nearest, prefersReducedMotion, readout, slider } from "../shared/controls.js";
import { chainPicture } from "../chain/chain_picture.js";
import { DT, DURATION, EVERY } from "../chain/chain_steps.js";
import { chainAmplitude, chainSeparation, pullChain } from "../chain/chain_steps.js";
import { keepInAddress } from "../shared/address.js";
import { guide } from "../shared/guide.js";
import { diagramPicture } from "./diagram_picture.js";
import { DIAGRAM_TOUR } from "./diagram_tour.js";
import { cellVerdict, chainWords, networkWords, slopeName } from "./diagram_words.js";
import { laidOver } from "../shared/laid_over.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { standardNormal } from "../shared/random.js";

const PACE = 200; // units of time in a second of the reader's
const CALM = 0.4; // seconds after the last choice before the chain is pulled

/** Return a chain with its friction to the right and its noise given in units of k y. */
export function chainInUnits(chain, friction, noise) {
  const pull = chain.spring_constant * chain.end;
  const one = chainAmplitude({ ...chain, noise: 1 });
  return { ...chain, friction_right: friction * pull, noise: (noise * pull) / one };
}

/** Return the load curves of a cell's networks as charts take them: ours, the published one. */
function networkCurves(diagram, row, column) {
  const values = diagram.separation[row][column];
  const spread = diagram.spread[row][column];
  const [low, high] = [-1, 1].map((sign) => values.map((D, l) => D + sign * spread[l]));
  const name = `${diagram.seeds} networks, mean and spread`;
  const own = { name, kind: "own", values, low, high };
  const theirs = diagram.published[row][column];
  if (!theirs) return [own];
  const scaled = laidOver(values, theirs)(theirs);
  return [own, { name: "published, to this scale", kind: "theory2", values: scaled }];
}

/** Return the range of D of a whole diagram. */
function diagramRange({ separation }) {
  const all = separation.flat(2);
  return [Math.floor(2 * Math.min(...all)) / 2, Math.ceil(2 * Math.max(...all)) / 2];
}

function render({ model, el }) {
  const { diagrams, names, chain: common, good_match: goodMatch } = JSON.parse(model.get("cells"));
  const { root, stage, charts, controls } = panel(el, "Phase diagram");
  root.classList.add("sbt-diagram-panel");
  const options = Object.entries(names);
  const axis = choice(stage, { label: "Source of noise", options });
  const grid = diagramPicture(stage, goodMatch);
  const sliders = element("div", { class: "sbt-controls" }, stage);
  const chart = loadCurveChart(charts, {});
  const tell = readout(charts);
  const about = element("p", { class: "sbt-note" }, charts);
  const table = element("div", { class: "sbt-diagram-chain" }, controls);
  const picture = chainPicture(table);
  const below = element("div", { class: "sbt-diagram-below" }, table);
  const normals = standardNormal(0, DURATION / DT);
  let diagram, range, inputs, chosen, shown, chain, states, scale, ownWords;
  let time = DURATION;
  let later; // the timer of the next pull
  let waiting = false; // for the chosen chain's pull, or for its end
  let setting = false;

  /** Draw the chain and both load curves at the present time. */
  function draw() {
    const [row, column] = shown;
    const [own, ...published] = networkCurves(diagram, row, column);
    const positions = states[Math.round(time / (DT * EVERY))];
    const good = diagram.residual[row][column] <= goodMatch;
    const name = good ? "the matched chain" : "the nearest chain (a poor match)";
    const values = scale(chainSeparation(chain, positions));
    const curves = [own, { name, kind: "other", values }, ...published];
    const reach = [Math.min(range[0], ...own.low), Math.max(range[1], ...own.high)];
    picture.draw(chain, positions); // asks for its width, so before anything else has changed
    chart.draw(curves, { range: reach, words: `Load curves. ${ownWords}` });
  }

  /** Show a cell with its chain at rest. */
  function look(row, column) {
    movie.stop();
    shown = [row, column];
    time = DURATION;
    const noise = diagram.chain_noise[row][column];
    chain = chainInUnits(common, diagram.chain_friction[row], noise);
    states = pullChain(chain, normals);
    const final = chainSeparation(chain, states.at(-1));
    scale = laidOver(diagram.separation[row][column], final);
    ownWords = cellVerdict(diagram, row, column);
    draw();
    about.textContent = networkWords(diagram, row, column);
    aboutChain.textContent = chainWords(diagram, row, column, goodMatch);
    tell(ownWords);
    sayPlay();
  }

  /** Show the cell that the traits name. */
  function follow() {
    if (setting) return;
    const name = model.get("noise_axis");
    if (diagram !== diagrams[name]) {
      diagram = diagrams[name];
      range = diagramRange(diagram);
      axis.value = name;
      grid.show(diagram, names[name]);
      addSliders();
    }
    const row = nearest(diagram.slope, model.get("slope"));
    const column = nearest(diagram.noise, model.get("noise"));
    const again = chosen?.join() === [name, row, column].join();
    chosen = [name, row, column];
    if (!again || shown.join() !== [row, column].join()) look(row, column);
    grid.frame(row, column);
    inputs[0].value = diagram.noise[column];
    inputs[1].value = diagram.slope[row];
  }

  function choose(traits) {
    setting = true; // each of them would be heard by itself
    for (const [name, value] of Object.entries(traits)) model.set(name, value);
    setting = false;
    model.save_changes();
    follow();
    pullSoon();
  }

  function addSliders() {
    sliders.replaceChildren();
    const format = (level) => diagram.noise_names[nearest(diagram.noise, level)];
    const noise = slider(sliders, { label: diagram.label, levels: diagram.noise, format });
    const alpha = { label: "negative slope α", levels: diagram.slope, format: slopeName };
    const slope = slider(sliders, alpha);
    noise.onInput = (value) => choose({ noise: value });
    slope.onInput = (value) => choose({ slope: value });
    inputs = [noise, slope];
  }

  const movie = animation(root, (seconds) => {
    time = Math.min(time + seconds * PACE, DURATION);
    draw();
    if (time < DURATION) return true;
    waiting = false;
    sayPlay();
    return false;
  });
  function pull() {
    if (time === DURATION) time = 0;
    movie.start();
    sayPlay();
  }
  function pullSoon() {
    clearTimeout(later);
    waiting = !prefersReducedMotion();
    if (waiting) later = setTimeout(pull, 1000 * CALM);
  }
  const play = button(below, "Pull", () => {
    clearTimeout(later);
    waiting = false;
    if (!movie.running) return pull();
    movie.stop();
    sayPlay();
  });
  play.hidden = prefersReducedMotion();
  const aboutChain = element("p", { class: "sbt-note" }, below);
  function sayPlay() {
    play.textContent = movie.running && time < DURATION ? "Pause" : "Pull";
  }

  axis.onInput = (name) => {
    const { noise, slope } = diagrams[name];
    const part = nearest(diagram.noise, model.get("noise")) / (diagram.noise.length - 1);
    choose({ noise_axis: name, noise: noise[Math.round(part * (noise.length - 1))] });
  };
  grid.onChoose = (row, column) => {
    choose({ noise: diagram.noise[column], slope: diagram.slope[row] });
  };
  // The pointer shows a cell and leaves the choice as it is.
  grid.onPoint = (place) => {
    const [, row, column] = chosen;
    const other = place && place.join() !== [row, column].join();
    grid.outline(other ? place : null);
    const next = other ? place : [row, column];
    if (shown.join() === next.join()) return;
    clearTimeout(later);
    look(...next);
    if (waiting && !other) pullSoon();
  };
  const traits = ["noise_axis", "noise", "slope"].map((name) => `change:${name}`);
  for (const event of traits) model.on(event, follow);
  follow();
  const steps = DIAGRAM_TOUR.map((step) => ({ ...step, act: pullSoon }));
  const endTour = guide(root, model, "phase_diagram", steps);
  const levels = (name) => () => diagrams[model.get("noise_axis")][name];
  const leaveAddress = keepInAddress(model, root, "phase_diagram", {
    noise_axis: { options: Object.keys(names) },
    noise: { levels: levels("noise") },
    slope: { levels: levels("slope") },
  });
  return () => {
    leaveAddress();
    endTour();
    movie.stop();
    clearTimeout(later);
    for (const event of traits) model.off(event, follow);
  };
}

export default { render };
