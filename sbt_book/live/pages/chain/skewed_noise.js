/** Random numbers of a given skewness, as `sbt_utils.mechanics.trajectories` draws its noise. */

import { standardNormal, uniform } from "../shared/random.js";

/**
 * Return `count` random numbers of mean 0 and variance 1 for steps of `dt`: normal ones, or gamma
 * ones, of which those of a time m / γ add up to the chain's skewness.
 */
export function chainNoise(chain, seed, count, dt) {
  const share = (dt * chain.damping) / chain.mass;
  if (!chain.skewness || !share) return standardNormal(seed, count);
  const shape = (4 / chain.skewness ** 2) * share;
  const scale = Math.sign(chain.skewness) / Math.sqrt(shape);
  return standardGamma(seed, count, shape).map((drawn) => (drawn - shape) * scale);
}

/** Return `count` gamma numbers: G. Marsaglia and W. W. Tsang, ACM TOMS 26 (2000) 363. */
export function standardGamma(seed, count, shape) {
  const draw = uniform(seed);
  const numbers = new Float64Array(count);
  const d = (shape < 1 ? shape + 1 : shape) - 1 / 3;
  const root = Math.sqrt(9 * d);
  for (let k = 0; k < count; k++) {
    for (;;) {
      const z = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
      const cubed = 1 + z / root;
      const v = cubed * cubed * cubed;
      if (v <= 0) continue;
      const u = 1 - draw();
      numbers[k] = d * v;
      const square = z * z;
      // The first bound is below the second one and spares two logarithms.
      if (u < 1 - 0.0331 * square * square) break;
      if (Math.log(u) < square / 2 + d * (1 - v + Math.log(v))) break;
    }
    // Of a shape below 1: a gamma number of one more, times a power of a uniform one.
    if (shape < 1) numbers[k] *= Math.exp(Math.log(1 - draw()) / shape);
  }
  return numbers;
}
