// The sums of the operands of Strassen's method.

static void pack_pairs(const float *x, ptrdiff_t pixels, ptrdiff_t half, ptrdiff_t channels, const run *runs, int count,
                       ptrdiff_t width, ptrdiff_t distance, float *out) {
  for (ptrdiff_t k = 0; k < channels; k++, out += width) {
    const float *low = x + k * pixels, *high = low + channels * pixels;
    for (int i = 0; i < count; i++) {
      const float *rows[4] = {low + runs[i].source, low + runs[i].source + half, high + runs[i].source,
                              high + runs[i].source + half};
      float copies[4][lane_count] __attribute__((aligned(64)));
      if (runs[i].is_exact)
        UNROLL_FOR (q, 4) {
          copy_few(rows[q], runs[i].count, copies[q]);
          rows[q] = copies[q];
        }
      floats16 b11 = *(const floats16 *)rows[0], b12 = *(const floats16 *)rows[1];
      floats16 b21 = *(const floats16 *)rows[2], b22 = *(const floats16 *)rows[3];
      floats16 t1 = b12 - b11, t2 = b22 - t1;
      float *to = out + runs[i].start;
      *(floats16 *)to = b11;
      *(floats16 *)(to + distance) = b21;
      *(floats16 *)(to + 2 * distance) = t2;
      *(floats16 *)(to + 3 * distance) = b22 - b12;
      *(floats16 *)(to + 4 * distance) = b21 - t2;
      *(floats16 *)(to + 5 * distance) = t1;
      *(floats16 *)(to + 6 * distance) = b22;
    }
  }
}

static void combine_weights(const float *a11, const float *a12, const float *a21, const float *a22, ptrdiff_t count,
                            float *out) {
  for (ptrdiff_t i = 0; i < count; i += lane_count) {
    floats16 top = *(const floats16 *)(a11 + i), below = *(const floats16 *)(a21 + i);
    floats16 s1 = below + *(const floats16 *)(a22 + i), s2 = s1 - top;
    *(floats16 *)(out + i) = s2;
    *(floats16 *)(out + count + i) = top - below;
    *(floats16 *)(out + 2 * count + i) = s1;
    *(floats16 *)(out + 3 * count + i) = *(const floats16 *)(a12 + i) - s2;
  }
}

static void add_to_both(const float *c, float *a, float *b, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i += lane_count) {
    *(floats16 *)(a + i) += *(const floats16 *)(c + i);
    *(floats16 *)(b + i) += *(const floats16 *)(c + i);
  }
}
