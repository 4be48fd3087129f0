/** A cell of a phase diagram in words. */

import { REGIME_TOLERANCE, signed, verdict } from "../shared/shape.js";

/** Return which cell it is, and the regime of its load curve. */
export function cellVerdict(diagram, row, column) {
  const { label, noise_names: names, slope, separation } = diagram;
  const shape = verdict(separation[row][column]);
  return `${label} = ${names[column]}, α = ${slopeName(slope[row])}: ${shape}`;
}

/** Return a negative slope, with the name of the activation at both ends. */
export function slopeName(slope) {
  return `${slope}${{ 0: " (ReLU)", 1: " (linear)" }[slope] ?? ""}`;
}

/** Return what is known of the networks of a cell. */
export function networkWords(diagram, row, column) {
  const { seeds, accuracy, accuracy_spread: spread, failed } = diagram;
  const known = diagram.published_accuracy[row][column];
  let words = `Test accuracy ${accuracy[row][column].toFixed(1)} %, `;
  words += `± ${spread[row][column].toFixed(1)} over ${seeds} networks`;
  words += `${known ? ` (published: ${known.toFixed(1)} %)` : ""}.`;
  const [low, high] = diagram.convexity_interval[row][column];
  if (low === null) words += " Not all of their curves fall, so not all have a convexity.";
  else {
    words += ` Convexity of 95 % of them: ${signed(low)} to ${signed(high)}`;
    const part = (value) => (Math.abs(value) <= REGIME_TOLERANCE ? 0 : Math.sign(value));
    words += part(low) === part(high) ? "." : ", at the edge of a regime.";
  }
  const count = failed[row][column];
  if (count) {
    words += ` ${count} of the ${seeds} failed: trained, ${count > 1 ? "they know" : "it knows"}`;
    words += " fewer than half of the training images, or D is undefined at a layer.";
  }
  return words;
}

/** Return how the chain was fitted to a cell, and how well; it says so where it is a misfit. */
export function chainWords(diagram, row, column, goodMatch) {
  const off = diagram.residual[row][column];
  const friction = diagram.chain_friction[row].toFixed(3);
  const noise = diagram.chain_noise[row][column].toFixed(3);
  const fit = `Its friction is ${friction} and its shaking ${noise}, in units of k\u00a0y.`;
  const apart = `their scaled curves differ by ${off.toFixed(3)}`;
  if (off <= goodMatch) return `The matched chain. ${fit} Networks and chain agree: ${apart}.`;
  return (
    `The nearest chain, a poor match: ${apart}, which is more than ${goodMatch}. ${fit} ` +
    "No chain of this friction, shaken less or more, has the networks’ curve."
  );
}
