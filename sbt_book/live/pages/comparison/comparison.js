/** A network's load curve beside that of a chain to turn. */

import { bind, button, element, panel, readout, slider } from "../shared/controls.js";
import { chainPicture } from "../chain/chain_picture.js";
import { DT, DURATION, chainSeparation, pullChain } from "../chain/chain_steps.js";
import { laidOver, scaledDifference } from "../shared/laid_over.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { standardNormal } from "../shared/random.js";
import { convexity, regime, signed } from "../shared/shape.js";

const format = (value) => value.toFixed(3);
const KNOBS = {
  friction: { label: "Friction", min: 0, max: 0.25, step: 0.001, format },
  noise: { label: "Shaking", min: 0, max: 0.25, step: 0.001, format },
  drive: { label: "Drive", min: 0, max: 1, step: 0.005, format },
};
const ABOUT =
  "Friction and shaking in units of k y, the force that stretches a single spring (k) over the " +
  "length of the whole chain (y); the drive, with which the hand draws every block (dashed), in " +
  "units of k.";

/** Return the chain of the traits, with the parameters that the others share. */
export function comparedChain({ chain, units }, traits) {
  return {
    ...chain,
    friction_right: traits.friction * units.friction,
    noise: traits.noise * units.noise,
    drive: traits.drive * units.drive,
  };
}

/** Return what network and chain look like, and how well they match. */
export function comparisonWords(network, chain, goodMatch) {
  const shape = (curve) => `${regime(curve)}, convexity ${signed(convexity(curve))}`;
  const off = scaledDifference(network, chain);
  const words = `The network is ${shape(network)}; the chain ${shape(chain)}.`;
  const match = off <= goodMatch ? "a match" : "no match";
  return `${words} Scaled alike, they differ by ${off.toFixed(3)}: ${match}.`;
}

function render({ model, el }) {
  const settings = JSON.parse(model.get("settings"));
  const { separation, low, high, best, good_match: goodMatch } = settings;
  const { root, stage, charts, controls } = panel(el, "A network and a chain");
  root.classList.add("sbt-comparison");
  const picture = chainPicture(stage);
  const chart = loadCurveChart(charts, {});
  const tell = readout(charts);
  const normals = standardNormal(0, DURATION / DT);
  const own = { name: "the network", kind: "own", values: separation, low, high };

  function show() {
    const names = Object.keys(KNOBS);
    const traits = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    const chain = comparedChain(settings, traits);
    const positions = pullChain(chain, normals).at(-1);
    const curve = chainSeparation(chain, positions);
    const words = comparisonWords(separation, curve, goodMatch);
    const values = laidOver(separation, curve)(curve);
    picture.draw(chain, positions);
    chart.draw([own, { name: "the chain, to its scale", kind: "other", values }], { words });
    tell(words);
  }

  const unbind = Object.entries(KNOBS).map(([trait, knob]) =>
    bind(model, trait, slider(controls, knob), show),
  );
  const buttons = element("div", { class: "sbt-buttons" }, controls);
  button(buttons, "Matched chain", () => {
    for (const [trait, value] of Object.entries(best)) model.set(trait, value);
    model.save_changes();
  });
  element("p", { class: "sbt-note" }, controls, ABOUT);
  show();
  return () => unbind.forEach((each) => each());
}

export default { render };
