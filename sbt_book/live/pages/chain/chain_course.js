/** What a chain does from its pull on: states at times 0, 2, 4, ..., and other ways to go on. */

import { DT, DURATION, EVERY, chainKicks, langevinSteps, pullChain } from "./chain_steps.js";
import { chainNoise } from "./skewed_noise.js";

const SHAKE = { noise: 0.02, duration: 60, calm: 140 };
const CALM_AFTER_NUDGE = 140; // units of time, at least

/** The course of a chain that is pulled from rest, under standard random numbers. */
export class ChainCourse {
  constructor(chain, normals) {
    this.chain = chain;
    this.velocities = [];
    this.positions = pullChain(chain, normals, this.velocities);
    this.turns = 0; // how often it took another way: each has random numbers of its own
  }

  get duration() {
    return (this.positions.length - 1) * DT * EVERY;
  }

  /** Return the place of the state at a time. */
  stateAt(time) {
    return Math.round(time / (DT * EVERY));
  }

  /** Shake the table hard for a while at a time, then leave it as it was. */
  shake(time, seed) {
    this.turn(time);
    this.goOn({ ...this.chain, noise: SHAKE.noise, noise_decay: 0 }, SHAKE.duration, seed);
    this.goOn(this.chain, SHAKE.calm, seed);
  }

  /** Give a block, 1..L, a velocity on top of its own at a time. */
  nudge(time, block, velocity, seed) {
    const state = this.turn(time);
    const velocities = this.velocities[state].slice();
    velocities[block - 1] += velocity;
    this.velocities[state] = velocities;
    this.goOn(this.chain, Math.max(DURATION - time, CALM_AFTER_NUDGE), seed);
  }

  /** Forget what comes after a time; return the place of its state. */
  turn(time) {
    const state = this.stateAt(time);
    this.turns += 1;
    this.positions.length = this.velocities.length = state + 1;
    return state;
  }

  /** Go on from the last state for a while, with fresh random numbers. */
  goOn(chain, duration, seed) {
    const columns = chain.common_noise ? 1 : chain.blocks;
    const before = this.duration;
    const drawn = chainNoise(chain, seed + this.turns, Math.round(duration / DT) * columns, DT);
    const kicks = chainKicks(chain, drawn, columns, DT, before);
    const [positions, velocities] = [this.positions, this.velocities].map((all) =>
      all.at(-1).slice(),
    );
    const state = { positions, velocities };
    this.positions.push(...langevinSteps(state, chain, kicks, DT, EVERY, this.velocities));
  }
}
