import { BatchNorm } from "./batch_norm.js";
import { Linear } from "./linear.js";

/**
 * The published network (sbt_utils.networks.MLP): batch norm of the input, `hidden_layers` times
 * linear, batch norm, leaky ReLU and dropout, then a linear read-out. Matrices are row-major
 * Float64Arrays, an image a row; all memory is allocated here, for at most `rows` images.
 */
export class Network {
  constructor({ inputs, width, hidden_layers, classes, rows }) {
    Object.assign(this, { inputs, width, hidden_layers, classes, rows });
    const sizes = [[inputs], [inputs]];
    for (let layer = 0; layer < hidden_layers; layer++) {
      sizes.push([width, layer ? width : inputs], [width], [width], [width]);
    }
    sizes.push([classes, width], [classes]);
    // All parameters side by side, in the order of PyTorch's `named_parameters`.
    const lengths = sizes.map(([outputs, fanIn = 1]) => outputs * fanIn);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    this.parameters = new Float64Array(total);
    this.gradients = new Float64Array(total);
    let start = 0;
    const pair = () => {
      const [a, b] = lengths.splice(0, 2);
      const ends = [start, start + a, start + a + b];
      start = ends[2];
      return [this.parameters, this.gradients].flatMap((all) => [
        all.subarray(ends[0], ends[1]),
        all.subarray(ends[1], ends[2]),
      ]);
    };
    const wide = rows * Math.max(inputs, width, classes);
    const memory = { first: new Float64Array(wide), second: new Float64Array(wide) };
    const matrix = (columns) => new Float64Array(rows * columns);
    this.inputNorm = new BatchNorm(...pair());
    this.normalisedInput = matrix(inputs);
    this.input = matrix(inputs); // l = 0
    this.hidden = [];
    for (let layer = 0; layer < hidden_layers; layer++) {
      this.hidden.push({
        linear: new Linear(layer ? width : inputs, width, ...pair(), memory),
        norm: new BatchNorm(...pair()),
        normalised: matrix(width),
        mask: matrix(width), // dropout: 0, or 1 / (1 - p)
        factor: matrix(width), // derivative of what follows the batch norm
        features: matrix(width), // after the dropout, where there is any
      });
    }
    this.readout = new Linear(width, classes, ...pair(), memory);
    this.logits = matrix(classes);
    this.toLogits = matrix(classes);
    this.scratch = [new Float64Array(wide), new Float64Array(wide)];
  }

  /** Start afresh from PyTorch's default initialisation; `draw` draws from [0, 1). */
  initialise(draw) {
    for (const { linear } of this.hidden) linear.initialise(draw);
    this.readout.initialise(draw);
  }

  /** All batch norms, from the input on. */
  norms() {
    return [this.inputNorm, ...this.hidden.map((layer) => layer.norm)];
  }

  /** Draw every hidden layer's dropout mask: a unit is silenced with probability `dropout`, else
   *  scaled by 1 / (1 - dropout), so that evaluation needs no scale. */
  drawMasks(dropout, rows, draw) {
    const kept = 1 / (1 - dropout);
    for (const { mask } of this.hidden) {
      for (let k = 0; k < rows * this.width; k++) mask[k] = draw() < dropout ? 0 : kept;
    }
  }

  /** Logits (rows x classes) in training mode; with `masked` the masks apply. */
  forward(images, rows, negative_slope, masked) {
    const count = rows * this.width;
    this.inputNorm.forward(images, this.normalisedInput, this.input, rows);
    let x = this.input;
    for (const { linear, norm, normalised, mask, factor, features } of this.hidden) {
      linear.forward(x, features, rows);
      norm.forward(features, normalised, features, rows);
      for (let k = 0; k < count; k++) {
        const slope = features[k] > 0 ? 1 : negative_slope;
        factor[k] = masked ? slope * mask[k] : slope;
        features[k] *= factor[k];
      }
      x = features;
    }
    this.readout.forward(x, this.logits, rows);
    return this.logits;
  }

  /** Write the gradients of all parameters, given that of the loss with respect to the logits
   *  of the last `forward`. */
  backward(toLogits, rows) {
    const count = rows * this.width;
    let [gradient, other] = this.scratch;
    const last = this.hidden[this.hidden_layers - 1].features;
    this.readout.backward(toLogits, last, gradient, rows);
    for (let layer = this.hidden_layers - 1; layer >= 0; layer--) {
      const { linear, norm, normalised, factor } = this.hidden[layer];
      for (let k = 0; k < count; k++) gradient[k] *= factor[k];
      norm.backward(gradient, normalised, rows);
      linear.backward(gradient, layer ? this.hidden[layer - 1].features : this.input, other, rows);
      [gradient, other] = [other, gradient];
    }
    this.inputNorm.backward(gradient, this.normalisedInput, rows);
  }

  /** Logits in evaluation mode; `visit(l, features, columns)` sees the load curve's features:
   *  the normalised input and every hidden layer's activations. */
  evaluate(images, rows, negative_slope, visit) {
    this.inputNorm.evaluate(images, this.input, rows);
    visit?.(0, this.input, this.inputs);
    let x = this.input;
    this.hidden.forEach(({ linear, norm, features }, layer) => {
      linear.forward(x, features, rows);
      norm.evaluate(features, features, rows);
      for (let k = 0; k < rows * this.width; k++) {
        if (features[k] < 0) features[k] *= negative_slope;
      }
      visit?.(layer + 1, features, this.width);
      x = features;
    });
    this.readout.forward(x, this.logits, rows);
    return this.logits;
  }
}
