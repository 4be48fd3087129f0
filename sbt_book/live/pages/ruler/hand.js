/**
 * Movements of the hand that pulls the folding ruler: `hand.py`.
 *
 * A hand is {times, positions}: seconds, increasing, and x and y in turn, in m from the pin.
 */

import { Linkage } from "./linkage.js";

const HAND_JERKS = [2, 3, 4, 5, 6, 7, 8, 9]; // Hz
const HAND_SAMPLING = 1e-3;
const HAND_REST = 1.0;

/**
 * Return a pull with a soft start and stop and, at an amplitude above 0, a tremble.
 *
 * @param {object} ruler the fields of `FoldingRuler`
 * @param {{reach: number, speed: number, amplitude: number}} pull fraction of the full length,
 *   m/s, and m for each sinusoid
 * @param {number[][]} phases (2, 8) of the sinusoids along and across the pull, in rad
 */
export function quickAndJerky(ruler, { reach, speed, amplitude }, phases) {
  const [startX, startY] = new Linkage(ruler).points().slice(-2);
  const distance = reach * ruler.sections * ruler.section_length - startX;
  const soft = Math.min(0.1, (0.25 * distance) / speed);
  const duration = distance / speed + soft;
  const count = Math.max(2, Math.round(duration / HAND_SAMPLING));
  const times = new Float64Array(count + 3);
  const positions = new Float64Array(2 * count + 6);
  const ramps = new Float64Array(count + 1);
  let path = 0.0;
  for (let n = 0; n <= count; n++) {
    times[n] = n === count ? duration : n * (duration / count);
    const ramp = Math.min(Math.max(Math.min(times[n], duration - times[n]) / soft, 0.0), 1.0);
    ramps[n] = ramp * ramp * (3.0 - 2.0 * ramp);
    if (n > 0) path += ramps[n] + ramps[n - 1];
    positions[2 * n] = path;
  }
  for (let n = 0; n <= count; n++) {
    const along = amplitude === 0 ? 0.0 : handTremble(times[n], phases[0]);
    const across = amplitude === 0 ? 0.0 : handTremble(times[n], phases[1]);
    const x = startX + (distance * positions[2 * n]) / path;
    positions[2 * n] = x + amplitude * (ramps[n] * along);
    positions[2 * n + 1] = startY + amplitude * (ramps[n] * across);
  }
  for (const late of [1, 2]) {
    times[count + late] = duration + 0.5 * late * HAND_REST;
    positions.copyWithin(2 * (count + late), 2 * count, 2 * count + 2);
  }
  return { times, positions };
}

function handTremble(time, phases) {
  let sum = 0.0;
  HAND_JERKS.forEach((jerk, k) => (sum += Math.sin(2.0 * Math.PI * jerk * time + phases[k])));
  return sum;
}

/** Return a function of increasing times that gives [x, y] of a hand. */
export function followHand({ times, positions }) {
  const last = times.length - 1;
  let n = 0;
  return (time) => {
    while (n < last && times[n + 1] <= time) n++;
    const x = positions[2 * n],
      y = positions[2 * n + 1];
    if (n === last) return [x, y];
    const [span, past] = [times[n + 1] - times[n], time - times[n]];
    const alongSlope = (positions[2 * n + 2] - x) / span;
    const acrossSlope = (positions[2 * n + 3] - y) / span;
    return [alongSlope * past + x, acrossSlope * past + y];
  };
}

/** Return how many steps a whole pull takes: in tens, as `FoldingRuler.pull` counts them. */
export function stepsOfHand({ times }, dt) {
  return 10 * Math.ceil(Math.ceil((times[times.length - 1] - times[0]) / dt - 1e-9) / 10);
}

/** Pull a ruler to the end, a pause every few steps; return it, null where it cannot follow. */
export function* pullRuler(ruler, hand, dt) {
  const linkage = new Linkage(ruler);
  const at = followHand(hand);
  const steps = stepsOfHand(hand, dt);
  for (let n = 1; n <= steps; n++) {
    if (!linkage.advance(...at(hand.times[0] + dt * n), dt)) return null;
    if (n % 20 === 0) yield;
  }
  return linkage;
}
