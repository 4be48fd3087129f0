/** A reader's own data: digits drawn on a pad, or a table pasted or chosen as a file. */

import { button, checkbox, choice, element } from "../shared/controls.js";
import { drawingPad, smallPicture } from "./drawing_pad.js";
import { TABLE_LIMITS, tableOfText } from "./table_of_text.js";

const MOST_DRAWINGS = 200;
const PRIVACY =
  "What you draw or paste is read and trained on in this page. It is sent nowhere, and no link to " +
  "this page holds it; it is gone when you leave, unless you save it below.";
const TABLE_WORDS =
  "One line for each sample: numbers, and a label in the last or the first column. The first line " +
  "may hold names. Two to ten classes, at most 2,000 samples of 200 numbers. Each column is " +
  "standardised (mean 0, variance 1); every fourth sample of a class is kept to test on.";

/**
 * Return the embedded digits with drawings, {label, image}, among those to train on, or the
 * drawings alone, tested on the embedded digits of their classes; or {problem}, words.
 */
export function digitsWithDrawings(embedded, drawings, alone) {
  const counts = new Uint32Array(embedded.classes);
  for (const { label } of drawings) counts[label]++;
  const drawn = [...counts.keys()].filter((label) => counts[label]);
  if (!drawn.length) return { problem: "There is no drawing yet; draw a digit and add it." };
  const lone = drawn.find((label) => counts[label] === 1);
  if (alone && drawn.length < 2) {
    return { problem: `All your drawings are of a ${drawn[0]}; add those of another digit.` };
  }
  if (alone && lone !== undefined) {
    return { problem: `There is only one ${lone}; draw another, or remove it.` };
  }
  const used = alone ? drawn : [...counts.keys()];
  const place = (label) => used.indexOf(label);
  const { images, labels } = embedded.train;
  const before = alone ? 0 : labels.length;
  const side = images.length / labels.length;
  const train = {
    images: new Uint8Array((before + drawings.length) * side),
    labels: new Uint8Array(before + drawings.length),
  };
  if (before) {
    train.images.set(images);
    train.labels.set(labels);
  }
  drawings.forEach(({ label, image }, k) => {
    train.images.set(image, (before + k) * side);
    train.labels[before + k] = place(label);
  });
  const tested = [...embedded.test.labels.keys()].filter((k) => counts[embedded.test.labels[k]]);
  const test = !alone
    ? embedded.test
    : {
        images: Uint8Array.from(
          tested.flatMap((k) => [...embedded.test.images.subarray(k * side, (k + 1) * side)]),
        ),
        labels: Uint8Array.from(tested, (k) => place(embedded.test.labels[k])),
      };
  return { train, test, classes: used.length, noun: "digits" };
}

/**
 * Append what a reader needs to bring data, folded until it is opened. `use(data)` hears of data
 * to train on. What it returns has the data that are in use as `saved`, for a file (null: the
 * embedded ones), and `restore` that takes them back and returns what is wrong with them.
 */
export function ownData(parent, embedded, use) {
  const root = element("details", { class: "sbt-more" }, parent);
  element("summary", {}, root, "Your own data");
  const size = embedded.train.images.length / embedded.train.labels.length;
  const side = Math.sqrt(size);
  let drawings = [];
  let saved = null;
  let parts = null;

  function useDrawings(alone) {
    const data = digitsWithDrawings(embedded, drawings, alone);
    if (data.problem) return data.problem;
    const hex = (image) => Array.from(image, (grey) => grey.toString(16).padStart(2, "0")).join("");
    const digits = drawings.map(({ label, image }) => ({ label, image: hex(image) }));
    begin(data, { digits, alone });
    return "";
  }

  function useTable(text, label) {
    const data = tableOfText(text, label);
    if (data.problem) return data.problem;
    begin({ ...data, noun: "samples" }, { table: text, label });
    return "";
  }

  function begin(data, used) {
    saved = used;
    if (parts) {
      parts.back.disabled = !used;
      parts.status.textContent = "";
    }
    use(data);
  }

  function leave() {
    if (saved) begin(embedded, null);
  }

  function build() {
    if (parts) return;
    element("p", { class: "sbt-note" }, root, PRIVACY);
    const columns = element("div", { class: "sbt-more-columns" }, root);
    const drawn = drawingPart(columns);
    const table = tablePart(columns);
    const row = element("div", { class: "sbt-buttons" }, root);
    const back = button(row, "Back to the embedded digits", () => {
      leave();
      drawn.tell("");
      table.tell("");
      status.textContent = "Above is a new network for the embedded digits.";
    });
    back.disabled = !saved;
    const status = element("p", { role: "status" }, root);
    parts = { back, status, drawn, table };
  }

  function drawingPart(columns) {
    const part = element("fieldset", {}, columns);
    const tell = (words) => (said.textContent = words);
    element("legend", {}, part, "Draw digits");
    const pad = drawingPad(part, side);
    const options = [...Array(embedded.classes).keys()].map((label) => [label, String(label)]);
    const which = choice(part, { label: "This is a", options });
    const row = element("div", { class: "sbt-buttons" }, part);
    button(row, "Add", () => {
      const { image } = pad;
      if (!image.some(Boolean)) return tell("The pad is empty; draw a digit on it first.");
      if (drawings.length === MOST_DRAWINGS) {
        return tell(`There are ${MOST_DRAWINGS} drawings; remove one before you add another.`);
      }
      drawings.push({ label: which.value, image: image.slice() });
      pad.clear();
      list();
      const count = drawings.filter(({ label }) => label === which.value).length;
      tell(`Added: drawing ${count} of a ${which.value}.`);
    });
    button(row, "Clear", () => pad.clear());
    const shown = element("div", { class: "sbt-drawings" }, part);
    const alone = checkbox(part, { label: "Without the embedded digits" });
    button(element("div", { class: "sbt-buttons" }, part), "Train on these", () => {
      tell(useDrawings(alone.value) || `Above is a new network for ${countWords()}.`);
    });
    const countWords = () => {
      const words = `${drawings.length} drawing${drawings.length > 1 ? "s" : ""}`;
      return alone.value ? `${words} alone` : `the embedded digits and ${words}`;
    };
    function list() {
      shown.replaceChildren();
      drawings.forEach((drawing, place) => {
        const each = button(shown, "", () => {
          drawings.splice(place, 1);
          list();
          (shown.children[place] ?? shown.lastChild ?? which.input).focus();
          tell(`Removed: a drawing of a ${drawing.label}.`);
        });
        each.setAttribute("aria-label", `Remove drawing ${place + 1}, a ${drawing.label}`);
        each.title = "Remove";
        smallPicture(each, drawing.image, side);
        each.append(drawing.label);
      });
    }
    const said = element("p", { role: "status" }, part);
    list();
    return { tell, list, alone };
  }

  function tablePart(columns) {
    const part = element("fieldset", {}, columns);
    const tell = (words) => (said.textContent = words);
    element("legend", {}, part, "Paste a table (CSV)");
    element("p", { class: "sbt-note" }, part, TABLE_WORDS);
    const words = { rows: 6, "aria-label": "Table as CSV text", spellcheck: "false", wrap: "off" };
    const area = element("textarea", words, part);
    area.placeholder = "width, height, kind\n1.4, 0.2, a\n4.7, 1.4, b";
    // A field that takes in megabytes would hang before anyone could refuse them.
    const tooLong = (size) => {
      if (size <= TABLE_LIMITS.characters) return false;
      const words = `${size.toLocaleString("en-GB")} characters are too many`;
      tell(`${words}; at most a million fit here. Take fewer samples.`);
      return true;
    };
    area.addEventListener("paste", (event) => {
      if (tooLong(event.clipboardData.getData("text").length)) event.preventDefault();
    });
    const file = element("input", { type: "file", accept: ".csv,.txt,.tsv,text/*" }, part);
    file.setAttribute("aria-label", "Choose a CSV file");
    file.addEventListener("change", async () => {
      const [chosen] = file.files;
      file.value = "";
      if (!chosen || tooLong(chosen.size)) return;
      try {
        area.value = await chosen.text();
        tell(`Read: ${chosen.name}. Nothing was sent.`);
      } catch {
        tell(`${chosen.name} cannot be read; choose another file.`);
      }
    });
    const ends = [
      ["last", "the last column"],
      ["first", "the first column"],
    ];
    const label = choice(part, { label: "The label is", options: ends });
    button(element("div", { class: "sbt-buttons" }, part), "Train on this table", () => {
      tell(useTable(area.value, label.value) || "Above is a new network for your table.");
    });
    const said = element("p", { role: "status" }, part);
    return { tell, area, label };
  }

  root.addEventListener("toggle", build);
  return {
    get saved() {
      return saved;
    },
    /** Go back to the embedded digits. */
    leave,
    /** Go back to data that `saved` gave; they were checked for their types. */
    restore(data) {
      build();
      if (data.table !== undefined) {
        const problem = useTable(data.table, data.label);
        if (!problem) {
          parts.table.area.value = data.table;
          parts.table.label.value = data.label;
        }
        return problem;
      }
      const before = drawings;
      drawings = data.digits.map(({ label, image }) => {
        return { label, image: Uint8Array.from(image.match(/../g), (hex) => parseInt(hex, 16)) };
      });
      const problem = useDrawings(data.alone);
      if (problem) drawings = before;
      else parts.drawn.alone.value = data.alone;
      parts.drawn.list();
      return problem;
    },
  };
}

/** Say what is wrong with the types of data read from a file; return "" if nothing is. */
export function savedDataProblem(data, size, classes) {
  if (data === null) return "";
  if (typeof data !== "object" || Array.isArray(data)) return "“data” is not an object";
  if (Object.hasOwn(data, "table")) {
    if (typeof data.table !== "string") return "“data.table” is not a text";
    return ["first", "last"].includes(data.label) ? "" : "“data.label” is not “first” or “last”";
  }
  if (!Array.isArray(data.digits)) return "“data” has neither “table” nor a list of “digits”";
  if (typeof data.alone !== "boolean") return "“data.alone” is not true or false";
  const { length } = data.digits;
  if (!length || length > MOST_DRAWINGS)
    return `“data.digits” has ${length} drawings, not 1 to ${MOST_DRAWINGS}`;
  const wrong = data.digits.findIndex((each) => {
    const label = Number.isInteger(each?.label) && each.label >= 0 && each.label < classes;
    const hex = typeof each?.image === "string" && /^([0-9a-f]{2})+$/.test(each.image);
    return !(label && hex && each.image.length === 2 * size);
  });
  return wrong < 0 ? "" : `drawing ${wrong + 1} of “data.digits” is not a label and ${size} greys`;
}
