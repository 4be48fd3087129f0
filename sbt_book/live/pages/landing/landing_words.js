/** The sentence of the landing page: what its network and its chain look like. */

import { regime } from "../shared/shape.js";

const WORK = {
  lazy: "the deep layers do more of the work (lazy)",
  equiseparated: "all layers do about the same work (equiseparated)",
  active: "the shallow layers do more of the work (active)",
};
const STRETCH = {
  lazy: "the springs near the hand stretch more",
  equiseparated: "all springs stretch about the same",
  active: "the springs near the wall stretch more",
};

/** Return the root mean square distance of a curve from another that falls as far. */
export function misfit(networks, chain) {
  const fall = networks[0] - networks.at(-1);
  const squares = networks.map((D, l) => ((chain[l] - D) / fall) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

/** Return a sentence about the load curves of a cell's networks and of its chain, which both fall. */
export function landingWords(networks, chain, goodMatch) {
  const [own, other] = [regime(networks), regime(chain)];
  const words = `Here ${WORK[own]}, ${own === other ? "and" : "but"} ${STRETCH[other]}`;
  return misfit(networks, chain) <= goodMatch ? `${words}.` : `${words}; the chain fits poorly.`;
}
