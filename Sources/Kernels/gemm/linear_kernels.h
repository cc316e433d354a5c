// Products of a block of features with a layer's weights, as many images at a time as there are registers for their
// sums.

enum { group_images = VECTOR_BYTES == 64 ? 8 : 4, group_outputs = 3 };

/// Adds the products of `images` images with `rows` rows of weights; if it prefetches, the rows after them.
INLINE void add_rows(int images, int rows, int prefetches, const float *x, const float *w, ptrdiff_t features,
                     ptrdiff_t count, ptrdiff_t outputs, float *y) {
  vector sum[group_images][group_outputs];
  UNROLL_FOR (b, images)
    UNROLL_FOR (r, rows) sum[b][r] = (vector){0};
  ptrdiff_t i = 0;
  for (; i + vector_width <= count; i += vector_width) {
    vector v[group_outputs];
    UNROLL_FOR (r, rows) {
      if (prefetches) __builtin_prefetch(w + (r + rows) * features + i, 0, 2);
      v[r] = *(const vector *)(w + r * features + i);
    }
    UNROLL_FOR (b, images) {
      vector u = *(const vector *)(x + b * features + i);
      UNROLL_FOR (r, rows) sum[b][r] += u * v[r];
    }
  }
  UNROLL_FOR (b, images)
    UNROLL_FOR (r, rows) {
      float lane[vector_width];
      *(vector *)lane = sum[b][r];
      UNROLL for (int half = vector_width / 2; half > 0; half /= 2) UNROLL_FOR (k, half) lane[k] += lane[k + half];
      for (ptrdiff_t rest = i; rest < count; rest++) lane[0] += x[b * features + rest] * w[r * features + rest];
      y[b * outputs + r] += lane[0];
    }
}

/// Adds the products of a few images, which stay in the first-level cache, with rows [first, last).
INLINE void add_group(int images, int prefetches, const float *x, const float *w, ptrdiff_t features, ptrdiff_t count,
                      ptrdiff_t outputs, ptrdiff_t first, ptrdiff_t last, float *y) {
  ptrdiff_t o = first;
  for (; o + group_outputs <= last; o += group_outputs)
    add_rows(images, group_outputs, prefetches, x, w + o * features, features, count, outputs, y + o);
  for (; o < last; o++) add_rows(images, 1, 0, x, w + o * features, features, count, outputs, y + o);
}

static void add_products(const float *x, ptrdiff_t batch, const float *w, ptrdiff_t features, ptrdiff_t count,
                         ptrdiff_t outputs, ptrdiff_t first, ptrdiff_t last, float *y) {
  ptrdiff_t b = 0;
  // The first group reads the weights from memory, the others find them in cache.
  for (; b + group_images <= batch; b += group_images, x += group_images * features, y += group_images * outputs) {
    if (b == 0)
      add_group(group_images, 1, x, w, features, count, outputs, first, last, y);
    else
      add_group(group_images, 0, x, w, features, count, outputs, first, last, y);
  }
  for (; b + 2 <= batch; b += 2, x += 2 * features, y += 2 * outputs)
    add_group(2, 0, x, w, features, count, outputs, first, last, y);
  if (b < batch) add_group(1, 0, x, w, features, count, outputs, first, last, y);
}
