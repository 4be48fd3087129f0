/**
 * One time step of a chain of rigid rods with implicit dry friction: `dry_friction.py`, where the
 * problem and its solution are explained, operation by operation.
 *
 * Pairs lie flat: point i has v[2 i] and v[2 i + 1].
 */

const FRICTION_STIFFNESS = 300.0;
const FRICTION_TOLERANCE = 1e-11;
const FRICTION_PATIENCE = 60;
const frictionPair = new Float64Array(2);

/**
 * Room for the numbers in between, so that a step leaves nothing to the garbage collector.
 *
 * @param {number} size N, the number of rods
 * @returns {Object<string, Float64Array>}
 */
export function frictionRoom(size) {
  const room = { matrix: new Float64Array(size * size), block: new Float64Array(3 * size) };
  for (const name of ["tangent", "old", "dv", "force"]) room[name] = new Float64Array(2 * size);
  room.d = new Float64Array(size);
  return room;
}

/**
 * Minimise the function of the module; velocities and impulses are changed in place.
 *
 * The arguments are those of `step` in Python, and in the end the `room` from `frictionRoom`.
 *
 * @returns {number} Newton steps taken; -1 without a solution
 */
export function frictionStep(
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
  room,
) {
  const size = angles.length;
  const last = size - 1;
  const { tangent, old, d, dv, force, block, matrix } = room;
  let fastest = Math.sqrt(hand[0] * hand[0] + hand[1] * hand[1]);
  for (let i = 0; i < last; i++) {
    fastest = Math.max(fastest, Math.sqrt(v[2 * i] * v[2 * i] + v[2 * i + 1] * v[2 * i + 1]));
  }
  if (fastest === 0.0) {
    omega.fill(0.0);
    return 0;
  }
  const friction = Math.max(table, hinge / section);
  let damping = FRICTION_STIFFNESS * Math.max(mass, friction / fastest);
  let turning = damping * section * section;
  const scale = Math.max(friction, mass * fastest);
  let allowed = FRICTION_TOLERANCE * scale;
  old.set(v);
  for (let k = 0; k < size; k++) {
    tangent[2 * k] = -section * Math.sin(angles[k]);
    tangent[2 * k + 1] = section * Math.cos(angles[k]);
  }
  let count = 0;
  let solved = false;
  let before = Infinity;
  for (;;) {
    // Impulses at each point, and how they change with its velocity.
    frictionVelocities(tangent, omega, v);
    for (let i = 0; i < size; i++) {
      let px = p[2 * i] + damping * v[2 * i];
      let py = p[2 * i + 1] + damping * v[2 * i + 1];
      block[3 * i] = damping;
      block[3 * i + 1] = 0.0;
      block[3 * i + 2] = damping;
      if (i === last) {
        force[2 * i] = px - damping * hand[0];
        force[2 * i + 1] = py - damping * hand[1];
        continue;
      }
      const length = Math.sqrt(px * px + py * py);
      if (length >= table) {
        const ratio = length > 0.0 ? (damping * table) / length : 0.0;
        px = length > 0.0 ? px / length : 0.0;
        py = length > 0.0 ? py / length : 0.0;
        block[3 * i] = ratio * py * py;
        block[3 * i + 1] = -ratio * px * py;
        block[3 * i + 2] = ratio * px * px;
        px = table * px;
        py = table * py;
      }
      block[3 * i] += mass;
      block[3 * i + 2] += mass;
      force[2 * i] = px + mass * (v[2 * i] - old[2 * i]);
      force[2 * i + 1] = py + mass * (v[2 * i + 1] - old[2 * i + 1]);
    }
    // Gradient (in d) and matrix: on a section act all points beyond it.
    let x = 0.0,
      y = 0.0,
      xx = 0.0,
      xy = 0.0,
      yy = 0.0;
    for (let k = last; k >= 0; k--) {
      x += force[2 * k];
      y += force[2 * k + 1];
      xx += block[3 * k];
      xy += block[3 * k + 1];
      yy += block[3 * k + 2];
      d[k] = tangent[2 * k] * x + tangent[2 * k + 1] * y;
      const bx = xx * tangent[2 * k] + xy * tangent[2 * k + 1];
      const by = xy * tangent[2 * k] + yy * tangent[2 * k + 1];
      for (let n = 0; n <= k; n++) {
        matrix[n * size + k] = tangent[2 * n] * bx + tangent[2 * n + 1] * by;
      }
    }
    for (let j = 0; j < last; j++) {
      const turn = turning * (omega[j + 1] - omega[j]);
      const torque = frictionClip(q[j] + turn, -hinge, hinge);
      const stop = s[j] + turn - frictionClip(s[j] + turn, turning * low[j], turning * high[j]);
      d[j] -= torque + stop;
      d[j + 1] += torque + stop;
      const sticks = Math.abs(q[j] + turn) < hinge;
      const slope = (sticks ? turning : 0.0) + (stop !== 0 ? turning : 0.0);
      matrix[j * size + j] += slope;
      matrix[(j + 1) * size + j + 1] += slope;
      matrix[j * size + j + 1] -= slope;
    }
    let worst = 0.0;
    for (let k = 0; k < size; k++) worst = Math.max(worst, Math.abs(d[k]));
    if (solved && worst <= allowed * section) {
      // The impulses take over what the dampers do.
      let change = 0.0,
        swiftest = 0.0;
      for (let i = 0; i < size; i++) {
        swiftest = Math.max(swiftest, Math.abs(v[2 * i]), Math.abs(v[2 * i + 1]));
        frictionImpulse(p, i, v[2 * i], v[2 * i + 1], hand, damping, table, i === last);
        const px = frictionPair[0],
          py = frictionPair[1];
        change = Math.max(change, Math.abs(px - p[2 * i]), Math.abs(py - p[2 * i + 1]));
        p[2 * i] = px;
        p[2 * i + 1] = py;
      }
      for (let j = 0; j < last; j++) {
        const turn = turning * (omega[j + 1] - omega[j]);
        const torque = frictionClip(q[j] + turn, -hinge, hinge);
        const stop = s[j] + turn - frictionClip(s[j] + turn, turning * low[j], turning * high[j]);
        change = Math.max(
          change,
          Math.abs(torque - q[j]) / section,
          Math.abs(stop - s[j]) / section,
        );
        q[j] = torque;
        s[j] = stop;
      }
      if (change <= Math.max(allowed, 1e-13 * damping * fastest)) return count;
      // Slow, and far from where rounding would enter: stiffer dampers.
      const settled = worst < 0.02 * allowed * section && damping * swiftest < 1e6 * scale;
      if (change > 0.3 * before && settled) {
        damping = 10.0 * damping;
        turning = 10.0 * turning;
      }
      before = change;
      solved = false;
      continue;
    }
    count += 1;
    if (count > 6 * FRICTION_PATIENCE) return -1;
    if (count % FRICTION_PATIENCE === 0) {
      allowed = 10.0 * allowed;
      before = Infinity;
    }
    // Newton's direction, and along it the zero of the derivative, which only grows.
    const first = frictionDescend(matrix, d);
    if (!(first <= 0.0)) return -1;
    frictionVelocities(tangent, d, dv);
    let length = 1.0,
      below = 0.0,
      above = 1.0;
    for (let trial = 0; trial < 60; trial++) {
      let slope = 0.0;
      for (let i = 0; i < size; i++) {
        const vx = v[2 * i] + length * dv[2 * i];
        const vy = v[2 * i + 1] + length * dv[2 * i + 1];
        frictionImpulse(p, i, vx, vy, hand, damping, table, i === last);
        let px = frictionPair[0],
          py = frictionPair[1];
        if (i < last) {
          px += mass * (vx - old[2 * i]);
          py += mass * (vy - old[2 * i + 1]);
        }
        slope += px * dv[2 * i] + py * dv[2 * i + 1];
      }
      for (let j = 0; j < last; j++) {
        const bend = d[j + 1] - d[j];
        const turn = turning * (omega[j + 1] - omega[j] + length * bend);
        const stop = s[j] + turn - frictionClip(s[j] + turn, turning * low[j], turning * high[j]);
        slope += (frictionClip(q[j] + turn, -hinge, hinge) + stop) * bend;
      }
      if (Math.abs(slope) <= -0.1 * first || (length === 1.0 && slope < 0.0)) break;
      if (slope > 0.0) above = length;
      else below = length;
      length = 0.5 * (below + above);
    }
    for (let k = 0; k < size; k++) omega[k] += length * d[k];
    solved = true;
  }
}

function frictionVelocities(tangent, omega, v) {
  let x = 0.0,
    y = 0.0;
  for (let i = 0; i < omega.length; i++) {
    x += tangent[2 * i] * omega[i];
    y += tangent[2 * i + 1] * omega[i];
    v[2 * i] = x;
    v[2 * i + 1] = y;
  }
}

/** Leave in `frictionPair` the impulse against the motion of a point: unbounded if it is held. */
function frictionImpulse(p, i, vx, vy, hand, damping, table, held) {
  let px = p[2 * i] + damping * (held ? vx - hand[0] : vx);
  let py = p[2 * i + 1] + damping * (held ? vy - hand[1] : vy);
  const length = Math.sqrt(px * px + py * py);
  if (!held && !(length < table)) {
    px = table * (length > 0.0 ? px / length : 0.0);
    py = table * (length > 0.0 ? py / length : 0.0);
  }
  frictionPair[0] = px;
  frictionPair[1] = py;
}

function frictionClip(x, low, high) {
  return Math.min(Math.max(x, low), high);
}

/** Replace a gradient by Newton's direction (Cholesky); return the derivative along it. */
function frictionDescend(matrix, d) {
  const size = d.length;
  let along = 0.0;
  for (let k = 0; k < size; k++) {
    const diagonal = k * size + k;
    for (let n = 0; n < k; n++) matrix[diagonal] -= matrix[n * size + k] * matrix[n * size + k];
    matrix[diagonal] = Math.sqrt(matrix[diagonal]);
    for (let c = k + 1; c < size; c++) {
      const at = k * size + c;
      for (let n = 0; n < k; n++) matrix[at] -= matrix[n * size + k] * matrix[n * size + c];
      matrix[at] /= matrix[diagonal];
    }
    for (let n = 0; n < k; n++) d[k] -= matrix[n * size + k] * d[n];
    d[k] /= matrix[diagonal];
    along -= d[k] * d[k];
  }
  for (let k = size - 1; k >= 0; k--) {
    d[k] = -d[k];
    for (let c = k + 1; c < size; c++) d[k] -= matrix[k * size + c] * d[c];
    d[k] /= matrix[k * size + k];
  }
  return along;
}
