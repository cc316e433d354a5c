// What BatchNorm does to each channel of some images in training, and LayerNorm to a row, for one scalar type T.

static void NAME(batch_moments)(const covpool_batch *batch, const T *x, double *means, double *variances) {
  ptrdiff_t pixels = batch->pixels;
  for (ptrdiff_t b = 0; b < batch->images; b++) {
    // The share of this image in those so far, by which mean and squared deviations move (Chan, Golub and LeVeque 1983,
    // equation 2.1).
    double share = 1 / (double)(b + 1), weight = (double)pixels * (double)b * share;
    for (ptrdiff_t c = 0; c < batch->channels; c++) {
      const T *in = x + b * batch->image_size + c * pixels;
      double mean = NAME(sum)(in, pixels) / (double)pixels, lanes[SUM_LANES] = {0};
      ptrdiff_t p = 0;
      for (; p + SUM_LANES <= pixels; p += SUM_LANES)
        for (int lane = 0; lane < SUM_LANES; lane++) lanes[lane] += (in[p + lane] - mean) * (in[p + lane] - mean);
      for (; p < pixels; p++) lanes[0] += (in[p] - mean) * (in[p] - mean);
      double squares = total(lanes), difference = b ? mean - means[c] : 0;
      means[c] = b ? means[c] + difference * share : mean;
      variances[c] = (b ? variances[c] : 0) + squares + difference * difference * weight;
    }
  }
  for (ptrdiff_t c = 0; c < batch->channels; c++) variances[c] /= (double)batch->images * (double)pixels;
}

static void NAME(batch_affine)(const covpool_batch *batch, const T *x, const T *scale, const T *shift, const T *addend,
                               covpool_activation activation, T *y) {
  T lower = covpool_activation_lower(activation), upper = covpool_activation_upper(activation);
  ptrdiff_t count = batch->pixels;
  for (ptrdiff_t b = 0; b < batch->images; b++) {
    for (ptrdiff_t c = 0; c < batch->channels; c++) {
      ptrdiff_t at = b * batch->image_size + c * count;
      const T *in = x + at, *other = addend ? addend + at : NULL;
      T *out = y + at, factor = scale[c], offset = shift[c];
      for (ptrdiff_t p = 0; other && p < count; p++)
        out[p] = NAME(activated)(in[p] * factor + offset + other[p], lower, upper);
      for (ptrdiff_t p = 0; !other && p < count; p++) out[p] = NAME(activated)(in[p] * factor + offset, lower, upper);
    }
  }
}

// One row of batch_gradient_sums; the compiler knows which activation it is and whether it stores.
INLINE void NAME(add_gradient_row)(const T *x, const T *g, covpool_activation activation, const T *result, T mean,
                                   int stores, T *masked, ptrdiff_t count, double *sum, double *product) {
  double sums[SUM_LANES] = {0}, products[SUM_LANES] = {0};
  ptrdiff_t p = 0;
  for (; p + SUM_LANES <= count; p += SUM_LANES) {
    IN_PLACE for (int lane = 0; lane < SUM_LANES; lane++) {
      T v = activation == COVPOOL_IDENTITY || NAME(passes)(activation, result[p + lane]) ? g[p + lane] : 0;
      if (stores) masked[p + lane] = v;
      sums[lane] += v;
      products[lane] += (double)v * (double)(x[p + lane] - mean);
    }
  }
  for (; p < count; p++) {
    T v = activation == COVPOOL_IDENTITY || NAME(passes)(activation, result[p]) ? g[p] : 0;
    if (stores) masked[p] = v;
    sums[0] += v;
    products[0] += (double)v * (double)(x[p] - mean);
  }
  *sum += total(sums);
  *product += total(products);
}

static void NAME(batch_gradient_sums)(const covpool_batch *batch, const T *x, const T *g, covpool_activation activation,
                                      const T *result, const T *means, T *masked, double *sums, double *products) {
  ptrdiff_t count = batch->pixels;
  for (ptrdiff_t c = 0; c < batch->channels; c++) sums[c] = products[c] = 0;
  for (ptrdiff_t b = 0; b < batch->images; b++) {
    for (ptrdiff_t c = 0; c < batch->channels; c++) {
      ptrdiff_t at = b * batch->image_size + c * count;
      const T *in = x + at, *from = g + at, *y = result ? result + at : NULL;
      T *to = masked ? masked + at : NULL;
      if (activation == COVPOOL_IDENTITY)
        NAME(add_gradient_row)(in, from, COVPOOL_IDENTITY, NULL, means[c], 0, NULL, count, sums + c, products + c);
      if (activation == COVPOOL_RELU && !to)
        NAME(add_gradient_row)(in, from, COVPOOL_RELU, y, means[c], 0, NULL, count, sums + c, products + c);
      if (activation == COVPOOL_RELU && to)
        NAME(add_gradient_row)(in, from, COVPOOL_RELU, y, means[c], 1, to, count, sums + c, products + c);
      if (activation == COVPOOL_RELU6 && !to)
        NAME(add_gradient_row)(in, from, COVPOOL_RELU6, y, means[c], 0, NULL, count, sums + c, products + c);
      if (activation == COVPOOL_RELU6 && to)
        NAME(add_gradient_row)(in, from, COVPOOL_RELU6, y, means[c], 1, to, count, sums + c, products + c);
    }
  }
}

// One row of batch_combine; the compiler knows which activation it is.
INLINE void NAME(combine_row)(T a, const T *g, covpool_activation activation, const T *result, T b, const T *x, T c,
                              T *y, ptrdiff_t count) {
  IN_PLACE for (ptrdiff_t p = 0; p < count; p++) {
    T v = activation == COVPOOL_IDENTITY || NAME(passes)(activation, result[p]) ? g[p] : 0;
    y[p] = a * v + b * x[p] + c;
  }
}

static void NAME(batch_combine)(const covpool_batch *batch, const T *a, const T *g, covpool_activation activation,
                                const T *result, const T *b, const T *x, const T *c, T *y) {
  ptrdiff_t count = batch->pixels;
  for (ptrdiff_t image = 0; image < batch->images; image++) {
    for (ptrdiff_t i = 0; i < batch->channels; i++) {
      ptrdiff_t at = image * batch->image_size + i * count;
      if (activation == COVPOOL_IDENTITY)
        NAME(combine_row)(a[i], g + at, COVPOOL_IDENTITY, NULL, b[i], x + at, c[i], y + at, count);
      if (activation == COVPOOL_RELU)
        NAME(combine_row)(a[i], g + at, COVPOOL_RELU, result + at, b[i], x + at, c[i], y + at, count);
      if (activation == COVPOOL_RELU6)
        NAME(combine_row)(a[i], g + at, COVPOOL_RELU6, result + at, b[i], x + at, c[i], y + at, count);
    }
  }
}

static void NAME(layer_norm)(const T *x, T mean, T factor, const T *weight, const T *bias, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (x[i] - mean) * factor * weight[i] + bias[i];
}

static void NAME(layer_norm_gradient)(const T *x, T mean, T factor, const T *weight, const T *g, T *x_gradient,
                                      T *weight_gradient, T *bias_gradient, ptrdiff_t count) {
  double sum = 0, product = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    T normal = (x[i] - mean) * factor, slope = g[i] * weight[i];
    sum += (double)slope;
    product += (double)slope * (double)normal;
    weight_gradient[i] += g[i] * normal;
    bias_gradient[i] += g[i];
  }
  T offset = (T)(sum / (double)count), tilt = (T)(product / (double)count);
  for (ptrdiff_t i = 0; i < count; i++)
    x_gradient[i] = factor * (g[i] * weight[i] - offset - (x[i] - mean) * factor * tilt);
}
