/** Mean cross-entropy of logits (rows x classes) with integer labels (rows), and its gradient
 *  with respect to the logits. */
export function crossEntropy(logits, labels, gradient, rows, classes) {
  let loss = 0;
  for (let i = 0; i < rows; i++) {
    const start = i * classes;
    let most = -Infinity;
    for (let j = 0; j < classes; j++) most = Math.max(most, logits[start + j]);
    let total = 0;
    for (let j = 0; j < classes; j++) total += Math.exp(logits[start + j] - most);
    loss += Math.log(total) + most - logits[start + labels[i]];
    for (let j = 0; j < classes; j++) {
      const share = Math.exp(logits[start + j] - most) / total;
      gradient[start + j] = (share - (j === labels[i] ? 1 : 0)) / rows;
    }
  }
  return loss / rows;
}

/** Fraction of the rows whose largest logit is that of the label. */
export function accuracy(logits, labels, rows, classes) {
  let right = 0;
  for (let i = 0; i < rows; i++) {
    let best = 0;
    for (let j = 1; j < classes; j++) {
      if (logits[i * classes + j] > logits[i * classes + best]) best = j;
    }
    if (best === labels[i]) right++;
  }
  return right / rows;
}
