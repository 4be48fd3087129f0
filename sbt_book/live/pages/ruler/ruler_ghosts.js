/** Ghosts to hit: the shapes that two pulls leave, computed in the page for the ruler as it is set. */

import { animation } from "../shared/controls.js";
import { pullRuler, quickAndJerky } from "./hand.js";

export const REPLAYS = {
  "Slow and steady": { speed: 0.1, amplitude: 0.0 },
  "Quick and jerky": { speed: 2.0, amplitude: 0.003 },
};
const GHOST_DT = 1e-3;
const GHOST_TIME = 5; // ms of simulation in a frame at most

/** Return the names of ghosts as the trait has them, each with its pull. */
export const GHOSTS = Object.fromEntries(
  Object.entries(REPLAYS).map(([name, pull]) => [name.toLowerCase(), pull]),
);

/**
 * Make ghosts, a little in each frame: `make(name, ruler, reach, phases)` calls
 * `onMade({ name, points, separation })`, or nothing where that ruler cannot be pulled so.
 */
export function ghostMaker(root, onMade) {
  let work, name;
  const maker = animation(root, () => {
    const begin = performance.now();
    do {
      const { done, value } = work.next();
      if (!done) continue;
      if (value) onMade({ name, ...shapeOf(value) });
      return false;
    } while (performance.now() - begin < GHOST_TIME);
  });
  return {
    make(which, ruler, reach, phases) {
      name = which;
      const hand = quickAndJerky(ruler, { reach, ...GHOSTS[name] }, phases);
      work = pullRuler(ruler, hand, GHOST_DT);
      maker.start();
    },
    stop: () => maker.stop(),
  };
}

/** Return the points of a ruler and D_0..D_{N-1}, the distances along the pull to its end. */
function shapeOf(linkage) {
  const points = linkage.points();
  const separation = Array.from(
    { length: linkage.size },
    (_, l) => points[2 * linkage.size] - points[2 * l],
  );
  return { points, separation };
}

/**
 * Return how far the openings of two rulers' sections are apart: the mean over the sections of the
 * difference of what each covers along the pull, in lengths of a section.
 */
export function ghostDistance(points, others, section) {
  const count = points.length / 2 - 1;
  let sum = 0;
  for (let l = 0; l < count; l++) {
    const opened = points[2 * l + 2] - points[2 * l];
    sum += Math.abs(opened - (others[2 * l + 2] - others[2 * l]));
  }
  return sum / count / section;
}
