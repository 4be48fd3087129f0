/**
 * Data separation D = log(tr Σw / tr Σb) of features (rows x columns) with integer labels
 * 0..classes-1 (sbt_utils.separation.data_separation, measure "trace"). NaN where it is
 * undefined: no scatter between or within the classes.
 */
export function dataSeparation(features, labels, rows, columns, classes) {
  const counts = new Float64Array(classes);
  const means = new Float64Array(classes * columns);
  const centre = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    counts[labels[i]]++;
    for (let j = 0; j < columns; j++) means[labels[i] * columns + j] += features[i * columns + j];
  }
  for (let c = 0; c < classes; c++) {
    for (let j = 0; j < columns; j++) {
      centre[j] += means[c * columns + j] / rows;
      if (counts[c]) means[c * columns + j] /= counts[c];
    }
  }
  // From the means, not by subtracting sums of squares, which would lose digits.
  let within = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      within += (features[i * columns + j] - means[labels[i] * columns + j]) ** 2;
    }
  }
  let between = 0;
  for (let c = 0; c < classes; c++) {
    for (let j = 0; j < columns; j++) {
      between += counts[c] * (means[c * columns + j] - centre[j]) ** 2;
    }
  }
  return within > 0 && between > 0 ? Math.log(within / between) : NaN;
}
