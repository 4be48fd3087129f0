/** The language model explorable: follow a sentence through the blocks, and leave some out. */

import { choice, element, panel, readout, slider } from "../shared/controls.js";
import { keepInAddress } from "../shared/address.js";
import { guide } from "../shared/guide.js";
import { LANGUAGE_TOUR } from "./language_tour.js";
import { cellWords, removalWords } from "./language_words.js";
import { lossChart } from "./loss_chart.js";
import { sentencePicture } from "./sentence_picture.js";

const LANGUAGE_NOTE =
  "Shades and load curve are those of the whole model. The loss is measured on other texts, those " +
  "of the chapter.";
const TRAITS = ["sentence", "token", "depth", "start", "length"];

function render({ model, el }) {
  const { sentences, words, separation, loss } = JSON.parse(model.get("content"));
  const { root, stage, charts, controls } = panel(el, "A sentence in a language model");
  root.classList.add("sbt-language-panel");
  const options = Object.entries(sentences).map(([name, { text }]) => [name, `${name}: ${text} …`]);
  const which = choice(stage, { label: "Sentence", options });
  const picture = sentencePicture(stage, words, separation);
  const sliders = element("div", { class: "sbt-controls" }, stage);
  const blocks = separation.length - 1;
  const longest = loss.without.length;
  const length = slider(sliders, { label: "Blocks left out", min: 0, max: longest, step: 1 });
  const start = slider(sliders, { label: "The first of them", min: 1, max: blocks, step: 1 });
  const chart = lossChart(charts, loss);
  const tell = readout(controls);
  const tellLoss = readout(controls);
  element("p", { class: "sbt-note" }, controls, LANGUAGE_NOTE);
  let sentence, chosen, shown;
  let setting = false;

  function look(depth, token) {
    shown = [depth, token];
    tell(cellWords(sentence, words, depth, token));
  }

  /** Show what the traits say. */
  function follow() {
    if (setting) return;
    const [name, token, depth, first, count] = TRAITS.map((trait) => model.get(trait));
    if (sentence !== sentences[name]) {
      sentence = sentences[name];
      which.value = name;
      picture.show(sentence, name);
    }
    chosen = [depth, Math.min(token, sentence.tokens.length - 1)];
    picture.frame(...chosen);
    look(...chosen);
    const place = Math.min(first, blocks + 1 - Math.max(count, 1));
    length.value = count;
    start.value = place;
    start.input.disabled = !count;
    picture.remove(place, count);
    const said = removalWords(sentence, loss, place, count);
    chart.draw(place, count, said);
    tellLoss(said);
  }

  function choose(traits) {
    setting = true; // each of them would be heard by itself
    for (const [name, value] of Object.entries(traits)) model.set(name, value);
    setting = false;
    model.save_changes();
    follow();
  }

  which.onInput = (name) => choose({ sentence: name, token: sentences[name].tokens.length - 1 });
  length.onInput = (value) => choose({ length: value });
  start.onInput = (value) => choose({ start: value });
  picture.onChoose = (depth, token) => choose({ depth, token });
  // The pointer shows a cell and leaves the choice as it is.
  picture.onPoint = (place) => {
    const next = place ?? chosen;
    picture.outline(next.join() === chosen.join() ? null : next);
    if (shown.join() !== next.join()) look(...next);
  };
  const events = TRAITS.map((trait) => `change:${trait}`);
  for (const event of events) model.on(event, follow);
  follow();
  const endTour = guide(root, model, "language", LANGUAGE_TOUR);
  const last = Math.max(...Object.values(sentences).map(({ tokens }) => tokens.length)) - 1;
  const leaveAddress = keepInAddress(model, root, "language", {
    sentence: { options: Object.keys(sentences) },
    token: { min: 0, max: last, integer: true },
    depth: { min: 0, max: blocks, integer: true },
    start: { min: 1, max: blocks, integer: true },
    length: { min: 0, max: longest, integer: true },
  });
  return () => {
    leaveAddress();
    endTour();
    for (const event of events) model.off(event, follow);
  };
}

export default { render };
