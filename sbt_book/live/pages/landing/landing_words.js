/** The sentence of the landing page: what its network and its chain look like. */

import { scaledDifference } from "../shared/laid_over.js";
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

/** Return a sentence about the load curves of a cell's networks and of its chain, which both fall. */
export function landingWords(networks, chain, goodMatch) {
  const [own, other] = [regime(networks), regime(chain)];
  const words = `Here ${WORK[own]}, ${own === other ? "and" : "but"} ${STRETCH[other]}`;
  return scaledDifference(networks, chain) <= goodMatch
    ? `${words}.`
    : `${words}; the chain fits poorly.`;
}
