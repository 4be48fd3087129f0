/** Adam (Kingma & Ba 2015) as torch.optim.Adam, betas (0.9, 0.999), eps 1e-8. */
export class Adam {
  constructor(parameters, gradients) {
    Object.assign(this, { parameters, gradients, steps: 0 });
    this.first = new Float64Array(parameters.length);
    this.second = new Float64Array(parameters.length);
  }

  step(learningRate) {
    const { parameters, gradients, first, second } = this;
    this.steps++;
    const rate = learningRate / (1 - 0.9 ** this.steps);
    const scale = 1 / Math.sqrt(1 - 0.999 ** this.steps);
    for (let k = 0; k < parameters.length; k++) {
      const gradient = gradients[k];
      first[k] += 0.1 * (gradient - first[k]);
      second[k] += 0.001 * (gradient * gradient - second[k]);
      parameters[k] -= (rate * first[k]) / (Math.sqrt(second[k]) * scale + 1e-8);
    }
  }
}
