/** The landing page's live picture: a network and the chain that matches it, under two knobs. */

import { animation, element, panel } from "../shared/controls.js";
import { nearest, prefersReducedMotion, readout, slider } from "../shared/controls.js";
import { chainPicture } from "../chain/chain_picture.js";
import { DT, DURATION, chainSeparation, pullChain } from "../chain/chain_steps.js";
import { laidOver } from "../shared/laid_over.js";
import { landingWords } from "./landing_words.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { networkPicture } from "./network_picture.js";
import { standardNormal } from "../shared/random.js";

const START = { slope: 0, noise: 0 };
const TURNS = [{ noise: 0.2 }, { slope: 0.4 }, { noise: 0.04 }]; // lazy, active, straight
const WAIT = 600; // ms before the first picture moves by itself
const PACE_OF_TURNS = 160; // ms for each level that a knob is turned
const GLIDE = 140; // ms from one cell's picture to the next one's
const TOUCHES = ["pointerdown", "touchstart", "wheel", "keydown"];
const NOTE =
  "Nonlinearity: the slope of the activation below zero, from 1 (linear) to 0 (ReLU). Networks: " +
  "ten for each setting, trained on handwritten digits; the band is their standard deviation. The " +
  "chain is simulated in your browser: each nonlinearity has one friction, each dropout one " +
  "shaking, and each setting its own drive, with which the hand draws every block (dashed). " +
  "Dotted: the same work for every layer. From one setting to the next the pictures glide.";

/** Return the chain of a cell of the packed cells. */
export function chainOfCell(cells, row, column) {
  return {
    ...cells.chain,
    friction_right: cells.friction[row],
    noise: cells.shaking[column],
    drive: cells.drive[row][column],
  };
}

/** Return what is drawn of a cell: curves of equal fall, and where layers and blocks stand. */
export function cellState(cells, normals, row, column) {
  const networks = cells.separation[row][column];
  const spread = cells.spread[row][column];
  const chain = chainOfCell(cells, row, column);
  const blocks = Array.from(pullChain(chain, normals).at(-1));
  const separation = chainSeparation(chain, blocks);
  const fall = networks[0] - networks.at(-1);
  const scale = fall / (chain.end - separation.at(-1));
  return {
    networks,
    low: networks.map((D, l) => D - spread[l]),
    high: networks.map((D, l) => D + spread[l]),
    chain: laidOver(networks, separation)(separation),
    blocks,
    layers: networks.slice(1).map((D) => (networks[0] - D) / scale),
  };
}

/** Return the levels (row, column) that the knobs pass on a way, from one turn to the next. */
export function wayOf(cells, start, turns) {
  const place = (name, value) => nearest(cells[name], value);
  let at = [place("slope", start.slope), place("noise", start.noise)];
  const way = [at];
  for (const turn of turns) {
    const [name] = Object.keys(turn);
    const axis = name === "slope" ? 0 : 1;
    const goal = place(name, turn[name]);
    while (at[axis] !== goal) {
      at = at.with(axis, at[axis] + Math.sign(goal - at[axis]));
      way.push(at);
    }
  }
  return way;
}

/** Return the name of a negative slope. */
function slopeWords(slope) {
  return { 0: "ReLU", 1: "linear" }[slope] ?? `slope ${slope}`;
}

/** Build the live picture in a place whose last paragraph has four links; take the still away. */
export function landing(place, cells) {
  const still = [...place.children];
  const [toNetwork, toCurve, toChain, toMap] = place.querySelectorAll(":scope > p:last-child a");
  const { root, stage, charts, controls } = panel(place, "A network and a chain");
  root.classList.add("sbt-landing");
  const network = networkPicture(part(stage, toNetwork, "each gap is a layer’s work"));
  const chain = chainPicture(part(stage, toChain, "pulled, held by friction, shaken"));
  const chart = loadCurveChart(charts, { height: 190 });
  charts.append(toCurve);
  const friction = { label: "Nonlinearity = friction", levels: cells.slope, format: slopeWords };
  const nonlinearity = slider(controls, friction);
  const format = (level) => `dropout ${Math.round(100 * level)} %`;
  const noise = slider(controls, { label: "Noise = shaking", levels: cells.noise, format });
  const tell = readout(controls);
  const sentence = controls.querySelector(".sbt-readout");
  element("p", {}, controls).append(toMap);
  element("p", { class: "sbt-note" }, root, NOTE);
  const range = rangeOf(cells);
  const normals = standardNormal(0, DURATION / DT);
  const known = new Map();
  const way = wayOf(cells, START, TURNS);
  let from, to, shown, ownChain, words;
  let passed = 1; // the part of the way from one cell's picture to the next one's

  function stateOf(row, column) {
    const name = `${row},${column}`;
    if (!known.has(name)) known.set(name, cellState(cells, normals, row, column));
    return known.get(name);
  }
  function draw() {
    const mix = (name) =>
      to[name].map((value, l) => value + (1 - passed) * (from[name][l] - value));
    shown = Object.fromEntries(Object.keys(to).map((name) => [name, mix(name)]));
    const end = Math.max(ownChain.end, ...shown.blocks);
    network.draw(shown.layers, end);
    chain.draw(ownChain, shown.blocks);
    const { networks: values, low, high } = shown;
    const own = { name: `${cells.seeds} networks`, kind: "own", values, low, high };
    const other = { name: "the chain", kind: "other", values: shown.chain };
    chart.draw([own, other], { range, words: `Load curves. ${words}` });
  }
  function choose(row, column) {
    to = stateOf(row, column);
    from = shown ?? to;
    ownChain = chainOfCell(cells, row, column);
    words = landingWords(to.networks, to.chain, cells.good_match);
    passed = from === to || prefersReducedMotion() ? 1 : 0;
    if (passed) draw();
    else glide.start();
  }
  const glide = animation(root, (seconds) => {
    passed = Math.min(passed + (1000 * seconds) / GLIDE, 1);
    draw();
    return passed < 1;
  });
  function turn() {
    choose(nearest(cells.slope, nonlinearity.value), nearest(cells.noise, noise.value));
    tell(words);
  }
  for (const knob of [nonlinearity, noise]) knob.onInput = turn;

  // By itself it moves once, until the reader does anything.
  let turned = 0;
  const turning = animation(root, (seconds) => {
    turned += (1000 * seconds) / PACE_OF_TURNS;
    follow(Math.min(Math.floor(turned), way.length - 1));
    if (turned >= way.length) stop();
  });
  function follow(step) {
    const [row, column] = way[step];
    const [slope, level] = [cells.slope[row], cells.noise[column]];
    if (nonlinearity.value === slope && noise.value === level && shown) return;
    nonlinearity.value = slope;
    noise.value = level;
    choose(row, column);
    sentence.textContent = words; // nobody asked for it: nothing is read out
  }
  function stop() {
    clearTimeout(later);
    turning.stop();
    glide.stop();
    passed = 1;
    draw();
    for (const event of TOUCHES) window.removeEventListener(event, stop, true);
    root.removeEventListener("focusin", stop);
  }
  follow(0);
  tell(words);
  const later = prefersReducedMotion() ? undefined : setTimeout(turning.start, WAIT);
  if (later !== undefined) {
    const options = { capture: true, passive: true };
    for (const event of TOUCHES) window.addEventListener(event, stop, options);
    root.addEventListener("focusin", stop);
  }
  for (const each of still) each.hidden = true;
}

/** Append a picture's place, below a link and what to look at. */
function part(parent, link, words) {
  const place = element("div", {}, parent);
  const caption = element("p", { class: "sbt-landing-caption" }, place);
  caption.append(link, `: ${words}`);
  return element("div", {}, place);
}

/** Return a range of D that holds all curves: axes that stay while curves bend. */
function rangeOf({ separation, spread }) {
  const [all, off] = [separation.flat(2), Math.max(...spread.flat(2))];
  return [Math.floor(2 * Math.min(...all)) / 2, Math.ceil(2 * (Math.max(...all) + off)) / 2];
}
