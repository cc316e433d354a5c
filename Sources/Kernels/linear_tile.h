// Products of a block of features. linear.c includes this file once for each class of processor.

/// Adds the products of `images` images with `rows` rows of weights; `fetches` brings the rows after them nearer.
TARGET static inline __attribute__((always_inline)) void NAMED(add_rows)(int images, int rows, int fetches,
                                                                         const float *x, const float *w,
                                                                         ptrdiff_t features, ptrdiff_t count,
                                                                         ptrdiff_t outputs, float *y) {
  typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
  enum { width = VECTOR_BYTES / 4 };
  vector sum[MOST_IMAGES][group_rows];
  UNROLL_FOR (b, images)
    UNROLL_FOR (r, rows) sum[b][r] = (vector){0};
  ptrdiff_t i = 0;
  for (; i + width <= count; i += width) {
    vector v[group_rows];
    UNROLL_FOR (r, rows) {
      if (fetches) __builtin_prefetch(w + (r + rows) * features + i, 0, 2);
      v[r] = *(const vector *)(w + r * features + i);
    }
    UNROLL_FOR (b, images) {
      vector u = *(const vector *)(x + b * features + i);
      UNROLL_FOR (r, rows) sum[b][r] += u * v[r];
    }
  }
  UNROLL_FOR (b, images)
    UNROLL_FOR (r, rows) {
      float lane[width];
      *(vector *)lane = sum[b][r];
      UNROLL for (int half = width / 2; half > 0; half /= 2) UNROLL_FOR (k, half) lane[k] += lane[k + half];
      for (ptrdiff_t rest = i; rest < count; rest++) lane[0] += x[b * features + rest] * w[r * features + rest];
      y[b * outputs + r] += lane[0];
    }
}

/// Adds the products of a few images, which stay in the first-level cache, with rows [first, last).
TARGET static inline __attribute__((always_inline)) void NAMED(add_group)(int images, int fetches, const float *x,
                                                                          const float *w, ptrdiff_t features,
                                                                          ptrdiff_t count, ptrdiff_t outputs,
                                                                          ptrdiff_t first, ptrdiff_t last, float *y) {
  ptrdiff_t o = first;
  for (; o + group_rows <= last; o += group_rows)
    NAMED(add_rows)(images, group_rows, fetches, x, w + o * features, features, count, outputs, y + o);
  for (; o < last; o++) NAMED(add_rows)(images, 1, 0, x, w + o * features, features, count, outputs, y + o);
}

TARGET static void NAMED(add_products)(const float *x, ptrdiff_t batch, const float *w, ptrdiff_t features,
                                       ptrdiff_t count, ptrdiff_t outputs, ptrdiff_t first, ptrdiff_t last, float *y) {
  ptrdiff_t b = 0;
  // The first group reads the weights from memory, the others find them in cache.
  for (; b + MOST_IMAGES <= batch; b += MOST_IMAGES, x += MOST_IMAGES * features, y += MOST_IMAGES * outputs) {
    if (b == 0)
      NAMED(add_group)(MOST_IMAGES, 1, x, w, features, count, outputs, first, last, y);
    else
      NAMED(add_group)(MOST_IMAGES, 0, x, w, features, count, outputs, first, last, y);
  }
  for (; b + 2 <= batch; b += 2, x += 2 * features, y += 2 * outputs)
    NAMED(add_group)(2, 0, x, w, features, count, outputs, first, last, y);
  if (b < batch) NAMED(add_group)(1, 0, x, w, features, count, outputs, first, last, y);
}

#undef MOST_IMAGES
#undef VECTOR_BYTES
#undef TARGET
#undef NAMED
