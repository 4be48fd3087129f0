/** A network in training, as the page knows it: what was last heard of it, and its curve. */

import { convexity } from "../shared/shape.js";
import { trainingHost } from "./training_host.js";

const SETTLING = 0.08; // seconds: time constant at which the curve follows what is measured
const REDUCED = 500; // milliseconds between two pictures where the reader asked for less motion

/**
 * Start what trains a network. `hear(fresh)` is called when there is news; it is `fresh` if there
 * was no curve of as many layers to bend. What is returned has `told`, the last news, and `shown`,
 * the curve on its way to it; `still` turns that way off.
 */
export function liveNetwork(source, still, hear) {
  let number = 0; // of the network: what is heard of an earlier one comes too late
  const host = trainingHost(source, (latest) => {
    if (latest.number !== number) return;
    const { told, shown } = network;
    const loss = latest.loss ?? (told?.number === number ? told.loss : null);
    network.told = { ...latest, loss, convexity: convexity(latest.separation) };
    const fresh = shown?.length !== latest.separation.length;
    if (fresh || still) network.shown = latest.separation;
    hear(fresh);
  });
  const network = {
    told: null,
    shown: null,
    /** Begin anew: data of classes 0..classes-1, an architecture with the seed, settings. */
    renew({ train, test, classes }, architecture, settings) {
      number++;
      const fresh = { train, test, number, architecture: { ...architecture, classes } };
      host.send({ settings, fresh, interval: still ? REDUCED : 125 });
    },
    turn: (settings) => host.send({ settings }),
    run: (running) => host.send({ running }),
    /** Bring the curve nearer to what is measured; tell whether there is a way left. */
    advance(seconds) {
      if (!network.told) return false;
      const target = network.told.separation;
      const part = 1 - Math.exp(-seconds / SETTLING);
      // D is not a number where it is undefined: there is no way to it, nor back.
      const far = network.shown.some((D, l) => Math.abs(target[l] - D) >= 0.005);
      network.shown = far
        ? network.shown.map((D, l) => (Number.isFinite(D) ? D + part * (target[l] - D) : target[l]))
        : target;
      return far;
    },
    stop: () => host.stop(),
  };
  return network;
}
