/** Random numbers that a seed determines. */

/** Return a generator of uniform numbers in [0, 1): sfc32 by Chris Doty-Humphrey. */
export function uniform(seed) {
  let a = seed | 0;
  let b = (seed / 2 ** 32) | 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
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
