// The products of a weight's gradient.

/// The part of sum_gradients that belongs to `across` vectors of outputs from `column` on, `pixels` pixels at a time.
INLINE void sum_outputs(int across, int pixels, const slab_rows *a, const float *gradients, ptrdiff_t outputs,
                        ptrdiff_t column, float *sums, ptrdiff_t stride) {
  vector sum[2][panel_height][2];
  UNROLL_FOR (i, panel_height)
    UNROLL_FOR (j, across) {
      sum[0][i][j] = *(const vector *)(sums + i * stride + column + j * vector_width);
      if (pixels == 2) sum[1][i][j] = (vector){0};
    }
  for (ptrdiff_t y = 0; y < a->height; y++) {
    const float *g = gradients + y * a->width * outputs + column, *rows[panel_height];
    UNROLL_FOR (i, panel_height) rows[i] = a->starts[i] + y * a->pitch;
    ptrdiff_t x = 0;
    for (; x + pixels <= a->width; x += pixels, g += pixels * outputs) {
      UNROLL_FOR (p, pixels) {
        vector v[2];
        UNROLL_FOR (j, across) v[j] = *(const vector *)(g + p * outputs + j * vector_width);
        UNROLL_FOR (i, panel_height)
          UNROLL_FOR (j, across) sum[p][i][j] += rows[i][x + p] * v[j];
      }
    }
    for (; x < a->width; x++, g += outputs)
      UNROLL_FOR (i, panel_height)
        UNROLL_FOR (j, across) sum[0][i][j] += rows[i][x] * *(const vector *)(g + j * vector_width);
  }
  UNROLL_FOR (i, panel_height)
    UNROLL_FOR (j, across) {
      if (pixels == 2) sum[0][i][j] += sum[1][i][j];
      *(vector *)(sums + i * stride + column + j * vector_width) = sum[0][i][j];
    }
}

static void sum_gradients(const slab_rows *a, const float *gradients, ptrdiff_t outputs, float *sums,
                          ptrdiff_t stride) {
  ptrdiff_t column = 0;
#if REGISTERS == 32
  for (; column + 2 * vector_width <= outputs; column += 2 * vector_width)
    sum_outputs(2, 1, a, gradients, outputs, column, sums, stride);
  // With one vector across, two pixels at a time: eight sums alone would wait for each other.
  for (; column < outputs; column += vector_width) sum_outputs(1, 2, a, gradients, outputs, column, sums, stride);
#else
  for (; column < outputs; column += vector_width) sum_outputs(1, 1, a, gradients, outputs, column, sums, stride);
#endif
}
