/**
 * How large slips are, and which power law describes the large ones best.
 *
 * After Clauset, Shalizi & Newman, SIAM Review 51 (2009) 661: the exponent is the most likely one,
 * from the smallest size on at which the power law comes closest to the sizes.
 */

export const LEAST_TAIL = 100; // slips from the smallest size on
export const LEAST_SLIPS = 2 * LEAST_TAIL; // below, nothing is fitted
const CANDIDATES = 60; // for the smallest size
const BINS_A_DECADE = 5;

/**
 * Fit p(s) ~ s^-α to the sizes from the best smallest one on; null if there are too few.
 *
 * `error` is the standard error of the exponent, (α - 1) / sqrt(n), given the smallest size and
 * slips that do not depend on one another; `distance` the largest one between the distributions.
 */
export function fitSlips(sizes) {
  const sorted = Float64Array.from(sizes).sort();
  const total = sorted.length;
  if (total < LEAST_SLIPS) return null;
  const logs = sorted.map(Math.log);
  const sums = new Float64Array(total + 1); // of logarithms, from here to the end
  for (let n = total - 1; n >= 0; n--) sums[n] = sums[n + 1] + logs[n];
  let best = null;
  let before = -1;
  for (let candidate = 0; candidate < CANDIDATES; candidate++) {
    const quantile = candidate / (CANDIDATES - 1);
    let first = Math.round(quantile * (total - LEAST_TAIL));
    while (first > 0 && sorted[first - 1] === sorted[first]) first--;
    if (first === before) continue;
    before = first;
    const fit = fitFrom(logs, sums, first);
    if (fit && !(best?.distance <= fit.distance)) best = fit;
  }
  return best;
}

/** Fit the sizes from one of them on, given their sorted logarithms; null if they are alike. */
function fitFrom(logs, sums, first) {
  const count = logs.length - first;
  const least = logs[first];
  const spread = sums[first] - count * least;
  if (!(spread > 1e-9 * count)) return null;
  const exponent = 1 + count / spread;
  let distance = 0;
  for (let n = 0; n < count; n++) {
    const below = 1 - Math.exp((1 - exponent) * (logs[first + n] - least));
    distance = Math.max(distance, (n + 1) / count - below, below - n / count);
  }
  const error = (exponent - 1) / Math.sqrt(count);
  return { exponent, error, smallest: Math.exp(least), count, distance };
}

/** Return the density of the sizes in bins of equal width on a logarithmic axis. */
export function slipBins(sizes) {
  const bin = (size) => Math.floor(BINS_A_DECADE * Math.log10(size));
  const counts = new Map();
  for (const size of sizes) counts.set(bin(size), (counts.get(bin(size)) ?? 0) + 1);
  return [...counts]
    .sort(([one], [other]) => one - other)
    .map(([place, count]) => {
      const [low, high] = [10 ** (place / BINS_A_DECADE), 10 ** ((place + 1) / BINS_A_DECADE)];
      return { low, high, count, density: count / sizes.length / (high - low) };
    });
}

/** Return what can be said of the sizes so far, given `fitSlips` of them. */
export function slipWords(sizes, fit) {
  const count = sizes.length.toLocaleString("en");
  const slips = sizes.length === 1 ? "1 slip" : `${count} slips`;
  if (sizes.length < LEAST_SLIPS) {
    return `${slips}: too few for an exponent yet (${LEAST_SLIPS} are needed)`;
  }
  if (!fit) return `${slips}, all of one size`;
  const half = 1.96 * fit.error;
  const exponent = `exponent ${fit.exponent.toFixed(2)} ± ${half.toFixed(2)} (95 %)`;
  const tail = `the ${fit.count.toLocaleString("en")} of size ${fit.smallest.toPrecision(2)} or more`;
  return `${slips}; ${exponent}, from ${tail}`;
}
