/** A ruler in the reader's hand: it follows goals or replays, and keeps what the hand did. */

import { followHand, stepsOfHand } from "./hand.js";
import { Linkage } from "./linkage.js";

const RULER_DT = 1e-3;
const KNOT = 10; // steps between two corners of the way of a hand that is led
const AGILITY = 40; // 1/s: the hand is where it was told to be 2/40 s ago, and moves smoothly
const FASTEST = 5.0; // m/s
const CAREFUL = 0.01; // m/s, the hand's highest speed where the ruler has balked often
const FARTHEST = 0.99; // of the full length
const FLATTEST = 0.05; // the hand does not bring it nearer to one straight line than this,
const FLATTEST_CAREFULLY = 0.01; // than this where it moves carefully
const WAYS_ROUND = [0.0, 1.2, -1.2, 2.4, -2.4]; // rad, off the straight way
const WHIPPING = 250; // rad/s of a section, too long an arc for one step
const METER_TIME = 0.1; // s, over which speed and acceleration are averaged

/** One pull, from the folded ruler on. Lengths in m, times in s. */
export class RulerPull {
  /** @param {object} ruler the fields of `FoldingRuler` */
  constructor(ruler) {
    this.ruler = ruler;
    this.linkage = new Linkage(ruler);
    [this.x, this.y] = this.linkage.points().slice(-2);
    this.farthest = FARTHEST * ruler.sections * ruler.section_length;
    this.steps = 0;
    this.times = [0.0];
    this.positions = [this.x, this.y];
    this.replay = null;
    this.refused = false;
    this.balks = 0;
    this.highestSpeed = FASTEST;
    /** Where a led hand is told to be, where it shall go, how fast, and its velocity. */
    this.led = { x: this.x, y: this.y, goalX: this.x, goalY: this.y, pace: 0, vx: 0, vy: 0 };
    this.from = { x: this.x, y: this.y };
    this.to = { x: this.x, y: this.y };
    this.meter = { x: this.x, y: this.y, vx: 0, vy: 0, speed: 0, acceleration: 0 };
    this.highest = { speed: 0, acceleration: 0 };
  }

  get time() {
    return this.steps * RULER_DT;
  }

  /** Whether anything has happened since the ruler was folded. */
  get begun() {
    return this.steps > 0;
  }

  /** D_l = y - x_l for l = 0..N-1, as `Motion.load_curve`. */
  get separation() {
    const points = this.linkage.points();
    const size = this.ruler.sections;
    return Array.from({ length: size }, (_, l) => points[2 * size] - points[2 * l]);
  }

  /** Lead the hand straight to a goal, at a pace in m/s, or without one as fast as it can. */
  lead(x, y, pace = Infinity) {
    if (this.replay) this.endReplay();
    const shrink = Math.min(1.0, this.farthest / Math.hypot(x, y));
    Object.assign(this.led, { goalX: x * shrink, goalY: y * shrink, pace });
  }

  /** Stop the hand where it is. */
  halt() {
    this.lead(this.led.x, this.led.y);
  }

  /** Play a hand {times, positions} that starts at the end of the folded ruler. */
  play(hand) {
    this.replay = { hand, at: followHand(hand), steps: stepsOfHand(hand, RULER_DT) };
  }

  /** Whether the hand has arrived and nothing moves. */
  get resting() {
    const { x, y, goalX, goalY } = this.led;
    const there = this.x === goalX && this.y === goalY && x === goalX && y === goalY;
    return !this.replay && there && this.steps % KNOT === 0 && this.linkage.resting();
  }

  /** A new frame: where the ruler balked in the last one, try again, each time another way. */
  retry() {
    this.balks = this.refused ? this.balks + 1 : 0;
    this.refused = false;
  }

  /** Go on by a millisecond. */
  step() {
    if (this.replay) this.followReplay();
    else this.followLead();
    this.steps += 1;
    if (this.steps % KNOT === 0) this.measure();
    if (this.replay && this.steps >= this.replay.steps) this.endReplay();
  }

  followReplay() {
    const [x, y] = this.replay.at((this.steps + 1) * RULER_DT);
    if (this.linkage.advance(x, y, RULER_DT)) [this.x, this.y] = [x, y];
    else {
      this.endReplay();
      this.refuse();
    }
  }

  followLead() {
    const part = this.steps % KNOT;
    const { from, to } = this;
    if (part === 0) {
      [from.x, from.y] = [this.x, this.y];
      if (!this.refused) this.chooseCorner();
    }
    const x = from.x + ((to.x - from.x) * (part + 1)) / KNOT;
    const y = from.y + ((to.y - from.y) * (part + 1)) / KNOT;
    if (this.follow(x, y)) {
      [this.x, this.y] = part + 1 < KNOT ? [x, y] : [to.x, to.y];
    } else this.refuse();
    if (part + 1 === KNOT) this.keep(this.steps + 1);
  }

  /** The ruler cannot follow: until the next frame the hand stays where the ruler ends. */
  refuse() {
    this.keep(this.steps);
    this.refused = true;
    const [x, y] = this.linkage.points().slice(-2);
    const { led } = this;
    Object.assign(led, { x, y, vx: 0, vy: 0 });
    if (led.pace < Infinity) Object.assign(led, { goalX: x, goalY: y });
    for (const each of [this, this.from, this.to]) Object.assign(each, { x, y });
    this.highestSpeed = Math.max(CAREFUL, 0.5 * this.highestSpeed);
    if (!this.follow(x, y)) this.linkage.stop();
    this.keep(this.steps + 1);
  }

  /** Whether a section turns faster than steps can tell. */
  get whips() {
    return this.linkage.omega.some((rate) => Math.abs(rate) > WHIPPING);
  }

  /** Lead the end of the ruler to (x, y) in a step; false, and no change, where it balks. */
  follow(x, y) {
    const { linkage } = this;
    const before = linkage.bend();
    const least = this.highestSpeed > 10 * CAREFUL ? FLATTEST : FLATTEST_CAREFULLY;
    if (linkage.advance(x, y, RULER_DT)) {
      const now = linkage.bend();
      if (!this.whips && (now >= least || now >= before)) return true;
    }
    linkage.back();
    return false;
  }

  /** Choose where the led hand goes in the next hundredth of a second: smoothly to its goal. */
  chooseCorner() {
    const { led, from, to } = this;
    const span = KNOT * RULER_DT;
    const left = Math.hypot(led.goalX - led.x, led.goalY - led.y);
    const share = left <= led.pace * span ? 1.0 : (led.pace * span) / left;
    led.x = share === 1.0 ? led.goalX : led.x + share * (led.goalX - led.x);
    led.y = share === 1.0 ? led.goalY : led.y + share * (led.goalY - led.y);
    const fade = Math.exp(-AGILITY * span);
    for (const [axis, rate] of [
      ["x", "vx"],
      ["y", "vy"],
    ]) {
      const behind = from[axis] - led[axis];
      const pull = led[rate] + AGILITY * behind;
      to[axis] = led[axis] + (behind + pull * span) * fade;
      led[rate] = (led[rate] - pull * AGILITY * span) * fade;
    }
    const swift = Math.hypot(to.x - from.x, to.y - from.y) / (this.highestSpeed * span);
    this.highestSpeed = Math.min(FASTEST, 1.5 * this.highestSpeed);
    if (swift > 1.0) {
      to.x = from.x + (to.x - from.x) / swift;
      to.y = from.y + (to.y - from.y) / swift;
      led.vx /= swift;
      led.vy /= swift;
    }
    if (this.balks > 0) {
      const turn = WAYS_ROUND[this.balks % WAYS_ROUND.length];
      const dx = to.x - from.x,
        dy = to.y - from.y;
      to.x = from.x + Math.cos(turn) * dx - Math.sin(turn) * dy;
      to.y = from.y + Math.sin(turn) * dx + Math.cos(turn) * dy;
    }
    const far = Math.hypot(to.x, to.y) / this.farthest;
    if (far > 1.0) {
      to.x /= far;
      to.y /= far;
    }
    const near = 1e-5 * this.ruler.section_length;
    if (Math.abs(to.x - led.x) + Math.abs(to.y - led.y) < near) {
      [to.x, to.y, led.vx, led.vy] = [led.x, led.y, 0, 0];
    }
  }

  /** Keep a corner of the hand's way; while it rests, only the last one's time changes. */
  keep(step) {
    const { times, positions, x, y } = this;
    const rests = (back) => positions.at(-2 * back) === x && positions.at(1 - 2 * back) === y;
    if (step * RULER_DT <= times.at(-1)) return;
    if (times.length > 1 && rests(1) && rests(2)) times[times.length - 1] = step * RULER_DT;
    else {
      times.push(step * RULER_DT);
      positions.push(x, y);
    }
  }

  endReplay() {
    const { hand } = this.replay;
    this.replay = null;
    for (let n = 1; n < hand.times.length && hand.times[n] < this.time; n++) {
      this.times.push(hand.times[n]);
      this.positions.push(hand.positions[2 * n], hand.positions[2 * n + 1]);
    }
    this.keep(this.steps);
    const { x, y } = this;
    for (const each of [this.from, this.to]) Object.assign(each, { x, y });
    Object.assign(this.led, { x, y, goalX: x, goalY: y, vx: 0, vy: 0 });
  }

  /** Average the speed and the acceleration of the hand, and keep the highest of each. */
  measure() {
    const { meter, highest } = this;
    const span = KNOT * RULER_DT;
    const vx = (this.x - meter.x) / span,
      vy = (this.y - meter.y) / span;
    const fresh = 1.0 - Math.exp(-span / METER_TIME);
    const average = (old, now) => Math.sqrt(old * old + fresh * (now * now - old * old));
    const change = Math.hypot(vx - meter.vx, vy - meter.vy) / span;
    meter.speed = average(meter.speed, Math.hypot(vx, vy));
    meter.acceleration = average(meter.acceleration, change);
    Object.assign(meter, { x: this.x, y: this.y, vx, vy });
    highest.speed = Math.max(highest.speed, meter.speed);
    highest.acceleration = Math.max(highest.acceleration, meter.acceleration);
  }
}
