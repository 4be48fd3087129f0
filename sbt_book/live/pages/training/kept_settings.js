/** Settings of a training that a reader keeps: in the browser, or as a small JSON file. */

import { button, checkbox, element } from "../shared/controls.js";
import { savedDataProblem } from "./own_data.js";
import { refusal } from "./training_fields.js";

const FORMAT = "spring-block training 1";
const SLOT = "sbt-training";
const MOST_CHARACTERS = 3e6;
const KEPT =
  "What is kept: the knobs and the seed of the first weights, not what was learned. With the same " +
  "settings a new network begins in the same way.";
const UNSAVED = "This browser lets the page save nothing; download a file instead.";
const TOO_LARGE = "it is larger than 3 MB";

/** Use the browser's storage: {value}, or {failed} where it is off, full or forbidden. */
function stored(act) {
  try {
    return { value: act(localStorage) };
  } catch {
    return { failed: true };
  }
}

function what(data) {
  return data ? "the settings and your data" : "the settings";
}

/** Return settings, and data or null, as the text of a file. */
export function textOfSettings(settings, data) {
  return `${JSON.stringify({ format: FORMAT, settings, data }, null, 1)}\n`;
}

/**
 * Return {settings, data} of such a text, or {problem}, words: the file is taken as a whole or
 * not at all. `fields` are those of `trainingFields`; drawings have `size` greys.
 */
export function settingsOfText(text, fields, size, classes) {
  if (text.length > MOST_CHARACTERS) return { problem: TOO_LARGE };
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return { problem: "it is not JSON" };
  }
  const { format, settings, data = null } = found ?? {};
  if (format !== FORMAT) return { problem: `its “format” is not “${FORMAT}”` };
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    return { problem: "“settings” is not an object" };
  }
  for (const [name, value] of Object.entries(settings)) {
    const called = `“${name.slice(0, 30)}”`;
    if (!Object.hasOwn(fields, name)) return { problem: `it has no setting called ${called}` };
    const allowed = refusal(fields[name], value);
    if (allowed) {
      const words = String(JSON.stringify(value)).slice(0, 30);
      return { problem: `${called} is ${words}, not ${allowed}` };
    }
  }
  const problem = savedDataProblem(data, size, classes);
  return problem ? { problem } : { settings, data };
}

/** Append the buttons, folded until they are wanted. `own` is what `ownData` returned. */
export function keptSettings(parent, model, fields, own, { size, classes }) {
  const root = element("details", { class: "sbt-more" }, parent);
  element("summary", {}, root, "Save and restore settings");
  root.addEventListener("toggle", build, { once: true });

  function build() {
    element("p", { class: "sbt-note" }, root, KEPT);
    const row = element("div", { class: "sbt-buttons" }, root);
    button(row, "Save in this browser", () => {
      const done = stored((storage) => storage.setItem(SLOT, current()));
      tell(done.failed ? UNSAVED : `Saved in this browser: ${what(data())}.`);
      look();
    });
    const back = button(row, "Restore", () => {
      const { value } = stored((storage) => storage.getItem(SLOT));
      tell(value ? take(value, "what was saved") : "Nothing is saved in this browser.");
    });
    const forget = button(row, "Delete what is saved", () => {
      stored((storage) => storage.removeItem(SLOT));
      tell("Deleted.");
      look();
    });
    button(row, "Download a file", () => {
      const address = URL.createObjectURL(new Blob([current()], { type: "application/json" }));
      element("a", { href: address, download: "training-settings.json" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
      tell(`Downloaded: ${what(data())}.`);
    });
    const withData = checkbox(root, { label: "Save my own data, too (drawings or table)" });
    const loading = element("label", { class: "sbt-choice" }, root);
    element("span", { class: "sbt-name" }, loading, "Load a file");
    const file = element("input", { type: "file", accept: ".json,application/json" }, loading);
    const status = element("p", { role: "status" }, root);
    const tell = (words) => (status.textContent = words);

    const data = () => (withData.value ? own.saved : null);
    function current() {
      const names = Object.keys(fields);
      const settings = Object.fromEntries(names.map((name) => [name, model.get(name)]));
      return textOfSettings(settings, data());
    }
    /** Take settings from a text and say what came of it. */
    function take(text, called) {
      const found = settingsOfText(text, fields, size, classes);
      const problem = found.problem ?? (found.data ? own.restore(found.data) : "");
      if (problem) return `Not restored: in ${called}, ${problem}`.replace(/\.?$/, ".");
      for (const [name, value] of Object.entries(found.settings)) model.set(name, value);
      model.save_changes();
      return `Restored: ${what(found.data)}.`;
    }
    function look() {
      back.disabled = forget.disabled = !stored((storage) => storage.getItem(SLOT)).value;
    }
    file.addEventListener("change", async () => {
      const [chosen] = file.files;
      if (!chosen) return;
      const { name, size: bytes } = chosen;
      const text = bytes > MOST_CHARACTERS ? null : await chosen.text().catch(() => "");
      file.value = "";
      tell(text === null ? `Not restored: in ${name}, ${TOO_LARGE}.` : take(text, name));
    });
    look();
  }
}
