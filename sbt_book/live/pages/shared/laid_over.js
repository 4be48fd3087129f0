/** Load curves laid over one another: those of chains to the scale of a network's. */

/** Return a function that draws curves so that `chain`, one of them, falls as far as `network`. */
export function laidOver(network, chain) {
  const [least, most] = [Math.min(...network), Math.max(...network)];
  const [bottom, top] = [Math.min(...chain), Math.max(...chain)];
  return (curve) => curve.map((D) => least + ((most - least) * (D - bottom)) / (top - bottom));
}

/** Return the root mean square difference of two curves scaled to fall from 1 to 0. */
export function scaledDifference(network, chain) {
  const fall = Math.max(...network) - Math.min(...network);
  const squares = laidOver(network, chain)(chain).map((D, l) => ((D - network[l]) / fall) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}
