/** The settings of an explorable in the fragment of the page's address, to be sent to somebody. */

import { button, element } from "./controls.js";

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const STILL = 300; // ms without a change until the address follows: browsers limit how often it may
const APART = 1000; // ms from one step in the browser's history to the next, at least

/**
 * Return how a value is written in an address.
 *
 * Its field says what it may be: `{ min, max }` for a number, with `integer: true` a whole one;
 * `{ levels }` for one of these numbers, or a function that returns them where they depend on a
 * field before it; `{ options }` for one of these texts, without commas; `{ flag: true }` for a
 * boolean.
 */
export function writtenSetting(value, field) {
  if (field.flag) return value ? "1" : "0";
  if (field.options) return encodeURIComponent(value);
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(9)));
}

/** Return the value that a text stands for, a number moved into its range; else undefined. */
export function readSetting(text, field) {
  if (field.flag) return ["0", "1"].includes(text) ? text === "1" : undefined;
  if (field.options) return field.options.find((option) => option === text);
  const value = Number(text);
  if (!NUMBER.test(text) || !Number.isFinite(value)) return undefined;
  if (field.levels) {
    const levels = typeof field.levels === "function" ? field.levels() : field.levels;
    return levels.find((level) => Math.abs(level - value) <= 1e-6 * Math.abs(level));
  }
  if (field.integer && !Number.isSafeInteger(value)) return undefined;
  return Math.min(Math.max(value, field.min ?? -Infinity), field.max ?? Infinity);
}

/** Return the parts of a fragment: each as it is, the name before its first "=", what follows. */
function fragmentParts(fragment) {
  return fragment.split("&").map((raw) => {
    let text = raw; // some programs encode more of an address than they have to
    try {
      text = decodeURIComponent(raw);
    } catch {
      // Not an encoding of anything: taken as it is.
    }
    const equals = text.indexOf("=");
    return equals < 0 ? { raw } : { raw, name: text.slice(0, equals), own: text.slice(equals + 1) };
  });
}

/**
 * Return what a fragment says of an explorable: the `texts` of its settings in a Map, and what is
 * `refused`, as it is no field or the second of its name. Null if it does not speak of it.
 */
export function settingsIn(fragment, name, fields) {
  const mine = fragmentParts(fragment).filter((part) => part.name === name);
  if (!mine.length) return null;
  const texts = new Map();
  const refused = [];
  for (const setting of mine.flatMap(({ own }) => own.split(",")).filter(Boolean)) {
    const colon = setting.indexOf(":");
    const trait = setting.slice(0, Math.max(colon, 0));
    if (!Object.hasOwn(fields, trait) || texts.has(trait)) refused.push(`${setting} (left out)`);
    else texts.set(trait, setting.slice(colon + 1));
  }
  return { texts, refused };
}

/** Return a fragment with these settings of an explorable, if any; all else in it stays. */
export function withSettings(fragment, name, settings) {
  const parts = fragmentParts(fragment);
  const own = settings && `${name}=${settings}`;
  const place = parts.findIndex((part) => part.name === name);
  if (place < 0) parts.push({ raw: own });
  else parts[place] = { raw: own };
  const kept = parts.filter((part) => part.raw && part.name !== name);
  return kept.map(({ raw }) => raw).join("&");
}

/** Return the settings of a model as one text: those that differ from `start`, or all of them. */
function settingsOf(model, fields, start) {
  const pairs = Object.entries(fields).flatMap(([trait, field]) => {
    const text = writtenSetting(model.get(trait), field);
    return start && text === writtenSetting(start[trait], field) ? [] : [`${trait}:${text}`];
  });
  return pairs.join(",");
}

/**
 * Set every trait of `fields` to what its text says, or to its value in `start` where there is no
 * text, or none that says anything. Return what was not taken as it is written.
 */
export function takeSettings(model, texts, fields, start) {
  const refused = [];
  for (const [trait, field] of Object.entries(fields)) {
    const text = texts.get(trait);
    const value = text === undefined ? undefined : readSetting(text, field);
    model.set(trait, value ?? start[trait]);
    if (text === undefined) continue;
    if (value === undefined) refused.push(`${trait}:${text} (left out)`);
    else if (typeof value === "number" && !field.levels && value !== Number(text)) {
      refused.push(`${trait}:${text} (${value} instead)`);
    }
  }
  return refused;
}

/** Return the sentence about what a link asks for in vain. */
export function refusalWords(refused) {
  if (!refused.length) return "";
  const shown = refused
    .slice(0, 3)
    .map((each) => (each.length > 60 ? `${each.slice(0, 59)}…` : each));
  const more = refused.length > 3 ? `, and ${refused.length - 3} more` : "";
  return `The link asks for what this picture does not offer: ${shown.join(", ")}${more}.`;
}

/**
 * Keep the settings of an explorable in the fragment of the page's address, and offer the link.
 *
 * The fragment is `#name=trait:value,...`, with `&` between explorables; it names the traits that
 * differ from their values at the start. `fields` are the traits that are kept, in the order in
 * which they are set, each with what it may be (`writtenSetting`). To be called when all listeners
 * are there; returns a function that ends it. The address of a page that is not of the book is not
 * ours: there it does nothing.
 */
export function keepInAddress(model, root, name, fields) {
  const { book, embed } = document.documentElement.dataset;
  if (book === undefined) return () => {};
  const traits = Object.keys(fields);
  const start = Object.fromEntries(traits.map((trait) => [trait, model.get(trait)]));
  const share = element("div", { class: "sbt-share" }, root);
  const note = element("p", { class: "sbt-note", role: "status" }, share);
  let later; // the timer of the next writing
  let gesture = false; // the reader's last, if the history has no step of it
  let latest = -Infinity;

  /** Set the traits to what the address says of them, else to what they were at the start. */
  function read() {
    const found = settingsIn(location.hash.slice(1), name, fields);
    // A link to a section says nothing of pictures; a step back to when none was set is marked.
    if (!found && !history.state?.sbt) return false;
    const refused = takeSettings(model, found?.texts ?? new Map(), fields, start);
    model.save_changes();
    clearTimeout(later);
    note.textContent = refusalWords([...(found?.refused ?? []), ...refused]);
    return found !== null;
  }

  function write() {
    const before = location.hash.slice(1);
    const now = withSettings(before, name, settingsOf(model, fields, start));
    if (now === before) return;
    note.textContent = ""; // the settings are the reader's own by now
    const state = { ...history.state, sbt: true };
    const url = location.pathname + location.search + (now && `#${now}`);
    // In a frame, steps would be those of the page around it.
    const step = gesture && window === window.parent && performance.now() - latest > APART;
    gesture = false;
    latest = performance.now();
    try {
      if (step) history.replaceState(state, "");
      history[step ? "pushState" : "replaceState"](state, "", url);
    } catch {
      // Refused: too often, or in a frame that may not. The link is there to be copied.
    }
  }

  const writeSoon = () => {
    clearTimeout(later);
    later = setTimeout(write, STILL);
  };
  const gestureBegins = () => (gesture = true);

  const row = element("div", { class: "sbt-share-buttons" }, share);
  const field = element("textarea", { class: "sbt-share-text", readonly: "", rows: 3 }, share);
  field.hidden = true;
  const here = () => location.href.split("#")[0];
  button(row, "Copy link", () => {
    field.hidden = true;
    offer(`${here()}#${name}=${settingsOf(model, fields, start)}`, "Link to this picture");
  });
  if (embed === undefined) {
    button(row, "Embed", () => {
      const page = new URL(`${book}embed/${name}.html`, here());
      // Another page may start with other values: all of them are named.
      page.hash = `${name}=${settingsOf(model, fields)}`;
      field.hidden = false;
      offer(frameCode(page.href, root), "Code that shows this picture in another page");
    });
  }
  const copied = element("span", { class: "sbt-note", role: "status" }, row);

  /** Copy a text; where that is not allowed, show it to be copied by hand. */
  async function offer(text, label) {
    field.value = text;
    field.setAttribute("aria-label", label);
    copied.textContent = "";
    try {
      await navigator.clipboard.writeText(text);
      copied.textContent = "Copied";
    } catch {
      field.hidden = false;
      field.focus();
      field.select();
      copied.textContent = "Copy it from this field:";
    }
  }

  if (read() && embed === undefined && scrollY === 0) root.scrollIntoView();
  for (const trait of traits) model.on(`change:${trait}`, writeSoon);
  for (const event of ["pointerdown", "keydown"]) root.addEventListener(event, gestureBegins, true);
  for (const event of ["popstate", "hashchange"]) window.addEventListener(event, read);
  return () => {
    clearTimeout(later);
    for (const trait of traits) model.off(`change:${trait}`, writeSoon);
    for (const event of ["pointerdown", "keydown"]) {
      root.removeEventListener(event, gestureBegins, true);
    }
    for (const event of ["popstate", "hashchange"]) window.removeEventListener(event, read);
    share.remove();
  };
}

/** Return the code of a frame with a page, as high as the picture is now. */
function frameCode(address, root) {
  const height = Math.ceil(root.getBoundingClientRect().height) + 80;
  const source = address.replaceAll("&", "&amp;");
  const title = root.getAttribute("aria-label");
  return (
    `<iframe src="${source}" title="${title}" width="100%" height="${height}" ` +
    'style="border: 0" loading="lazy" allow="clipboard-write"></iframe>'
  );
}
