/** The settings of a network in training: their sliders, and what they may be. */

export const SETTINGS = ["negative_slope", "dropout", "learning_rate", "batch_size", "label_noise"];
const MOST_SEED = 2 ** 31 - 1;

const decimals = (digits) => (value) => value.toFixed(digits);
export const TRAINING_KNOBS = {
  negative_slope: { label: "Negative slope α", min: 0, max: 1, step: 0.05, format: decimals(2) },
  dropout: { label: "Dropout p", min: 0, max: 0.5, step: 0.01, format: decimals(2) },
  learning_rate: { label: "Learning rate", levels: "_learning_rates" },
  batch_size: { label: "Batch size", unit: "samples", levels: "_batch_sizes" },
  label_noise: {
    label: "Label noise",
    min: 0,
    max: 1,
    step: 0.05,
    format: (value) => `${Math.round(100 * value)} %`,
  },
};

/** Return the traits that a reader may share or save, and the values each may have. */
export function trainingFields(model) {
  const knobs = Object.entries(TRAINING_KNOBS).map(([name, { levels, min, max }]) => {
    return [name, levels ? { levels: model.get(levels) } : { min, max }];
  });
  const second = knobs.map(([name, field]) => [`second_${name}`, field]);
  const others = { seed: { min: 0, max: MOST_SEED, integer: true }, second: { flag: true } };
  return { ...Object.fromEntries(knobs), ...others, ...Object.fromEntries(second) };
}

/** Say what a field may be if the value is none of it; return "" if it is. */
export function refusal({ levels, flag, integer, min, max }, value) {
  if (flag) return typeof value === "boolean" ? "" : "true or false";
  if (levels) return levels.includes(value) ? "" : `one of ${levels.join(", ")}`;
  const right = integer ? Number.isInteger(value) : Number.isFinite(value);
  return right && value >= min && value <= max
    ? ""
    : `${integer ? "a whole number" : "a number"} from ${min} to ${max}`;
}
