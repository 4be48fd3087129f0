/**
 * The second-order spring-block chain, step by step as `sbt_utils.mechanics.chain_steps` takes it:
 * dry friction is treated implicitly, so that blocks stick (v = 0 exactly). A chain without `drive`
 * or `skewness` has none.
 */

export const DURATION = 700; // of the published simulations
export const DT = 0.05;
export const EVERY = 40; // steps between two kept states, 2 units of time

/**
 * Return the positions of a chain at times 0, 2, 4, ... from rest at x = 0, one array each.
 *
 * `speeds`, if given, is a list to which the velocities at these times are added.
 */
export function pullChain(chain, normals, speeds) {
  const columns = chain.common_noise ? 1 : chain.blocks;
  const drawn = normals.subarray(0, Math.round(DURATION / DT) * columns);
  const kicks = chainKicks(chain, drawn, columns, DT, 0);
  const state = atRest(new Float64Array(chain.blocks));
  speeds?.push(state.velocities.slice());
  return [state.positions.slice(), ...langevinSteps(state, chain, kicks, DT, EVERY, speeds)];
}

/** Return the state of blocks that rest. */
export function atRest(positions) {
  return { positions: positions.slice(), velocities: new Float64Array(positions.length) };
}

/**
 * Advance a chain in place and keep every k-th of its states.
 *
 * `state` holds `positions` and `velocities` (Float64Array, shape (L,)); `kicks` (steps x columns,
 * one column is common to all blocks) the momentum that noise transfers in each step.
 * Returns the kept positions, one Float64Array each, without the first state; `speeds`, if given, is
 * a list to which the velocities of the kept states are added.
 */
export function langevinSteps(state, chain, kicks, dt, every, speeds) {
  const { positions, velocities } = state;
  const { spring_constant: spring, drive = 0, end, mass } = chain;
  const last = positions.length - 1;
  const columns = chain.common_noise ? 1 : last + 1;
  const steps = kicks.length / columns;
  const inertia = 1 + (chain.damping * dt) / mass;
  const h = dt / mass / inertia;
  const [right, left] = [h * chain.friction_right, h * chain.friction_left];
  const pull = spring * end;
  const drawn = drive * end;
  // All kept states share one memory: thousands of small arrays would keep the collector busy.
  const size = Math.floor(steps / every) * (last + 1);
  const kept = new Float64Array(size);
  const keptSpeeds = new Float64Array(speeds ? size : 0);
  let place = 0;
  for (let step = 0; step < steps; step++) {
    let before = 0; // where the block to the left was; the wall is at 0
    for (let block = 0; block <= last; block++) {
      const x = positions[block];
      // k (x_{l+1} - 2 x_l + x_{l-1}) + κ (y - x_l)
      let pulled =
        block < last
          ? spring * (before - 2 * x + positions[block + 1])
          : spring * (before - x) + (pull - spring * x);
      pulled += drawn - drive * x;
      const momentum = dt * pulled + kicks[columns === 1 ? step : step * columns + block];
      const free = (velocities[block] + momentum / mass) / inertia;
      const velocity = Math.max(free - right, 0) + Math.min(free + left, 0);
      const moved = x + dt * velocity;
      velocities[block] = moved === x ? 0 : velocity; // what is left is rounding
      positions[block] = moved;
      before = x;
    }
    if ((step + 1) % every === 0) {
      kept.set(positions, place);
      if (speeds) keptSpeeds.set(velocities, place);
      place += last + 1;
    }
  }
  if (speeds) speeds.push(...statesIn(keptSpeeds, last + 1));
  return statesIn(kept, last + 1);
}

/** Return the states that lie one after another in an array, each in place. */
function statesIn(kept, blocks) {
  return Array.from({ length: kept.length / blocks }, (_, state) =>
    kept.subarray(state * blocks, (state + 1) * blocks),
  );
}

/**
 * Turn standard normal numbers (steps x columns) into the kicks of a chain from time `before` on:
 * white noise, so what it transfers in a step grows as the root of dt.
 */
export function chainKicks(chain, normals, columns, dt, before) {
  const scale = chainAmplitude(chain) * Math.sqrt(dt);
  const kicks = new Float64Array(normals.length);
  for (let step = 0; step * columns < normals.length; step++) {
    const amplitude = scale * Math.exp(-chain.noise_decay * (before + dt * step));
    for (let place = step * columns; place < (step + 1) * columns; place++) {
      kicks[place] = amplitude * normals[place];
    }
  }
  return kicks;
}

/** Return the noise amplitude on each block at t = 0: ε, or sqrt(L) ε where it is common. */
export function chainAmplitude(chain) {
  return chain.noise * (chain.common_noise ? Math.sqrt(chain.blocks) : 1);
}

/** Return D_l = y - x_l of l = 0..L. */
export function chainSeparation(chain, positions) {
  return [chain.end, ...Array.from(positions, (position) => chain.end - position)];
}

/** Return the load curve D_0..D_L that friction alone leads to: `static_loads` in closed form. */
export function staticCurve(chain) {
  if (chain.drive) return drivenCurve(chain, chain.friction_right, true);
  const count = chain.blocks + 1;
  const rise = chain.friction_right / chain.spring_constant;
  // d_l falls by `rise` a layer from the pull on; n is the largest number that stay positive.
  let n = count;
  while (n > 1 && chain.end - (rise * n * (n - 1)) / 2 <= 0) n--;
  const last = chain.end / n + (rise * (n - 1)) / 2;
  return fromLoads(count, (l) => Math.max(last - rise * (count - l), 0));
}

/** Return the load curve that symmetric noise leads to in the end: `mean_field_loads`. */
export function meanFieldCurve(chain) {
  const net = (chain.friction_right - chain.friction_left) / 2;
  if (chain.drive) return drivenCurve(chain, net, false);
  const count = chain.blocks + 1;
  const rise = net / chain.spring_constant;
  return fromLoads(count, (l) => chain.end / count + rise * (l - 1 - chain.blocks / 2));
}

/** Return the load curve at a net force on each block, or on those that leave x = 0 from rest. */
function drivenCurve(chain, net, fromRest) {
  const { blocks, end, spring_constant: spring, drive } = chain;
  const diagonal = 2 * spring + drive;
  const coupling = spring / diagonal;
  const excess = new Array(blocks).fill((drive * end - net) / diagonal);
  excess[blocks - 1] += (spring * end) / diagonal;
  const moved = new Array(blocks).fill(!fromRest);
  for (;;) {
    const x = solveRuns(excess, coupling, moved);
    const beside = (l) => coupling * ((x[l - 1] ?? 0) + (x[l + 1] ?? 0));
    const off = moved.map((has, l) => !has && excess[l] + beside(l) > 0);
    if (!off.includes(true)) return chainSeparation(chain, x);
    off.forEach((sets, l) => (moved[l] ||= sets)); // none that has moved comes back
  }
}

/** Solve x_l = excess_l + coupling (x_{l-1} + x_{l+1}) where blocks moved; elsewhere x_l = 0. */
function solveRuns(excess, coupling, moved) {
  const x = [];
  const factors = [];
  moved.forEach((has, l) => {
    const factor = has ? 1 / (1 - coupling * (factors[l - 1] ?? 0)) : 0;
    factors.push(factor * coupling);
    x.push(factor * (excess[l] + coupling * (x[l - 1] ?? 0)));
  });
  for (let l = x.length - 2; l >= 0; l--) x[l] += factors[l] * x[l + 1];
  return x;
}

/** Sum loads d_l, l = 1..count, from the end: D_l is what is left beyond block l. */
function fromLoads(count, load) {
  const curve = new Array(count);
  let left = 0;
  for (let l = count; l > 0; l--) curve[l - 1] = left += load(l);
  return curve;
}
