// Products of row-major matrices in flat Float64Arrays.

/**
 * out (rows x columns) = a (rows x inner) b^T (b: columns x inner), plus bias (columns) if given.
 * Both operands are read along their rows. Blocks of 2 x 4 results keep eight sums in registers,
 * which the processor can add independently of one another.
 */
export function multiplyTransposed(a, b, bias, out, rows, columns, inner) {
  const evenRows = rows - (rows % 2);
  const blockColumns = columns - (columns % 4);
  for (let i = 0; i < evenRows; i += 2) {
    for (let j = 0; j < blockColumns; j += 4) {
      let a0 = i * inner;
      let a1 = a0 + inner;
      let b0 = j * inner;
      let b1 = b0 + inner;
      let b2 = b1 + inner;
      let b3 = b2 + inner;
      let s00 = 0,
        s01 = 0,
        s02 = 0,
        s03 = 0,
        s10 = 0,
        s11 = 0,
        s12 = 0,
        s13 = 0;
      for (const end = a0 + inner; a0 < end; a0++, a1++, b0++, b1++, b2++, b3++) {
        const x0 = a[a0];
        const x1 = a[a1];
        const y0 = b[b0];
        const y1 = b[b1];
        const y2 = b[b2];
        const y3 = b[b3];
        s00 += x0 * y0;
        s01 += x0 * y1;
        s02 += x0 * y2;
        s03 += x0 * y3;
        s10 += x1 * y0;
        s11 += x1 * y1;
        s12 += x1 * y2;
        s13 += x1 * y3;
      }
      const first = i * columns + j;
      const second = first + columns;
      out[first] = s00;
      out[first + 1] = s01;
      out[first + 2] = s02;
      out[first + 3] = s03;
      out[second] = s10;
      out[second + 1] = s11;
      out[second + 2] = s12;
      out[second + 3] = s13;
    }
  }
  // What the blocks leave over: the last row, the last columns.
  for (let i = 0; i < rows; i++) {
    for (let j = i < evenRows ? blockColumns : 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += a[i * inner + k] * b[j * inner + k];
      out[i * columns + j] = sum;
    }
  }
  if (!bias) return;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[i * columns + j] += bias[j];
  }
}

/** out (columns x rows) = a^T (a: rows x columns). */
export function transpose(a, out, rows, columns) {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j];
  }
}

/** out (columns) = sums of the columns of a (rows x columns). */
export function columnSums(a, out, rows, columns) {
  out.fill(0);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j] += a[i * columns + j];
  }
}
