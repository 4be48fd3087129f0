import { columnSums } from "./matrix.js";

// torch.nn.BatchNorm1d with its default settings (Ioffe & Szegedy 2015).
const BATCH_NORM_EPS = 1e-5;
const BATCH_NORM_MOMENTUM = 0.1;

/** Batch normalisation of activations (rows x features); `weight`, `bias` and their gradients are
 *  views of the network's vectors. */
export class BatchNorm {
  constructor(weight, bias, weightGradient, biasGradient) {
    const features = weight.length;
    Object.assign(this, { features, weight, bias, weightGradient, biasGradient });
    this.runningMean = new Float64Array(features);
    this.runningVariance = new Float64Array(features).fill(1);
    this.inverse = new Float64Array(features); // 1 / sqrt(variance + eps) of the batch
    this.mean = new Float64Array(features);
    weight.fill(1);
    bias.fill(0);
  }

  /**
   * Normalise a batch by its own mean and biased variance and update the running statistics.
   * `normalised` receives what `backward` needs; `out` may be `x`.
   */
  forward(x, normalised, out, rows) {
    const { features, weight, bias, mean, inverse, runningMean, runningVariance } = this;
    columnSums(x, mean, rows, features);
    for (let j = 0; j < features; j++) mean[j] /= rows;
    inverse.fill(0);
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < features; j++, at++) {
        const centred = x[at] - mean[j];
        normalised[at] = centred;
        inverse[j] += centred * centred;
      }
    }
    for (let j = 0; j < features; j++) {
      // PyTorch normalises with the biased variance and keeps the unbiased one.
      const unbiased = inverse[j] / (rows - 1);
      runningMean[j] += BATCH_NORM_MOMENTUM * (mean[j] - runningMean[j]);
      runningVariance[j] += BATCH_NORM_MOMENTUM * (unbiased - runningVariance[j]);
      inverse[j] = 1 / Math.sqrt(inverse[j] / rows + BATCH_NORM_EPS);
    }
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < features; j++, at++) {
        const value = normalised[at] * inverse[j];
        normalised[at] = value;
        out[at] = value * weight[j] + bias[j];
      }
    }
  }

  /** Normalise by the running statistics; `out` may be `x`. */
  evaluate(x, out, rows) {
    const { features, weight, bias, runningMean, runningVariance } = this;
    // `mean` and `inverse` are free between steps: here they hold a shift and a scale.
    const { mean: shift, inverse: scale } = this;
    for (let j = 0; j < features; j++) {
      scale[j] = weight[j] / Math.sqrt(runningVariance[j] + BATCH_NORM_EPS);
      shift[j] = bias[j] - runningMean[j] * scale[j];
    }
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < features; j++, at++) out[at] = x[at] * scale[j] + shift[j];
    }
  }

  /** Write the gradients of weight and bias; turn `gradient` from that of the result of `forward`
   *  into that of its argument. */
  backward(gradient, normalised, rows) {
    const { features, weight, inverse, weightGradient, biasGradient } = this;
    weightGradient.fill(0);
    biasGradient.fill(0);
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < features; j++, at++) {
        weightGradient[j] += gradient[at] * normalised[at];
        biasGradient[j] += gradient[at];
      }
    }
    for (let i = 0, at = 0; i < rows; i++) {
      for (let j = 0; j < features; j++, at++) {
        const along = (biasGradient[j] + normalised[at] * weightGradient[j]) / rows;
        gradient[at] = (gradient[at] - along) * inverse[j] * weight[j];
      }
    }
  }
}

/** Standardise, in place, columns of training rows as a batch norm does a batch: by their own mean
 *  and biased variance; and the same columns of test rows by those of the training rows. */
export function standardise(train, test, columns) {
  const norm = new BatchNorm(...Array.from({ length: 4 }, () => new Float64Array(columns)));
  norm.forward(train, train, train, train.length / columns);
  const { mean, inverse } = norm;
  for (let at = 0; at < test.length; at++) {
    test[at] = (test[at] - mean[at % columns]) * inverse[at % columns];
  }
}
