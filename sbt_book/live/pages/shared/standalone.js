/** An explorable in a page without Jupyter's widgets: its model, and what the address asks for. */

const HIDEABLE = ["controls", "buttons", "tour", "charts", "notes", "link", "chapter"];

/** Return a model as an explorable expects it, of traits that live in the page alone. */
export function standaloneModel(traits) {
  const values = new Map(Object.entries(traits));
  const heard = new Map(); // listeners by event
  return {
    get: (trait) => values.get(trait),
    set(trait, value) {
      if (Object.is(values.get(trait), value)) return;
      values.set(trait, value);
      for (const listener of [...(heard.get(`change:${trait}`) ?? [])]) listener();
    },
    on(event, listener) {
      heard.set(event, (heard.get(event) ?? new Set()).add(listener));
    },
    off(event, listener) {
      heard.get(event)?.delete(listener);
    },
    save_changes() {},
    send() {},
  };
}

/** Return traits from the text that Python wrote: JSON, with bytes as `{ base64 }`. */
export function readTraits(text) {
  return JSON.parse(text, (_, value) => {
    if (typeof value?.base64 !== "string") return value;
    const bytes = Uint8Array.from(atob(value.base64), (character) => character.charCodeAt(0));
    return new DataView(bytes.buffer);
  });
}

/** Return which parts of the page a query string hides, and the colour scheme it asks for. */
export function askedOf(query) {
  const asked = new URLSearchParams(query);
  const names = (asked.get("hide") ?? "").split(",");
  const hidden = HIDEABLE.filter((name) => names.includes(name));
  const theme = ["light", "dark"].find((name) => name === asked.get("theme"));
  return { hidden, theme };
}

/** Show an explorable in the page's element `[data-explorable]` of its name. */
export function standalone({ render }, name) {
  const { dataset } = document.documentElement;
  const { hidden, theme } = askedOf(location.search);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = () => (dataset.theme = theme ?? (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", colour);
  colour();
  dataset.hide = hidden.join(" ");
  const el = document.querySelector(`[data-explorable="${name}"]`);
  const traits = readTraits(document.getElementById(`${name}-traits`).textContent);
  render({ model: standaloneModel(traits), el });
}
