// What BatchNorm does to each channel of some images in training; kernels_of_type.h includes this file for each type T.

KERNEL void NAME(batch_moments)(const covpool_batch *batch, const T *x, double *means, double *variances) {
  ptrdiff_t pixels = batch->pixels;
  for (ptrdiff_t b = 0; b < batch->images; b++) {
    // The share of this image in those so far, by which mean and squared deviations move (Chan, Golub and LeVeque 1983,
    // equation 2.1).
    double share = 1 / (double)(b + 1), weight = (double)pixels * (double)b * share;
    for (ptrdiff_t c = 0; c < batch->channels; c++) {
      const T *in = x + b * batch->image_size + c * pixels;
      double mean = NAME(sum)(in, pixels) / (double)pixels, lanes[COVPOOL_LANES] = {0};
      ptrdiff_t p = 0;
      for (; p + COVPOOL_LANES <= pixels; p += COVPOOL_LANES)
        for (int lane = 0; lane < COVPOOL_LANES; lane++) lanes[lane] += (in[p + lane] - mean) * (in[p + lane] - mean);
      for (; p < pixels; p++) lanes[0] += (in[p] - mean) * (in[p] - mean);
      double squares = NAME(total)(lanes), difference = b ? mean - means[c] : 0;
      means[c] = b ? means[c] + difference * share : mean;
      variances[c] = (b ? variances[c] : 0) + squares + difference * difference * weight;
    }
  }
  for (ptrdiff_t c = 0; c < batch->channels; c++) variances[c] /= (double)batch->images * (double)pixels;
}

// One row of batch_affine; which of its parts there are is known to the compiler.
static inline __attribute__((always_inline)) void NAME(affine_row)(const T *x, T scale, T shift, const T *addend,
                                                                   int adds, int rectifies, T *y, ptrdiff_t count) {
  for (ptrdiff_t p = 0; p < count; p++) {
    T v = x[p] * scale + shift;
    if (adds) v += addend[p];
    if (rectifies) v = v < 0 ? 0 : v;
    y[p] = v;
  }
}

KERNEL void NAME(batch_affine)(const covpool_batch *batch, const T *x, const T *scale, const T *shift, const T *addend,
                               int rectifies, T *y) {
  for (ptrdiff_t b = 0; b < batch->images; b++) {
    for (ptrdiff_t c = 0; c < batch->channels; c++) {
      ptrdiff_t at = b * batch->image_size + c * batch->pixels, count = batch->pixels;
      if (!addend && !rectifies) NAME(affine_row)(x + at, scale[c], shift[c], NULL, 0, 0, y + at, count);
      if (!addend && rectifies) NAME(affine_row)(x + at, scale[c], shift[c], NULL, 0, 1, y + at, count);
      if (addend && !rectifies) NAME(affine_row)(x + at, scale[c], shift[c], addend + at, 1, 0, y + at, count);
      if (addend && rectifies) NAME(affine_row)(x + at, scale[c], shift[c], addend + at, 1, 1, y + at, count);
    }
  }
}

// One row of batch_gradient_sums.
static inline __attribute__((always_inline)) void NAME(add_gradient_row)(const T *x, const T *g, const T *result,
                                                                         int masks, T mean, T *masked, int stores,
                                                                         ptrdiff_t count, double *sum,
                                                                         double *product) {
  double sums[COVPOOL_LANES] = {0}, products[COVPOOL_LANES] = {0};
  ptrdiff_t p = 0;
  for (; p + COVPOOL_LANES <= count; p += COVPOOL_LANES) {
    IN_PLACE for (int lane = 0; lane < COVPOOL_LANES; lane++) {
      T v = !masks || result[p + lane] > 0 ? g[p + lane] : 0;
      if (stores) masked[p + lane] = v;
      sums[lane] += v;
      products[lane] += (double)v * (double)(x[p + lane] - mean);
    }
  }
  for (; p < count; p++) {
    T v = !masks || result[p] > 0 ? g[p] : 0;
    if (stores) masked[p] = v;
    sums[0] += v;
    products[0] += (double)v * (double)(x[p] - mean);
  }
  *sum += NAME(total)(sums);
  *product += NAME(total)(products);
}

KERNEL void NAME(batch_gradient_sums)(const covpool_batch *batch, const T *x, const T *g, const T *result,
                                      const T *means, T *masked, double *sums, double *products) {
  ptrdiff_t count = batch->pixels;
  for (ptrdiff_t c = 0; c < batch->channels; c++) sums[c] = products[c] = 0;
  for (ptrdiff_t b = 0; b < batch->images; b++) {
    for (ptrdiff_t c = 0; c < batch->channels; c++) {
      ptrdiff_t at = b * batch->image_size + c * count;
      if (!result) NAME(add_gradient_row)(x + at, g + at, NULL, 0, means[c], NULL, 0, count, sums + c, products + c);
      if (result && !masked)
        NAME(add_gradient_row)(x + at, g + at, result + at, 1, means[c], NULL, 0, count, sums + c, products + c);
      if (result && masked)
        NAME(add_gradient_row)(x + at, g + at, result + at, 1, means[c], masked + at, 1, count, sums + c, products + c);
    }
  }
}

KERNEL void NAME(batch_combine)(const covpool_batch *batch, const T *a, const T *g, const T *result, const T *b,
                                const T *x, const T *c, T *y) {
  for (ptrdiff_t image = 0; image < batch->images; image++) {
    for (ptrdiff_t channel = 0; channel < batch->channels; channel++) {
      ptrdiff_t at = image * batch->image_size + channel * batch->pixels;
      const T *in = x + at, *gradient = g + at;
      T *out = y + at, of_g = a[channel], of_x = b[channel], constant = c[channel];
      if (result) {
        const T *mask = result + at;
        IN_PLACE for (ptrdiff_t p = 0; p < batch->pixels; p++) out[p] =
            of_g * (mask[p] > 0 ? gradient[p] : 0) + of_x * in[p] + constant;
      } else {
        IN_PLACE for (ptrdiff_t p = 0; p < batch->pixels; p++) out[p] = of_g * gradient[p] + of_x * in[p] + constant;
      }
    }
  }
}
