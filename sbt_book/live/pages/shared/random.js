/** Random numbers that a seed determines. */

/** Return a generator of uniform numbers in [0, 1): sfc32 by Chris Doty-Humphrey. */
export function uniform(seed) {
  // In an array, because a browser makes an object of each number that a closure changes.
  const state = Int32Array.of(seed | 0, (seed / 2 ** 32) | 0, 0x9e3779b9, 1);
  const next = () => {
    const sum = state[0] + state[1] + state[3];
    state[0] = state[1] ^ (state[1] >>> 9);
    state[1] = state[2] + (state[2] << 3);
    state[2] = ((state[2] << 21) | (state[2] >>> 11)) + sum;
    state[3] += 1;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let k = 0; k < 12; k++) next(); // until every bit of the seed has spread
  return next;
}

/** Return `count` standard normal numbers (Box and Muller). */
export function standardNormal(seed, count) {
  const draw = uniform(seed);
  const normals = new Float64Array(count);
  for (let k = 0; k < count; k += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - draw()));
    const angle = 2 * Math.PI * draw();
    normals[k] = radius * Math.cos(angle);
    if (k + 1 < count) normals[k + 1] = radius * Math.sin(angle);
  }
  return normals;
}
