/**
 * The folding ruler in time: `linkage.py`, one step of the hand at a time.
 */

import { frictionRoom, frictionStep } from "./dry_friction.js";

const LINKAGE_CLOSED = 1e-9;
const LINKAGE_INSIDE = 1.0 - 1e-9;
const LINKAGE_ROUNDING = 1e-11;
const LINKAGE_GRAVITY = 9.81;

/** A ruler on a table: `FoldingRuler`, its state, and steps that change it in place. */
export class Linkage {
  /**
   * @param {{sections: number, section_length: number, mass: number, table_friction: number,
   *   hinge_friction: number, opening: number}} ruler in SI units
   */
  constructor(ruler) {
    const size = ruler.sections;
    this.size = size;
    this.section = ruler.section_length;
    this.mass = ruler.mass;
    this.table = ruler.table_friction * ruler.mass * LINKAGE_GRAVITY;
    this.hinge = ruler.hinge_friction;
    this.angles = Float64Array.from(
      { length: size },
      (_, k) => ((Math.PI - ruler.opening) / 2) * (k % 2 === 0 ? 1 : -1),
    );
    /** What one step starts from, besides the angles: `omega`, `v`, `p`, `q` and `s`. */
    this.omega = new Float64Array(size);
    this.v = new Float64Array(2 * size);
    this.p = new Float64Array(2 * size);
    this.q = new Float64Array(size - 1);
    this.s = new Float64Array(size - 1);
    this.low = new Float64Array(size - 1);
    this.high = new Float64Array(size - 1);
    this.hand = new Float64Array(2);
    this.rests = new Uint8Array(size + 1);
    this.locked = new Uint8Array(size);
    this.room = frictionRoom(size);
    const state = ["angles", "omega", "v", "p", "q", "s"].map((name) => this[name]);
    this.before = state.map((now) => [now, now.slice()]);
  }

  /** Ends of the sections, the pin first: x and y in turn, (2 N + 2,), in m. */
  points() {
    const points = new Float64Array(2 * this.size + 2);
    let x = 0.0,
      y = 0.0;
    for (let k = 0; k < this.size; k++) {
      x += this.section * Math.cos(this.angles[k]);
      y += this.section * Math.sin(this.angles[k]);
      points[2 * k + 2] = x;
      points[2 * k + 3] = y;
    }
    return points;
  }

  /** Whether nothing moves. */
  resting() {
    return this.v.every((each) => each === 0.0) && this.omega.every((each) => each === 0.0);
  }

  /** The largest sine of an angle between sections: at 0 a hand cannot move it lengthwise. */
  bend() {
    let most = 0.0;
    for (const angle of this.angles) {
      most = Math.max(most, Math.abs(Math.sin(angle - this.angles[0])));
    }
    return most;
  }

  /** Undo the last step. */
  back() {
    for (const [now, copy] of this.before) now.set(copy);
  }

  /** Take all momentum away. */
  stop() {
    this.omega.fill(0.0);
    this.v.fill(0.0);
  }

  /**
   * Lead the end to (x, y) within dt seconds.
   *
   * @param {number} x in m
   * @param {number} y in m
   * @param {number} dt in s
   * @returns {boolean} false, and nothing has changed, if the ruler cannot follow
   */
  advance(x, y, dt) {
    const { angles, hand, low, high, section, mass, omega, v, p, q, s } = this;
    for (const [now, copy] of this.before) copy.set(now);
    let endX = 0.0,
      endY = 0.0;
    for (let k = 0; k < this.size; k++) {
      endX += section * Math.cos(angles[k]);
      endY += section * Math.sin(angles[k]);
    }
    x -= endX;
    y -= endY;
    if (Math.abs(x) + Math.abs(y) < 1e-12 * section) {
      // the hand rests, but for rounding
      x = y = 0.0;
    }
    hand[0] = x / dt;
    hand[1] = y / dt;
    for (let j = 0; j < this.size - 1; j++) {
      // The zigzag turns right at even hinges, by an angle in [0, pi], and left at odd ones.
      const turn = angles[j + 1] - angles[j];
      low[j] = (j % 2 === 0 ? -Math.PI : 0.0) - turn;
      high[j] = low[j] + Math.PI;
      low[j] = low[j] > -LINKAGE_CLOSED ? 0.0 : low[j] / dt;
      high[j] = high[j] < LINKAGE_CLOSED ? 0.0 : high[j] / dt;
    }
    const table = dt * this.table,
      hinge = dt * this.hinge;
    const found = frictionStep(
      angles,
      v,
      hand,
      low,
      high,
      section,
      mass,
      table,
      hinge,
      omega,
      p,
      q,
      s,
      this.room,
    );
    if (found < 0) {
      this.back();
      return false;
    }
    this.settle(table, hinge);
    for (let k = 0; k < this.size; k++) angles[k] += dt * omega[k];
    return true;
  }

  /** Give what sticks the velocity 0.0, free of rounding: its friction is below the bound. */
  settle(table, hinge) {
    const { size, angles, hand, low, high, omega, v, p, q, s, rests, locked } = this;
    const last = size - 1;
    let swiftest = 0.0,
      quickest = 0.0;
    for (let k = 0; k < size; k++) {
      swiftest = Math.max(swiftest, Math.abs(v[2 * k]) + Math.abs(v[2 * k + 1]));
      quickest = Math.max(quickest, Math.abs(omega[k]));
    }
    // The ends of section k are the points k and k + 1, the pin included here.
    rests[0] = 1;
    rests[size] = hand[0] === 0.0 && hand[1] === 0.0 ? 1 : 0;
    locked[last] = 0;
    for (let i = 0; i < last; i++) {
      const friction = Math.sqrt(p[2 * i] * p[2 * i] + p[2 * i + 1] * p[2 * i + 1]);
      const speed = Math.abs(v[2 * i]) + Math.abs(v[2 * i + 1]);
      const slow = speed <= LINKAGE_ROUNDING * swiftest && table > 0.0;
      rests[i + 1] = friction < LINKAGE_INSIDE * table || slow ? 1 : 0;
      const rate = Math.abs(omega[i + 1] - omega[i]);
      const sticks = Math.abs(q[i]) < LINKAGE_INSIDE * hinge;
      const shut = (s[i] > 0.0 && high[i] === 0.0) || (s[i] < 0.0 && low[i] === 0.0);
      const still = rate <= LINKAGE_ROUNDING * quickest && hinge > 0.0;
      locked[i] = sticks || shut || still ? 1 : 0;
    }
    for (let again = true; again;) {
      again = false;
      let start = 0;
      for (let k = 0; k < size; k++) {
        if (locked[k]) continue;
        // Sections start..k are one rigid piece; it rests if one has both ends at rest.
        let total = 0.0,
          fixed = false,
          free = false;
        for (let n = start; n <= k; n++) {
          total += omega[n];
          if (rests[n] && rests[n + 1]) fixed = true;
          else free = true;
        }
        for (let n = start; n <= k; n++) {
          omega[n] = fixed ? 0.0 : total / (k + 1 - start);
          if (fixed) rests[n] = rests[n + 1] = 1;
        }
        again = again || (fixed && free);
        start = k + 1;
      }
    }
    let x = 0.0,
      y = 0.0;
    for (let i = 0; i < size; i++) {
      x -= this.section * Math.sin(angles[i]) * omega[i];
      y += this.section * Math.cos(angles[i]) * omega[i];
      if (rests[i + 1]) x = y = 0.0;
      v[2 * i] = x;
      v[2 * i + 1] = y;
    }
  }
}
