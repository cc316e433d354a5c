// The gradients of depthwise convolution.

/// Two rows of x's gradient from row 2 * y on, for stride 2 and padding of 1 at the top and on the left: a tap in the
/// middle reaches even places, the others odd ones.
INLINE void scatter_rows(const strip *s, const covpool_window *w, const vector *weights, ptrdiff_t y) {
  const float *g[2], *same[2];
  find_rows(s, y, 2, g, same);
  const int32_t *masks = s->masks;
  for (ptrdiff_t x = 0; x < w->out_width; x += vector_width, masks += 3 * vector_width) {
    vector taps[2][2];
    UNROLL_FOR (row, 2)
      UNROLL_FOR (column, 2)
        taps[row][column] = (vector)(*(const vector_mask *)(g[row] + x + column) &
                                     *(const vector_mask *)(masks + column * vector_width));
    ptrdiff_t count = least(w->width - 2 * x, 2 * vector_width);
    for (int row = 0; row < 2 && 2 * y + row < w->height; row++) {
      vector even = weights[4] * taps[0][0], odd = weights[3] * taps[0][1] + weights[5] * taps[0][0];
      if (row == 1) {
        even = weights[1] * taps[1][0] + weights[7] * taps[0][0];
        odd = weights[0] * taps[1][1] + weights[2] * taps[1][0] + weights[6] * taps[0][1] + weights[8] * taps[0][0];
      }
      ptrdiff_t at = (2 * y + row) * w->width + 2 * x;
      vector parts[2] = {__builtin_shufflevector(even, odd, LOW_LANES), __builtin_shufflevector(even, odd, HIGH_LANES)};
      float line[2 * vector_width];
      float *to = count == 2 * vector_width ? s->y[0] + at : line;
      if (s->residual[0]) {
        vector added[2] = {{0}};
        memcpy(added, s->residual[0] + at, (size_t)count * sizeof(float));
        UNROLL_FOR (part, 2) parts[part] += added[part];
      }
      UNROLL_FOR (part, 2) *(vector *)(to + part * vector_width) = parts[part];
      if (to == line) memcpy(s->y[0] + at, line, (size_t)count * sizeof(float));
    }
  }
}

static void scatter_planes(const covpool_window *w, const float *gradient, const float *kernels, const float *sum,
                           ptrdiff_t first, ptrdiff_t last, float *scratch, float *x_gradient) {
  covpool_window plain = plane_of(w->out_height, w->out_width);
  strip s;
  float *rest = prepare(&s, &plain, gradient, first, last, scratch);
  s.planes = 1;
  find_masks(&s, 3, 0, (int32_t *)rest);
  ptrdiff_t pixels = w->height * w->width;
  for (ptrdiff_t plane = first; plane < last; plane++) {
    vector weights[9];
    UNROLL_FOR (tap, 9) weights[tap] = kernels[9 * (plane % w->channels) + tap] - (vector){0};
    s.x[0] = reachable(&s, 0, plane);
    s.y[0] = x_gradient + plane * pixels;
    s.residual[0] = sum ? sum + plane * pixels : 0;
    for (ptrdiff_t y = 0; y < w->out_height; y++) scatter_rows(&s, w, weights, y);
  }
}

/// Adds the products of `rows` rows of gradient, from row y on, and of the input under each tap to the sums.
INLINE void sum_taps(int planes, int rows, int stride, const strip *s, const float *const *gradients, ptrdiff_t y,
                     vector *sum) {
  const float *a[2 * most_rows + 1], *b[2 * most_rows + 1];
  find_rows(s, y, (rows - 1) * stride + 3, a, b);
  const int32_t *masks = s->masks;
  for (ptrdiff_t x = 0, i = 0; i < s->vectors; i++, x += vector_width, masks += 4 * vector_width) {
    vector g[most_rows], taps[3];
    ptrdiff_t at = y * s->window->out_width + x;
    UNROLL_FOR (r, rows) {
      g[r] = load_planes(planes, gradients[0] + at, gradients[1] + at);
      g[r] = (vector)((vector_mask)g[r] & *(const vector_mask *)(masks + 3 * vector_width));
      at += s->window->out_width;
    }
    UNROLL_FOR (row, (rows - 1) * stride + 3) {
      load_taps(planes, stride, 1, a[row], b[row], x, masks, taps);
      UNROLL_FOR (kx, 3)
        UNROLL_FOR (ky, 3)
          if (row >= ky && (row - ky) % stride == 0 && (row - ky) / stride < rows)
            sum[3 * ky + kx] += g[(row - ky) / stride] * taps[kx];
    }
  }
}

INLINE void sum_taps_of_strip(int planes, int stride, const strip *s, const float *const *gradients) {
  vector sum[9];
  UNROLL_FOR (tap, 9) sum[tap] = (vector){0};
  ptrdiff_t y = 0, height = s->window->out_height;
  for (; y + 4 <= height; y += 4) sum_taps(planes, 4, stride, s, gradients, y, sum);
  for (; y < height; y++) sum_taps(planes, 1, stride, s, gradients, y, sum);
  UNROLL_FOR (tap, 9) *(vector *)(s->weights + tap * vector_width) = sum[tap];
}

static void sum_weights_of_planes(const covpool_window *w, const float *x, const float *gradient, ptrdiff_t first,
                                  ptrdiff_t last, float *scratch, double *sums) {
  strip s, ofGradient;
  float *rest = prepare(&s, w, x, first, last, scratch);
  covpool_window plain = plane_of(w->out_height, w->out_width);
  find_masks(&s, 4, 0, (int32_t *)rest);
  prepare(&ofGradient, &plain, gradient, first, last, rest + s.vectors * 4 * vector_width);
  ptrdiff_t lanes = vector_width / s.planes;
  for (ptrdiff_t plane = first; plane < last; plane += s.planes) {
    const float *gradients[2];
    for (int i = 0; i < 2; i++) {
      ptrdiff_t at = least(plane + i, last - 1);
      if (i < s.planes) s.x[i] = reachable(&s, i, at);
      gradients[i] = i < s.planes ? reachable(&ofGradient, i, at) : gradients[0];
    }
    if (s.planes == 1 && w->stride == 1) sum_taps_of_strip(1, 1, &s, gradients);
    if (s.planes == 1 && w->stride == 2) sum_taps_of_strip(1, 2, &s, gradients);
    if (s.planes == 2 && w->stride == 1) sum_taps_of_strip(2, 1, &s, gradients);
    if (s.planes == 2 && w->stride == 2) sum_taps_of_strip(2, 2, &s, gradients);
    for (ptrdiff_t i = 0; i < least(s.planes, last - plane); i++)
      for (ptrdiff_t tap = 0; tap < 9; tap++) {
        double sum = 0;
        for (ptrdiff_t lane = 0; lane < lanes; lane++) sum += s.weights[tap * vector_width + i * lanes + lane];
        sums[(plane + i) * 9 + tap] = sum;
      }
  }
}

/// The convolution of stride 1 that takes the gradient of y to that of x, with the taps reversed.
static covpool_window transposed(const covpool_window *w) {
  covpool_window t = *w;
  t.pad_top = w->kernel_height - 1 - w->pad_top;
  t.pad_left = w->kernel_width - 1 - w->pad_left;
  t.height = w->out_height;
  t.width = w->out_width;
  t.out_height = w->height;
  t.out_width = w->width;
  return t;
}

/// Whether that convolution has vectors.
static int is_transposable(const covpool_window *w) {
  return has_vectors(w) && w->stride == 1 && w->pad_top <= 2 && w->pad_left <= 2;
}

/// Whether the gradient of x is scattered by vectors: from as many rows and columns as come from it, halved.
static int is_scattered(const covpool_window *w) {
  return has_vectors(w) && w->stride == 2 && w->pad_top == 1 && w->pad_left == 1 &&
         w->out_height == (w->height + 1) / 2 && w->out_width == (w->width + 1) / 2;
}

// For the widest vectors, so that it does not matter which kernels will use it.
static ptrdiff_t scratch_of(const covpool_window *w) {
  ptrdiff_t row = w->pad_left + reach_of_row(w, lane_count), masks = 4 * round_up(w->out_width, lane_count);
  return 10 * lane_count + 3 * row + 2 * w->height * w->width + masks;
}

static ptrdiff_t depthwise_scratch_f32(const covpool_window *w) {
  if (!has_vectors(w)) return 0;
  covpool_window t = transposed(w), ofGradient = plane_of(w->out_height, w->out_width);
  return greatest(scratch_of(w) + scratch_of(&ofGradient), is_transposable(w) ? scratch_of(&t) : 0);
}

static void depthwise_input_gradient_f32(const covpool_window *w, const float *gradient, const float *weights,
                                         const float *sum, ptrdiff_t first, ptrdiff_t last, float *scratch,
                                         float *x_gradient) {
  if (is_transposable(w)) {
    covpool_window t = transposed(w);
    convolve_planes(&t, gradient, weights, 1, NULL, sum, COVPOOL_IDENTITY, first, last, scratch, x_gradient);
  } else if (is_scattered(w)) {
    scatter_planes(w, gradient, weights, sum, first, last, scratch, x_gradient);
  } else {
    general_depthwise_input_gradient_f32(w, gradient, weights, sum, first, last, x_gradient);
  }
}

static void depthwise_weight_gradient_f32(const covpool_window *w, const float *x, const float *gradient,
                                          ptrdiff_t first, ptrdiff_t last, float *scratch, double *sums) {
  if (!has_vectors(w)) return general_depthwise_weight_gradient_f32(w, x, gradient, first, last, sums);
  sum_weights_of_planes(w, x, gradient, first, last, scratch, sums);
}

// Double precision checks the above.

static ptrdiff_t depthwise_scratch_f64(const covpool_window *w) {
  (void)w;
  return 0;
}

static void depthwise_convolve_f64(const covpool_window *w, const double *x, const double *weights, const double *bias,
                                   const double *residual, covpool_activation activation, ptrdiff_t first,
                                   ptrdiff_t last, double *scratch, double *y) {
  (void)scratch;
  general_depthwise_f64(w, x, weights, bias, residual, activation, first, last, y);
}

static void depthwise_input_gradient_f64(const covpool_window *w, const double *gradient, const double *weights,
                                         const double *sum, ptrdiff_t first, ptrdiff_t last, double *scratch,
                                         double *x_gradient) {
  (void)scratch;
  general_depthwise_input_gradient_f64(w, gradient, weights, sum, first, last, x_gradient);
}

static void depthwise_weight_gradient_f64(const covpool_window *w, const double *x, const double *gradient,
                                          ptrdiff_t first, ptrdiff_t last, double *scratch, double *sums) {
  (void)scratch;
  general_depthwise_weight_gradient_f64(w, x, gradient, first, last, sums);
}
