// Depthwise convolution with vectors of VECTOR_BYTES; depthwise.c includes this file once for each class of processor.

typedef float NAMED(vector) __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
typedef int32_t NAMED(mask) __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
typedef float NAMED(half) __attribute__((vector_size(VECTOR_BYTES / 2), aligned(4)));
#define vector NAMED(vector)
#define mask NAMED(mask)
#define half NAMED(half)
#define LANES (VECTOR_BYTES / 4)
#define INLINE TARGET static inline __attribute__((always_inline))

#if VECTOR_BYTES == 64
/// Stores lanes [first, first + count).
INLINE void NAMED(store_part)(vector v, float *to, ptrdiff_t first, ptrdiff_t count) {
  _mm512_mask_storeu_ps(to - first, (__mmask16)(((1 << count) - 1) << first), (__m512)v);
}
#else
/// Copies fewer numbers than a vector has.
INLINE void NAMED(copy)(const float *from, float *to, ptrdiff_t count) {
  if (count >= 4) {
    typedef float four __attribute__((vector_size(16), aligned(4)));
    four a = *(const four *)from, b = *(const four *)(from + count - 4);
    *(four *)to = a;
    *(four *)(to + count - 4) = b;
    return;
  }
  for (ptrdiff_t i = 0; i < count; i++) to[i] = from[i];
}

/// Stores lanes [first, first + count).
INLINE void NAMED(store_part)(vector v, float *to, ptrdiff_t first, ptrdiff_t count) {
  float line[LANES];
  *(vector *)line = v;
  NAMED(copy)(line + first, to, count);
}
#endif

/// Adds the residual to sums of rows from y on, at column x, applies the activation, and stores them or as much as there
/// is of them.
INLINE void NAMED(finish)(int rows, const strip *s, ptrdiff_t y, ptrdiff_t x, vector *sum) {
  ptrdiff_t out_width = s->window->out_width, at = y * out_width + x;
  if (s->residual[0])
    UNROLL_FOR (r, rows) {
      float line[LANES];
      *(vector *)line = (vector){0};
      for (int plane = 0; plane < s->planes; plane++)
        memcpy(line + plane * LANES / 2, s->residual[plane] + at + r * out_width,
               (size_t)least(out_width, LANES) * sizeof(float));
      sum[r] += *(vector *)line;
    }
  // NaN stays NaN.
  vector lower = s->lower - (vector){0}, upper = s->upper - (vector){0};
  UNROLL_FOR (r, rows) {
    mask below = (mask)(sum[r] < lower);
    sum[r] = (vector)(((mask)sum[r] & ~below) | ((mask)lower & below));
    mask above = (mask)(sum[r] > upper);
    sum[r] = (vector)(((mask)sum[r] & ~above) | ((mask)upper & above));
  }
  if (out_width >= LANES) {
    UNROLL_FOR (r, rows) *(vector *)(s->y[0] + at + r * out_width) = sum[r];
  } else {
    for (int plane = 0; plane < s->planes; plane++)
      UNROLL_FOR (r, rows) NAMED(store_part)(sum[r], s->y[plane] + at + r * out_width, plane * LANES / 2, out_width);
  }
}

INLINE vector NAMED(load)(int planes, const float *a, const float *b) {
  if (planes == 1) return *(const vector *)a;
  half low = *(const half *)a, high = *(const half *)b;
  return __builtin_shufflevector(low, high, ALL);
}

INLINE vector NAMED(spread)(float a, float b) {
  return __builtin_shufflevector(a - (half){0}, b - (half){0}, ALL);
}

/// What the three taps of an input row read for the outputs from column x on, 0 for what is not of the row.
INLINE void NAMED(fetch)(int planes, int stride, int is_masked, const float *a, const float *b, ptrdiff_t x,
                         const int32_t *masks, vector *taps) {
  if (stride == 1) {
    UNROLL_FOR (kx, 3) taps[kx] = NAMED(load)(planes, a + x + kx, b + kx);
  } else {
    vector v[4];
    UNROLL_FOR (part, 2)
      UNROLL_FOR (side, 2)
        v[2 * part + side] = *(const vector *)(planes == 2 && side ? b + 2 * part : a + 2 * x + 2 * part + side * LANES);
    taps[0] = __builtin_shufflevector(v[0], v[1], EVEN);
    taps[1] = __builtin_shufflevector(v[0], v[1], ODD);
    taps[2] = __builtin_shufflevector(v[2], v[3], EVEN);
  }
  if (is_masked) UNROLL_FOR (kx, 3) taps[kx] = (vector)((mask)taps[kx] & *(const mask *)(masks + kx * LANES));
}

/// `rows` output rows from row y on, for one vector of columns.
INLINE void NAMED(block)(int planes, int rows, int stride, int is_masked, const strip *s, const float *const *a,
                         const float *const *b, ptrdiff_t y, ptrdiff_t x, const int32_t *masks) {
  vector sum[MOST_ROWS], taps[3];
  UNROLL_FOR (r, rows) sum[r] = *(const vector *)s->bias;
  // Each row of input is read once for all rows of output that it is a part of.
  UNROLL_FOR (i, (rows - 1) * stride + 3) {
    NAMED(fetch)(planes, stride, is_masked, a[i], b[i], x, masks, taps);
    UNROLL_FOR (kx, 3)
      UNROLL_FOR (ky, 3)
        if (i >= ky && (i - ky) % stride == 0 && (i - ky) / stride < rows)
          sum[(i - ky) / stride] += *(const vector *)(s->weights + (3 * ky + kx) * LANES) * taps[kx];
  }
  NAMED(finish)(rows, s, y, x, sum);
}

/// `rows` output rows from row y on, 3 × 3 taps.
INLINE void NAMED(rows)(int planes, int rows, int stride, const strip *s, ptrdiff_t y) {
  const float *a[2 * MOST_ROWS + 1], *b[2 * MOST_ROWS + 1];
  find_rows(s, y, (rows - 1) * stride + 3, a, b);
  const int32_t *masks = s->masks;
  for (ptrdiff_t x = 0, i = 0; i < s->vectors; i++, x += LANES, masks += 3 * LANES) {
    if (i > 0) x = least(x, s->window->out_width - LANES);
    if (planes == 1 && i > 0 && i + 1 < s->vectors)
      NAMED(block)(planes, rows, stride, 0, s, a, b, y, x, masks);
    else
      NAMED(block)(planes, rows, stride, 1, s, a, b, y, x, masks);
  }
}

INLINE void NAMED(convolve_strip)(int planes, int stride, const strip *s) {
  ptrdiff_t y = 0, height = s->window->out_height;
  for (; y + MOST_ROWS <= height; y += MOST_ROWS) NAMED(rows)(planes, MOST_ROWS, stride, s, y);
  for (; y + 4 <= height; y += 4) NAMED(rows)(planes, 4, stride, s, y);
  for (; y < height; y++) NAMED(rows)(planes, 1, stride, s, y);
}

/// For each vector of columns and each of `taps` taps of a row, which lanes read a number of the row; for a fourth tap, whose
/// output counts. The last vector may overlap the one before.
INLINE void NAMED(find_masks)(strip *s, int taps, int overlaps, int32_t *masks) {
  const covpool_window *w = s->window;
  s->masks = masks;
  s->vectors = (w->out_width + LANES - 1) / LANES;
  for (ptrdiff_t i = 0; i < s->vectors; i++) {
    ptrdiff_t x = i * LANES;
    if (overlaps && i > 0) x = least(x, w->out_width - LANES);
    for (ptrdiff_t tap = 0; tap < taps; tap++)
      for (ptrdiff_t lane = 0; lane < LANES; lane++) {
        ptrdiff_t at = s->planes == 2 ? lane % (LANES / 2) : lane, column = (x + at) * w->stride + tap - w->pad_left;
        *masks++ = (tap < 3 ? column >= 0 && column < w->width : x + at < w->out_width) ? -1 : 0;
      }
  }
}

TARGET static void NAMED(convolve)(const covpool_depthwise_f32 *job, const covpool_window *w, int flipped,
                                   const float *x, ptrdiff_t first, ptrdiff_t last, float *scratch, float *y) {
  strip s;
  float *rest = prepare(&s, w, LANES, x, first, last, scratch);
  NAMED(find_masks)(&s, 3, 1, (int32_t *)rest);
  s.lower = covpool_activation_lower(job->activation);
  s.upper = covpool_activation_upper(job->activation);
  ptrdiff_t pixels = w->out_height * w->out_width;
  for (ptrdiff_t plane = first; plane < last; plane += s.planes) {
    const float *weights[2];
    float bias[2];
    for (int i = 0; i < s.planes; i++) {
      // The last of an odd number of planes is its own neighbour.
      ptrdiff_t at = least(plane + i, last - 1), channel = at % w->channels;
      s.x[i] = reachable(&s, i, at);
      s.y[i] = y + at * pixels;
      s.residual[i] = job->residual ? job->residual + at * pixels : 0;
      weights[i] = job->weights + 9 * channel;
      bias[i] = job->bias ? job->bias[channel] : 0;
    }
    for (int tap = 0; tap < 9; tap++) {
      int from = flipped ? 8 - tap : tap;
      *(vector *)(s.weights + tap * LANES) = NAMED(spread)(weights[0][from], weights[s.planes - 1][from]);
    }
    *(vector *)s.bias = NAMED(spread)(bias[0], bias[s.planes - 1]);
    if (s.planes == 1 && w->stride == 1) NAMED(convolve_strip)(1, 1, &s);
    if (s.planes == 1 && w->stride == 2) NAMED(convolve_strip)(1, 2, &s);
    if (s.planes == 2 && w->stride == 1) NAMED(convolve_strip)(2, 1, &s);
    if (s.planes == 2 && w->stride == 2) NAMED(convolve_strip)(2, 2, &s);
  }
}

/// Two rows of x's gradient from row 2 * y on, for stride 2 and padding of 1 at the top and on the left: a tap in the middle
/// reaches even places, the others odd ones.
INLINE void NAMED(scatter_rows)(const strip *s, const covpool_window *w, const vector *weights, ptrdiff_t y) {
  const float *g[2], *same[2];
  find_rows(s, y, 2, g, same);
  const int32_t *masks = s->masks;
  for (ptrdiff_t x = 0; x < w->out_width; x += LANES, masks += 3 * LANES) {
    vector taps[2][2];
    UNROLL_FOR (row, 2)
      UNROLL_FOR (column, 2)
        taps[row][column] =
            (vector)(*(const mask *)(g[row] + x + column) & *(const mask *)(masks + column * LANES));
    ptrdiff_t count = least(w->width - 2 * x, 2 * LANES);
    for (int row = 0; row < 2 && 2 * y + row < w->height; row++) {
      vector even = weights[4] * taps[0][0], odd = weights[3] * taps[0][1] + weights[5] * taps[0][0];
      if (row == 1) {
        even = weights[1] * taps[1][0] + weights[7] * taps[0][0];
        odd = weights[0] * taps[1][1] + weights[2] * taps[1][0] + weights[6] * taps[0][1] + weights[8] * taps[0][0];
      }
      ptrdiff_t at = (2 * y + row) * w->width + 2 * x;
      vector parts[2] = {__builtin_shufflevector(even, odd, LOW), __builtin_shufflevector(even, odd, HIGH)};
      float line[2 * LANES];
      float *to = count == 2 * LANES ? s->y[0] + at : line;
      if (s->residual[0]) {
        vector added[2] = {{0}};
        memcpy(added, s->residual[0] + at, (size_t)count * sizeof(float));
        UNROLL_FOR (part, 2) parts[part] += added[part];
      }
      UNROLL_FOR (part, 2) *(vector *)(to + part * LANES) = parts[part];
      if (to == line) memcpy(s->y[0] + at, line, (size_t)count * sizeof(float));
    }
  }
}

TARGET static void NAMED(scatter)(const covpool_depthwise_f32 *job, const float *gradient, ptrdiff_t first,
                                  ptrdiff_t last, float *scratch, float *x_gradient) {
  const covpool_window *w = &job->window;
  covpool_window plain = plane_of(w->out_height, w->out_width);
  strip s;
  float *rest = prepare(&s, &plain, LANES, gradient, first, last, scratch);
  s.planes = 1;
  NAMED(find_masks)(&s, 3, 0, (int32_t *)rest);
  ptrdiff_t pixels = w->height * w->width;
  for (ptrdiff_t plane = first; plane < last; plane++) {
    vector weights[9];
    UNROLL_FOR (tap, 9) weights[tap] = job->weights[9 * (plane % w->channels) + tap] - (vector){0};
    s.x[0] = reachable(&s, 0, plane);
    s.y[0] = x_gradient + plane * pixels;
    s.residual[0] = job->residual ? job->residual + plane * pixels : 0;
    for (ptrdiff_t y = 0; y < w->out_height; y++) NAMED(scatter_rows)(&s, w, weights, y);
  }
}

/// Adds the products of `rows` rows of gradient, from row y on, and of the input under each tap to the sums.
INLINE void NAMED(sum_rows)(int planes, int rows, int stride, const strip *s, const float *const *gradients,
                            ptrdiff_t y, vector *sum) {
  const float *a[2 * MOST_ROWS + 1], *b[2 * MOST_ROWS + 1];
  find_rows(s, y, (rows - 1) * stride + 3, a, b);
  const int32_t *masks = s->masks;
  for (ptrdiff_t x = 0, i = 0; i < s->vectors; i++, x += LANES, masks += 4 * LANES) {
    vector g[MOST_ROWS], taps[3];
    ptrdiff_t at = y * s->window->out_width + x;
    UNROLL_FOR (r, rows) {
      g[r] = NAMED(load)(planes, gradients[0] + at, gradients[1] + at);
      g[r] = (vector)((mask)g[r] & *(const mask *)(masks + 3 * LANES));
      at += s->window->out_width;
    }
    UNROLL_FOR (row, (rows - 1) * stride + 3) {
      NAMED(fetch)(planes, stride, 1, a[row], b[row], x, masks, taps);
      UNROLL_FOR (kx, 3)
        UNROLL_FOR (ky, 3)
          if (row >= ky && (row - ky) % stride == 0 && (row - ky) / stride < rows)
            sum[3 * ky + kx] += g[(row - ky) / stride] * taps[kx];
    }
  }
}

INLINE void NAMED(sum_strip)(int planes, int stride, const strip *s, const float *const *gradients) {
  vector sum[9];
  UNROLL_FOR (tap, 9) sum[tap] = (vector){0};
  ptrdiff_t y = 0, height = s->window->out_height;
  for (; y + 4 <= height; y += 4) NAMED(sum_rows)(planes, 4, stride, s, gradients, y, sum);
  for (; y < height; y++) NAMED(sum_rows)(planes, 1, stride, s, gradients, y, sum);
  UNROLL_FOR (tap, 9) *(vector *)(s->weights + tap * LANES) = sum[tap];
}

TARGET static void NAMED(sum_weights)(const covpool_depthwise_f32 *job, const float *x, const float *gradient,
                                      ptrdiff_t first, ptrdiff_t last, float *scratch, double *sums) {
  const covpool_window *w = &job->window;
  strip s, ofGradient;
  float *rest = prepare(&s, w, LANES, x, first, last, scratch);
  covpool_window plain = plane_of(w->out_height, w->out_width);
  NAMED(find_masks)(&s, 4, 0, (int32_t *)rest);
  prepare(&ofGradient, &plain, LANES, gradient, first, last, rest + s.vectors * 4 * LANES);
  ptrdiff_t lanes = LANES / s.planes;
  for (ptrdiff_t plane = first; plane < last; plane += s.planes) {
    const float *gradients[2];
    for (int i = 0; i < 2; i++) {
      ptrdiff_t at = least(plane + i, last - 1);
      if (i < s.planes) s.x[i] = reachable(&s, i, at);
      gradients[i] = i < s.planes ? reachable(&ofGradient, i, at) : gradients[0];
    }
    if (s.planes == 1 && w->stride == 1) NAMED(sum_strip)(1, 1, &s, gradients);
    if (s.planes == 1 && w->stride == 2) NAMED(sum_strip)(1, 2, &s, gradients);
    if (s.planes == 2 && w->stride == 1) NAMED(sum_strip)(2, 1, &s, gradients);
    if (s.planes == 2 && w->stride == 2) NAMED(sum_strip)(2, 2, &s, gradients);
    for (ptrdiff_t i = 0; i < least(s.planes, last - plane); i++)
      for (ptrdiff_t tap = 0; tap < 9; tap++) {
        double sum = 0;
        for (ptrdiff_t lane = 0; lane < lanes; lane++) sum += s.weights[tap * LANES + i * lanes + lane];
        sums[(plane + i) * 9 + tap] = sum;
      }
  }
}

#undef vector
#undef mask
#undef half
#undef LANES
#undef INLINE
#undef VECTOR_BYTES
#undef ALL
#undef EVEN
#undef ODD
#undef LOW
#undef HIGH
#undef TARGET
#undef NAMED
