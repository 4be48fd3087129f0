import { columnSums, multiplyTransposed, transpose } from "./matrix.js";

/** A linear layer: `weight` (outputs x inputs), `bias` (outputs) and their gradients are views of
 *  the network's vectors; `memory` is scratch that layers share. */
export class Linear {
  constructor(inputs, outputs, weight, bias, weightGradient, biasGradient, memory) {
    Object.assign(this, { inputs, outputs, weight, bias, weightGradient, biasGradient, memory });
    this.transposed = new Float64Array(weight.length);
  }

  /** torch.nn.Linear's default: uniform in ± 1 / sqrt(inputs). */
  initialise(draw) {
    const bound = 1 / Math.sqrt(this.inputs);
    for (const tensor of [this.weight, this.bias]) {
      for (let k = 0; k < tensor.length; k++) tensor[k] = bound * (2 * draw() - 1);
    }
  }

  /** out (rows x outputs) = x (rows x inputs) weight^T + bias. */
  forward(x, out, rows) {
    multiplyTransposed(x, this.weight, this.bias, out, rows, this.outputs, this.inputs);
  }

  /** Write the gradients of weight and bias, and into `toInput` (rows x inputs) that of x. */
  backward(gradient, x, toInput, rows) {
    const { inputs, outputs, weight, transposed } = this;
    const { first, second } = this.memory;
    columnSums(gradient, this.biasGradient, rows, outputs);
    transpose(gradient, first, rows, outputs);
    transpose(x, second, rows, inputs);
    multiplyTransposed(first, second, null, this.weightGradient, outputs, inputs, rows);
    transpose(weight, transposed, outputs, inputs);
    multiplyTransposed(gradient, transposed, null, toInput, rows, inputs, outputs);
  }
}
