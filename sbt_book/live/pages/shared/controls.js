/** Native, labelled controls, and what every explorable needs around them. */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** Append an HTML element. */
export function element(tag, attributes, parent, text) {
  return furnish(document.createElement(tag), attributes, parent, text);
}

/** Append an SVG element. */
export function svg(tag, attributes, parent, text) {
  return furnish(document.createElementNS(SVG_NAMESPACE, tag), attributes, parent, text);
}

function furnish(node, attributes, parent, text) {
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

/**
 * Make the frame of an explorable: a `stage` over the whole width, and below it `charts` and
 * `controls`, beside each other where there is room.
 */
export function panel(el, title) {
  const root = element("section", { class: "sbt", "aria-label": title }, el);
  // Keys pressed in here are meant for here: JupyterLab would take arrows as its own.
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
  });
  const stage = element("div", { class: "sbt-stage" }, root);
  const columns = element("div", { class: "sbt-columns" }, root);
  const charts = element("div", { class: "sbt-charts" }, columns);
  const controls = element("div", { class: "sbt-controls" }, columns);
  return { root, stage, charts, controls };
}

/**
 * Append a range input with its name, value and unit.
 *
 * Give either `min`, `max`, `step`, or `levels`, the values it can take. What it returns has a
 * `value` to read and set; only the reader's moves call `onInput`.
 */
export function slider(parent, { label, unit = "", levels, min, max, step, format = String }) {
  const row = element("label", { class: "sbt-slider" }, parent);
  element("span", { class: "sbt-name" }, row, label);
  const shown = element("span", { class: "sbt-value" }, row);
  const bounds = levels ? { min: 0, max: levels.length - 1, step: 1 } : { min, max, step };
  const input = element("input", { type: "range", "aria-label": label, ...bounds }, row);
  const read = () => (levels ? levels[Number(input.value)] : Number(input.value));
  const show = () => {
    const words = format(read()) + (unit && ` ${unit}`);
    shown.textContent = words;
    input.setAttribute("aria-valuetext", words);
  };
  const control = {
    input,
    onInput: () => {},
    get value() {
      return read();
    },
    set value(value) {
      input.value = levels ? nearest(levels, value) : value;
      show();
    },
  };
  input.addEventListener("input", () => {
    show();
    control.onInput(read());
  });
  show();
  return control;
}

/** Append a select; `options` are pairs of value and text. */
export function choice(parent, { label, options }) {
  const row = element("label", { class: "sbt-choice" }, parent);
  element("span", { class: "sbt-name" }, row, label);
  const input = element("select", { "aria-label": label }, row);
  options.forEach(([, text], place) => element("option", { value: place }, input, text));
  const control = {
    input,
    onInput: () => {},
    get value() {
      return options[Number(input.value)][0];
    },
    set value(value) {
      input.value = options.findIndex(([each]) => each === value);
    },
  };
  input.addEventListener("change", () => control.onInput(control.value));
  return control;
}

/** Append a checkbox. */
export function checkbox(parent, { label }) {
  const row = element("label", { class: "sbt-checkbox" }, parent);
  const input = element("input", { type: "checkbox" }, row);
  element("span", {}, row, label);
  const control = {
    input,
    onInput: () => {},
    get value() {
      return input.checked;
    },
    set value(value) {
      input.checked = value;
    },
  };
  input.addEventListener("change", () => control.onInput(input.checked));
  return control;
}

/** Append a button. */
export function button(parent, label, onClick) {
  const input = element("button", { type: "button", class: "sbt-button" }, parent, label);
  input.addEventListener("click", onClick);
  return input;
}

/**
 * Append a line of text that follows the picture.
 *
 * Its returned function shows words at once and reads them out when they have stopped changing.
 */
export function readout(parent) {
  const line = element("p", { class: "sbt-readout" }, parent);
  const spoken = element("span", { class: "sbt-spoken", role: "status" }, parent);
  let later, before;
  return (words) => {
    if (line.textContent === words) return;
    line.textContent = words;
    clearTimeout(later);
    // Nobody asked for the first words: a page that opens says nothing by itself.
    if (before !== undefined) later = setTimeout(() => (spoken.textContent = words), 800);
    before = words;
  };
}

/**
 * Let a control and a trait of the model follow each other; `onChange` hears of both.
 *
 * What changes is sent to Python at once, here and elsewhere: the widget manager sends one message
 * at a time and joins what changes meanwhile. What it had not been told of, Python's echo of the
 * message before would undo: a slider would jump back.
 */
export function bind(model, trait, control, onChange) {
  const follow = () => {
    control.value = model.get(trait);
    onChange();
  };
  control.value = model.get(trait);
  control.onInput = (value) => {
    model.set(trait, value);
    model.save_changes();
  };
  model.on(`change:${trait}`, follow);
  return () => model.off(`change:${trait}`, follow);
}

/** Call `advance(seconds)` once a frame until it returns false; at rest while out of sight. */
export function animation(root, advance) {
  let frame = 0;
  let last = 0;
  let seen = true;
  const observer = new IntersectionObserver((entries) => (seen = entries.at(-1).isIntersecting));
  observer.observe(root);
  const tick = (now) => {
    const seconds = Math.min(Math.max(now - last, 0) / 1000, 0.1);
    last = now;
    frame = root.isConnected ? requestAnimationFrame(tick) : 0;
    if (seen && advance(seconds) === false) movie.stop();
  };
  const movie = {
    start() {
      if (frame) return;
      last = performance.now();
      frame = requestAnimationFrame(tick);
    },
    stop() {
      cancelAnimationFrame(frame);
      frame = 0;
    },
    get running() {
      return frame !== 0;
    },
  };
  return movie;
}

/** Tell whether the reader asked for less motion. */
export function prefersReducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Return the place of a value among the levels, or of the nearest. */
export function nearest(levels, value) {
  const distances = levels.map((level) => Math.abs(level - value));
  return distances.indexOf(Math.min(...distances));
}
