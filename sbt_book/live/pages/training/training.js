/** The training explorable: train a network in the page, or two, and turn the knobs meanwhile. */

import { keepInAddress } from "../shared/address.js";
import { animation, bind, button, checkbox, element, panel } from "../shared/controls.js";
import { prefersReducedMotion, readout, slider } from "../shared/controls.js";
import { guide } from "../shared/guide.js";
import { loadCurveChart } from "../shared/load_curve_chart.js";
import { verdict } from "../shared/shape.js";
import { keptSettings } from "./kept_settings.js";
import { liveNetwork } from "./live_network.js";
import { ownData } from "./own_data.js";
import { TRAINING_KNOBS, SETTINGS, trainingFields } from "./training_fields.js";
import { trainingHistory } from "./training_history.js";

const ARCHITECTURE = ["width", "hidden_layers", "seed"];
const CLASSES = 10;
const MOST_GHOSTS = 4; // past curves in the picture
const SAVING = 1000; // milliseconds between two messages to Python while it trains

const MEMORY =
  "Noise turned down does not bend the curve all the way back. Start a new network that becomes";
const SAME =
  "Both start anew, from the same weights and on the same data. What is different between them is " +
  "the work of their knobs.";

function render({ model, el }) {
  const { root, charts, controls } = panel(el, "Live training");
  root.classList.add("sbt-training");
  const chart = loadCurveChart(charts, {});
  const secondPlace = element("div", { class: "sbt-controls sbt-training-second" }, root);
  const histories = element("div", {}, root);
  const still = prefersReducedMotion();
  const embedded = embeddedDigits(model);
  let data = embedded;
  let running = false;
  let seen = true;
  let ghosts = []; // past curves of the first network
  let turned = -Infinity; // when a knob was last turned
  let range = [-4, 2];
  let saved = 0;

  /** Start a network whose settings are the traits with a prefix, and all that tells of it. */
  function member(prefix, called) {
    const told = element("div", {}, charts);
    const tell = readout(told);
    const details = element("p", { class: "sbt-note" }, told);
    const charted = element("div", { role: "group" }, histories);
    const title = element("p", { class: "sbt-training-title" }, charted);
    const history = trainingHistory(charted);
    const live = liveNetwork(model.get("_worker"), still, (fresh) => {
      history.add(live.told);
      if (fresh) {
        ghosts = [];
        show(); // also while out of sight
      }
      movie.start();
      save();
    });
    return {
      live,
      history,
      settings: () => Object.fromEntries(SETTINGS.map((name) => [name, model.get(prefix + name)])),
      /** Say what the network is like; name it where there are two. */
      describe(two) {
        const words = described(live.told.separation);
        tell(two ? `${called}: ${words}` : words[0].toUpperCase() + words.slice(1));
        title.textContent = two ? called : "";
        charted.setAttribute("aria-label", called);
        const pace = running && live.told.pace ? `, ${Math.round(live.told.pace)} a second` : "";
        const steps = `${live.told.steps.toLocaleString("en-GB")} steps${pace}`;
        details.textContent = prefix ? `${steps}.` : `${steps}; ${counted(data)}.`;
      },
      end() {
        live.stop();
        told.remove();
        charted.remove();
      },
    };
  }

  const first = member("", "First network");
  let second = null;
  const members = () => (second ? [first, second] : [first]);

  function save() {
    const now = performance.now();
    if (running && now - saved < SAVING) return;
    saved = now;
    const known = (separation) => (separation?.every(Number.isFinite) ? separation : []);
    model.set("separation", known(first.live.told?.separation));
    model.set("second_separation", known(second?.live.told?.separation));
    for (const name of ["steps", "loss", "accuracy_train", "accuracy_test"]) {
      if (first.live.told) model.set(name, first.live.told[name]);
    }
    model.save_changes();
  }

  const movie = animation(root, (seconds) => {
    const moving = members().map(({ live }) => live.advance(seconds));
    show();
    return moving.some(Boolean);
  });

  function show() {
    if (!first.live.told) return;
    const other = second?.live;
    const both = Boolean(other?.told);
    first.describe(Boolean(second));
    if (both) second.describe(true);
    const values = first.live.shown;
    if (!values.every(Number.isFinite)) return;
    const curves = [{ name: second ? "first network" : "the network now", kind: "own", values }];
    if (both && other.shown.every(Number.isFinite)) {
      curves.push({ name: "second network", kind: "other", values: other.shown });
    }
    ghosts.forEach((past, place) => {
      curves.push({
        name: place ? "" : "before the knobs were turned",
        kind: "ghost",
        values: past,
      });
    });
    // The axis grows when it must and never shrinks: a curve that moves is then one that bends.
    const all = [...range, ...curves.flatMap((curve) => curve.values)];
    range = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
    const words = `Load curve of the network, ${described(first.live.told.separation)}`;
    const more = both ? `; of the second, ${described(other.told.separation)}` : "";
    chart.draw(curves, { range, words: words + more });
  }

  function remember() {
    const now = performance.now();
    const { told } = first.live;
    // One ghost for a slider's whole way, none of an untrained network.
    const drawn = told?.steps > 0 && told.separation.every(Number.isFinite);
    if (drawn && now - turned > 1500) {
      ghosts = [told.separation, ...ghosts].slice(0, MOST_GHOSTS);
      movie.start(); // the ghost is seen at once, not when the network is next heard of
    }
    turned = now;
  }

  function turn(one) {
    if (one === first) remember();
    one.history.mark();
    one.live.turn(one.settings());
  }
  function renew() {
    remember();
    const architecture = Object.fromEntries(ARCHITECTURE.map((name) => [name, model.get(name)]));
    for (const { history, live, settings } of members()) {
      history.clear();
      live.renew(data, architecture, settings());
    }
  }
  function run(wanted) {
    running = wanted;
    start.textContent = running ? "Pause" : "Start";
    start.setAttribute("aria-pressed", running);
    for (const { live } of members()) live.run(running && seen && !document.hidden);
  }

  const buttons = element("div", { class: "sbt-buttons" }, controls);
  const start = button(buttons, "Start", () => run(!running));
  button(buttons, "New network", () => {
    model.set("seed", model.get("seed") + 1);
    model.save_changes();
  });
  /** Append the knobs of a network; return a function that unbinds them. */
  function knobs(parent, prefix, suffix, onTurn) {
    const bound = Object.entries(TRAINING_KNOBS).map(([trait, { levels, label, ...knob }]) => {
      const allowed = levels && model.get(levels);
      const control = slider(parent, { ...knob, label: label + suffix, levels: allowed });
      return bind(model, prefix + trait, control, onTurn);
    });
    return () => bound.forEach((each) => each());
  }
  const unbind = [knobs(controls, "", "", () => turn(first))];
  const presets = element("div", { class: "sbt-buttons" }, controls);
  element("p", { class: "sbt-note" }, presets, MEMORY);
  for (const [name, preset] of model.get("_presets")) {
    button(presets, name, () => {
      for (const [trait, value] of Object.entries(preset)) model.set(trait, value);
      model.save_changes();
      renew();
      run(true);
    });
  }
  for (const name of ARCHITECTURE) {
    model.on(`change:${name}`, renew);
    unbind.push(() => model.off(`change:${name}`, renew));
  }

  const two = checkbox(secondPlace, { label: "Train a second network beside it" });
  const its = element("div", { class: "sbt-controls", role: "group" }, secondPlace);
  its.setAttribute("aria-label", "Second network");
  let unbindSecond = () => {};
  function follow() {
    if (model.get("second") === Boolean(second)) return;
    if (second) {
      unbindSecond();
      second.end();
      second = null;
      its.replaceChildren();
      save();
      movie.start();
      return;
    }
    second = member("second_", "Second network");
    element("p", { class: "sbt-note" }, its, SAME);
    unbindSecond = knobs(its, "second_", " (second)", () => turn(second));
    renew();
    run(running);
  }
  unbind.push(bind(model, "second", two, follow));

  const own = ownData(root, embedded, (chosen) => {
    data = chosen;
    renew();
    ghosts = []; // of other data
  });
  const fields = trainingFields(model);
  const size = embedded.train.images.length / embedded.train.labels.length;
  keptSettings(root, model, fields, own, { size, classes: CLASSES });

  // A training that nobody sees would only warm the room.
  const rest = () => run(running);
  const observer = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    rest();
  });
  observer.observe(root);
  document.addEventListener("visibilitychange", rest);
  if (model.get("second")) follow();
  else renew();
  const restart = () => {
    own.leave();
    renew();
    ghosts = []; // of what was there before the tour
    run(true);
  };
  unbind.push(
    guide(
      root,
      model,
      "training",
      tour(restart, () => run(true)),
    ),
  );
  unbind.push(keepInAddress(model, root, "training", fields));
  return () => {
    members().forEach(({ live }) => live.stop());
    movie.stop();
    observer.disconnect();
    document.removeEventListener("visibilitychange", rest);
    unbindSecond();
    unbind.forEach((each) => each());
  };
}

/** Return the steps of the guided tour; `restart` trains new networks, `go` goes on. */
function tour(restart, go) {
  const calm = { negative_slope: 0, learning_rate: 1e-3, batch_size: 256, label_noise: 0 };
  const noisy = Object.entries({ ...calm, dropout: 0.3 });
  const second = Object.fromEntries(noisy.map(([name, value]) => [`second_${name}`, value]));
  return [
    {
      words: "Watch a network learn, without noise.",
      look:
        "The deep end of its load curve falls first, and the curve bulges above its chord, the " +
        "dotted line: the network is lazy.",
      set: { ...calm, dropout: 0, second: false },
      act: restart,
    },
    {
      words: "Now add noise while it trains: dropout 0.3.",
      look:
        "The bulge goes, and the curve sags below its chord: active. The pale curve is the one " +
        "from before.",
      set: { dropout: 0.3 },
      act: go,
    },
    {
      words: "Take the noise away again.",
      look:
        "The curve rises, but slowly and not all the way: what the shallow layers have learned, " +
        "they keep.",
      set: { dropout: 0 },
      act: go,
    },
    {
      words: "Train two networks from the same first weights.",
      look: "Only the second, the dashed curve, has dropout. One ends lazy, the other active.",
      set: { dropout: 0, ...second, second: true },
      act: restart,
    },
    {
      words: "Your turn: turn a knob of either network, or bring data of your own.",
      look: "Below you can draw digits or paste a table. Neither leaves this page.",
    },
  ];
}

function described(separation) {
  const known = separation.every(Number.isFinite);
  return known ? verdict(separation) : "no load curve: some layer has no scatter to compare";
}

function counted({ train, test, noun }) {
  const [trained, tested] = [train.labels.length, test.labels.length];
  return `${trained} ${noun} to train on, ${tested || "none"} to test`;
}

/** Return the digits that came from Python: images (grey levels) and labels to train and test. */
export function embeddedDigits(model) {
  const bytes = (name) => {
    const { buffer, byteOffset, byteLength } = model.get(name);
    return new Uint8Array(buffer, byteOffset, byteLength);
  };
  const labels = bytes("_labels");
  const packed = bytes("_images"); // two pixels in a byte, each one of 16 greys
  const images = new Uint8Array(2 * packed.length);
  packed.forEach((pair, k) => images.set([17 * (pair >> 4), 17 * (pair & 15)], 2 * k));
  const inputs = images.length / labels.length;
  const count = model.get("_training_images");
  const part = (from, to) => {
    return { images: images.slice(from * inputs, to * inputs), labels: labels.slice(from, to) };
  };
  const [train, test] = [part(0, count), part(count, labels.length)];
  return { train, test, classes: CLASSES, noun: "digits" };
}

export default { render };
