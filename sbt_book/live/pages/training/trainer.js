import { Adam } from "../network/adam.js";
import { standardise } from "../network/batch_norm.js";
import { accuracy, crossEntropy } from "../network/cross_entropy.js";
import { dataSeparation } from "../network/data_separation.js";
import { Network } from "../network/network.js";
import { uniform } from "../shared/random.js";

/** A network in training: one call of `step` is one optimisation step. Every setting may change
 *  between two steps. */
export class Trainer {
  /** `train` and `test` hold `images` (n x inputs; a Uint8Array: grey levels; a Float64Array: any
   *  numbers, which are standardised) and `labels` (Uint8Array, n; `test` may have none);
   *  `settings` hold negative_slope, dropout, learning_rate, batch_size and label_noise. */
  constructor(train, test, { width, hidden_layers, classes, seed }, settings) {
    const inputs = train.images.length / train.labels.length;
    const rows = Math.max(train.labels.length, test.labels.length);
    Object.assign(this, { inputs, classes, settings, ...prepared(train, test, inputs) });
    this.draw = uniform(seed);
    this.network = new Network({ inputs, width, hidden_layers, classes, rows });
    this.network.initialise(this.draw);
    this.optimiser = new Adam(this.network.parameters, this.network.gradients);
    this.order = Uint32Array.from(train.labels.keys());
    this.next = this.order.length; // place in the order: at its end, shuffle
    this.images = new Float64Array(rows * inputs);
    this.labels = new Uint8Array(rows);
  }

  get steps() {
    return this.optimiser.steps;
  }

  /** Take one step and return the loss of its batch, as trained: with noise and dropout. */
  step() {
    const { network, settings, classes } = this;
    const rows = this.takeBatch();
    const masked = settings.dropout > 0;
    if (masked) network.drawMasks(settings.dropout, rows, this.draw);
    const logits = network.forward(this.images, rows, settings.negative_slope, masked);
    const loss = crossEntropy(logits, this.labels, network.toLogits, rows, classes);
    network.backward(network.toLogits, rows);
    this.optimiser.step(settings.learning_rate);
    return loss;
  }

  /** Gather the next images and labels, redraw some labels; return how many images. An epoch's
   *  last batch takes what is left, unless that is one image, which has no batch variance. */
  takeBatch() {
    const { order, inputs, classes, settings, train } = this;
    if (order.length - this.next < 2) {
      shuffle(order, this.draw);
      this.next = 0;
    }
    const rows = Math.min(settings.batch_size, order.length - this.next);
    for (let i = 0; i < rows; i++) {
      const from = order[this.next++];
      const start = from * inputs;
      for (let j = 0; j < inputs; j++) this.images[i * inputs + j] = train.images[start + j];
      const redrawn = settings.label_noise > 0 && this.draw() < settings.label_noise;
      this.labels[i] = redrawn ? Math.floor(classes * this.draw()) : train.labels[from];
    }
    return rows;
  }

  /** Measure in evaluation mode, without noise: D_l of the training images, l = 0..hidden_layers,
   *  and the accuracies of training and test images (null without any). */
  measure() {
    const { network, classes, settings, train, test } = this;
    const separation = [];
    const visit = (layer, features, columns) => {
      separation.push(dataSeparation(features, train.labels, train.rows, columns, classes));
    };
    const right = ({ images, labels, rows }, look) => {
      const logits = network.evaluate(images, rows, settings.negative_slope, look);
      return accuracy(logits, labels, rows, classes);
    };
    return {
      steps: this.steps,
      separation,
      accuracy_train: right(train, visit),
      accuracy_test: test.rows ? right(test) : null,
    };
  }
}

/** Return training and test images as the network wants them: greys from 0 to 1, columns of a
 *  table with the mean 0 and the variance 1. */
function prepared(train, test, inputs) {
  const greys = train.images instanceof Uint8Array;
  const part = ({ images, labels }) => {
    const numbers = Float64Array.from(images, greys ? (grey) => grey / 255 : undefined);
    return { images: numbers, labels, rows: labels.length };
  };
  const parts = { train: part(train), test: part(test) };
  if (!greys) standardise(parts.train.images, parts.test.images, inputs);
  return parts;
}

/** Shuffle in place (Fisher and Yates). */
function shuffle(order, draw) {
  for (let k = order.length - 1; k > 0; k--) {
    const other = Math.floor((k + 1) * draw());
    [order[k], order[other]] = [order[other], order[k]];
  }
}
