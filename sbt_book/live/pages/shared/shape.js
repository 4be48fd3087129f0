/** The shape of a load curve, as `sbt_utils.separation.LoadCurve` defines it. */

export const REGIME_TOLERANCE = 0.05;

const SHAPES = {
  lazy: "concave, deep layers do more",
  equiseparated: "linear, all layers do the same",
  active: "convex, shallow layers do more",
  unresolved: "the curve does not fall, or has no inner layer",
};

/** Return the mean over the inner layers of (chord - D) / (D_0 - D_L); NaN without a shape. */
export function convexity(separation) {
  const last = separation.length - 1;
  const fall = separation[0] - separation[last];
  if (!(fall > 0) || last < 2) return NaN;
  let bulge = 0;
  for (let l = 1; l < last; l++) bulge += separation[0] - (fall * l) / last - separation[l];
  return bulge / ((last - 1) * fall);
}

/** Return "lazy", "equiseparated", "active", or "unresolved". */
export function regime(separation) {
  const value = convexity(separation);
  if (Number.isNaN(value)) return "unresolved";
  if (Math.abs(value) <= REGIME_TOLERANCE) return "equiseparated";
  return value > 0 ? "active" : "lazy";
}

/** Return the regime and the convexity in words. */
export function verdict(separation) {
  const name = regime(separation);
  const words = `${name} (${SHAPES[name]})`;
  if (name === "unresolved") return words;
  return `${words}: convexity ${signed(convexity(separation))}`;
}

/** Return a number with its sign and two decimals, with a true minus. */
export function signed(value) {
  const digits = Math.abs(value).toFixed(2);
  if (digits === "0.00") return digits;
  return (value < 0 ? "−" : "+") + digits;
}
