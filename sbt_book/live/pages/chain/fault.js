/**
 * The chain as an earthquake fault: without a wall, pulled for ever, and so slowly that the hand
 * stands still while blocks slip.
 *
 * A block at rest is held by up to its static friction; once it slides, friction is less by a
 * share, the `weakening`. Static friction is that of the chain times a factor within
 * 1 ± ROUGHNESS / 2, drawn anew where a block comes to rest: no two places on a table are alike.
 */

import { uniform } from "../shared/random.js";

const FAULT_DT = 0.05;
const ROUGHNESS = 0.2;
const AT_REST = 1e-6; // slower blocks count as resting: they would creep on for ever
const LONGEST_SLIP = 200; // thousands of steps: one that goes on and on is cut short
const LET_GO = 1e-9; // by how much the hand overdoes it, so that rounding holds no block

/**
 * Return a chain that has been pulled for long, its blocks held by forces drawn at random.
 *
 * `gaps` are the distances to the hand D_1..D_L: only they matter where all is pulled for ever.
 */
export function stressedFault(chain, seed) {
  const { blocks, friction_right: friction, weakening } = chain;
  const draw = uniform(seed);
  const holds = Float64Array.from({ length: blocks }, () => roughness(draw));
  // A slip that swings through takes twice as much off the force as friction falls by.
  const forces = holds.map((hold) => friction * hold * (1 - 2 * weakening * draw()));
  const gaps = gapsUnder(chain, forces);
  const velocities = new Float64Array(blocks);
  return { chain, draw, gaps, holds, velocities, before: gaps.slice(), travel: 0, blocks };
}

/** Return the gaps at which the springs pull at the blocks by given forces (Thomas' algorithm). */
export function gapsUnder({ spring_constant: spring, drive, blocks }, forces) {
  const gaps = new Float64Array(blocks);
  const factors = new Float64Array(blocks);
  for (let l = 0; l < blocks; l++) {
    const passed = l > 0 ? spring * factors[l - 1] : 0;
    const pivot = drive + (l > 0 ? 2 * spring : spring) - passed;
    factors[l] = spring / pivot;
    gaps[l] = (forces[l] + (l > 0 ? spring * gaps[l - 1] : 0)) / pivot;
  }
  for (let l = blocks - 2; l >= 0; l--) gaps[l] += factors[l] * gaps[l + 1];
  return gaps;
}

function roughness(draw) {
  return 1 + ROUGHNESS * (draw() - 0.5);
}

/** Return the force of the springs on a block: those beside it, and of a drive. */
export function faultForce({ chain, gaps, blocks }, l) {
  const spring = chain.spring_constant;
  const ahead = l < blocks - 1 ? gaps[l + 1] : 0;
  const behind = l > 0 ? spring * (gaps[l - 1] - gaps[l]) : 0;
  return spring * (gaps[l] - ahead) - behind + chain.drive * gaps[l];
}

/** Return how far the hand must go on until the first block lets go. */
export function reachOfHold(fault) {
  const { chain, holds, blocks } = fault;
  let least = Infinity;
  for (let l = 0; l < blocks; l++) {
    const stiffness = chain.drive + (l === blocks - 1 ? chain.spring_constant : 0);
    if (stiffness === 0) continue;
    const left = chain.friction_right * holds[l] - faultForce(fault, l);
    least = Math.min(least, left / stiffness);
  }
  return Math.max(least, 0) + LET_GO;
}

/** Let the hand go on. */
export function advanceHand(fault, way) {
  fault.travel += way;
  for (let l = 0; l < fault.blocks; l++) fault.gaps[l] += way;
}

/** Let blocks slip for up to a number of steps; return whether all have come to rest. */
export function slipSteps(fault, steps) {
  const { chain, gaps, holds, velocities, blocks } = fault;
  const { spring_constant: spring, drive, mass } = chain;
  const inertia = 1 + (chain.damping * FAULT_DT) / mass;
  const h = FAULT_DT / mass / inertia;
  const sliding = 1 - chain.weakening;
  for (let step = 0; step < steps; step++) {
    let rests = true;
    let before = gaps[0]; // where the block to the left was; the first one has none
    for (let l = 0; l < blocks; l++) {
      const gap = gaps[l];
      const ahead = l < blocks - 1 ? gaps[l + 1] : 0;
      const force = spring * (2 * gap - ahead - before) + drive * gap;
      before = gap;
      const [right, left] = [chain.friction_right * holds[l], chain.friction_left * holds[l]];
      if (velocities[l] === 0 && force <= right && force >= -left) continue;
      const free = (velocities[l] + (FAULT_DT * force) / mass) / inertia;
      const to = Math.max(free - h * sliding * right, 0) + Math.min(free + h * sliding * left, 0);
      velocities[l] = Math.abs(to) < AT_REST ? 0 : to;
      gaps[l] = gap - FAULT_DT * velocities[l];
      if (velocities[l] !== 0) rests = false;
    }
    if (rests) return true;
  }
  return false;
}

/** End a slip: return how far all blocks have moved together, and roughen anew those that did. */
export function endSlip(fault) {
  const { gaps, before, holds, draw, blocks } = fault;
  let size = 0;
  for (let l = 0; l < blocks; l++) {
    if (before[l] === gaps[l]) continue;
    size += before[l] - gaps[l];
    holds[l] = roughness(draw);
  }
  return size;
}

/** Begin a slip: remember where the blocks are. */
export function beginSlip(fault) {
  fault.before.set(fault.gaps);
}

/** Return the size of the next slip, computed as a whole. */
export function nextSlip(fault) {
  advanceHand(fault, reachOfHold(fault));
  beginSlip(fault);
  for (let part = 0; part < LONGEST_SLIP && !slipSteps(fault, 1000); part++);
  fault.velocities.fill(0);
  return endSlip(fault);
}
