// The transforms of up to 16 neighbouring tiles, a tile in each lane. winograd.c includes this file once for each class of
// processor.

typedef float NAMED(sixteen) __attribute__((vector_size(64), aligned(4), may_alias));

/// Bᵀ d.
TARGET static inline __attribute__((always_inline)) void NAMED(transform_inputs)(const NAMED(sixteen) d[6],
                                                                                 NAMED(sixteen) v[6]) {
  NAMED(sixteen) a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
  v[0] = 4 * d[0] - 5 * d[2] + d[4];
  v[1] = a + b;
  v[2] = a - b;
  v[3] = c + e;
  v[4] = c - e;
  v[5] = 4 * d[1] - 5 * d[3] + d[5];
}

/// Aᵀ m.
TARGET static inline __attribute__((always_inline)) void NAMED(transform_outputs)(const NAMED(sixteen) m[6],
                                                                                  NAMED(sixteen) y[4]) {
  NAMED(sixteen) a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  y[0] = m[0] + a + c;
  y[1] = b + 2 * d;
  y[2] = a + 4 * c;
  y[3] = b + 8 * d + m[5];
}

/// The 36 products' inputs of a run, out[point * stride + lane]. Reads nothing from `limit` on.
TARGET static void NAMED(input_run)(const covpool_window *w, const float *plane, const float *limit, tile_run run,
                                    ptrdiff_t stride, float *out) {
  typedef NAMED(sixteen) sixteen;
  // Six rows of up to 66 columns, with the padding in place.
  float rows[6][80] __attribute__((aligned(64)));
  ptrdiff_t width = side * run.count + 2, column = run.x - w->pad_left;
  ptrdiff_t before = column < 0 ? -column : 0, inside = least(width, w->width - column);
  for (int i = 0; i < 6; i++) {
    ptrdiff_t y = run.y - w->pad_top + i, x = 0;
    float *row = rows[i];
    if (y < 0 || y >= w->height) {
      for (; x < width; x += lanes) *(sixteen *)(row + x) = (sixteen){0};
      continue;
    }
    const float *from = plane + y * w->width + column;
    for (; x < before; x++) row[x] = 0;
    for (; x < inside && from + x + lanes <= limit && x + lanes <= 80; x += lanes)
      *(sixteen *)(row + x) = *(const sixteen *)(from + x);
    for (; x < inside; x++) row[x] = from[x];
    if (inside < width) memset(row + inside, 0, (size_t)(width - inside) * sizeof(float));
  }
  // Down the columns first, as they lie.
  ptrdiff_t vectors = (width + lanes - 1) / lanes;
  sixteen down[6][5];
  for (ptrdiff_t v = 0; v < vectors; v++) {
    sixteen d[6], t[6];
    UNROLL for (int i = 0; i < 6; i++) d[i] = *(const sixteen *)(rows[i] + lanes * v);
    NAMED(transform_inputs)(d, t);
    UNROLL for (int i = 0; i < 6; i++) down[i][v] = t[i];
  }
  for (int i = 0; i < 6; i++) {
    for (ptrdiff_t v = vectors; v < 5; v++) down[i][v] = (sixteen){0};
    // Lane t of d[j] is column 4 t + j.
    const sixteen *r = down[i];
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
    sixteen even01 = EVEN(r[0], r[1]), odd01 = ODD(r[0], r[1]), even23 = EVEN(r[2], r[3]), odd23 = ODD(r[2], r[3]);
    sixteen d[6], v[6];
    d[0] = EVEN(even01, even23);
    d[2] = ODD(even01, even23);
    d[1] = EVEN(odd01, odd23);
    d[3] = ODD(odd01, odd23);
#undef EVEN
#undef ODD
    d[4] = __builtin_shufflevector(d[0], r[4], 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    d[5] = __builtin_shufflevector(d[1], r[4], 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17);
    NAMED(transform_inputs)(d, v);
    for (int j = 0; j < 6; j++) {
      float *to = out + (6 * i + j) * stride;
      // Lanes past the run belong to the runs after it in this panel, which come later; another panel's are left alone.
      if (run.position % tile + lanes <= tile) {
        *(sixteen *)to = v[j];
      } else {
        memcpy(to, &v[j], (size_t)run.count * sizeof(float));
      }
    }
  }
}

/// Sums of a run, sums[point * stride + lane], to finished outputs of one channel.
TARGET static void NAMED(output_run)(const covpool_convolution *job, tile_run run, ptrdiff_t channel,
                                     const float *sums, ptrdiff_t stride) {
  typedef NAMED(sixteen) sixteen;
  const covpool_window *w = &job->window;
  sixteen down[4][6];
  UNROLL for (int j = 0; j < 6; j++) {
    sixteen m[6], t[4];
    UNROLL for (int i = 0; i < 6; i++) m[i] = *(const sixteen *)(sums + (6 * i + j) * stride);
    NAMED(transform_outputs)(m, t);
    UNROLL for (int i = 0; i < 4; i++) down[i][j] = t[i];
  }
  ptrdiff_t height = least(side, w->out_height - run.y), width = least(side * run.count, w->out_width - run.x);
  ptrdiff_t start = ((run.image * job->out_channels + channel) * w->out_height + run.y) * w->out_width + run.x;
  float bias = job->bias ? job->bias[channel] : 0;
  for (ptrdiff_t i = 0; i < height; i++) {
    sixteen y[4], row[4];
    NAMED(transform_outputs)(down[i], y);
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
    sixteen a = LOW(y[0], y[2]), b = HIGH(y[0], y[2]), c = LOW(y[1], y[3]), d = HIGH(y[1], y[3]);
    row[0] = LOW(a, c);
    row[1] = HIGH(a, c);
    row[2] = LOW(b, d);
    row[3] = HIGH(b, d);
#undef LOW
#undef HIGH
    float *to = job->y + start + i * w->out_width;
    const float *residual = job->residual ? job->residual + start + i * w->out_width : 0;
    for (ptrdiff_t v = 0; lanes * v < width; v++) {
      typedef int32_t mask __attribute__((vector_size(64)));
      ptrdiff_t count = least(lanes, width - lanes * v);
      sixteen value = row[v] + bias;
      if (residual) {
        sixteen other = {0};
        if (count == lanes) {
          other = *(const sixteen *)(residual + lanes * v);
        } else {
          memcpy(&other, residual + lanes * v, (size_t)count * sizeof(float));
        }
        value += other;
      }
      if (job->relu) value = (sixteen)((mask)value & ~(mask)(value < 0));  // NaN stays NaN
      if (count == lanes) {
        *(sixteen *)(to + lanes * v) = value;
      } else {
        memcpy(to + lanes * v, &value, (size_t)count * sizeof(float));
      }
    }
  }
}

#undef TARGET
#undef NAMED
