// Depthwise convolution by its definition, for any window and scalar type T.

/// The input row of tap `tap` and output row y, or -1 in the padding; the tap reads column x * stride + *offset for the
/// output columns [*from, *to).
INLINE ptrdiff_t NAME(row_of_tap)(const covpool_window *w, ptrdiff_t tap, ptrdiff_t y, ptrdiff_t *offset,
                                  ptrdiff_t *from, ptrdiff_t *to) {
  ptrdiff_t s = w->stride, iy = y * s + tap / w->kernel_width * w->dilation - w->pad_top;
  *offset = tap % w->kernel_width * w->dilation - w->pad_left;
  *from = *offset < 0 ? (-*offset + s - 1) / s : 0;
  *to = *offset < w->width ? least((w->width - *offset + s - 1) / s, w->out_width) : 0;
  return iy < w->height ? iy : -1;
}

static void NAME(general_depthwise)(const covpool_window *w, const T *x, const T *weights, const T *bias,
                                    const T *residual, covpool_activation activation, ptrdiff_t first, ptrdiff_t last,
                                    T *y) {
  T lower = covpool_activation_lower(activation), upper = covpool_activation_upper(activation);
  ptrdiff_t taps = w->kernel_height * w->kernel_width, offset, from, to;
  for (ptrdiff_t plane = first; plane < last; plane++) {
    ptrdiff_t channel = plane % w->channels;
    const T *in = x + plane * w->height * w->width, b = bias ? bias[channel] : 0;
    for (ptrdiff_t row = 0; row < w->out_height; row++) {
      ptrdiff_t start = (plane * w->out_height + row) * w->out_width;
      T *restrict out = y + start;
      for (ptrdiff_t i = 0; i < w->out_width; i++) out[i] = b;
      for (ptrdiff_t tap = 0; tap < taps; tap++) {
        ptrdiff_t iy = NAME(row_of_tap)(w, tap, row, &offset, &from, &to);
        if (iy < 0) continue;
        const T weight = weights[channel * taps + tap], *line = in + iy * w->width + offset;
        if (w->stride == 1)
          for (ptrdiff_t i = from; i < to; i++) out[i] += weight * line[i];
        else
          for (ptrdiff_t i = from; i < to; i++) out[i] += weight * line[i * w->stride];
      }
      for (ptrdiff_t i = 0; i < w->out_width; i++)
        out[i] = NAME(activated)(residual ? out[i] + residual[start + i] : out[i], lower, upper);
    }
  }
}

static void NAME(general_depthwise_input_gradient)(const covpool_window *w, const T *gradient, const T *weights,
                                                   const T *sum, ptrdiff_t first, ptrdiff_t last, T *x_gradient) {
  ptrdiff_t taps = w->kernel_height * w->kernel_width, pixels = w->height * w->width, offset, from, to;
  for (ptrdiff_t plane = first; plane < last; plane++) {
    T *restrict out = x_gradient + plane * pixels;
    for (ptrdiff_t i = 0; i < pixels; i++) out[i] = sum ? sum[plane * pixels + i] : 0;
    for (ptrdiff_t row = 0; row < w->out_height; row++) {
      const T *g = gradient + (plane * w->out_height + row) * w->out_width;
      for (ptrdiff_t tap = 0; tap < taps; tap++) {
        ptrdiff_t iy = NAME(row_of_tap)(w, tap, row, &offset, &from, &to);
        if (iy < 0) continue;
        T weight = weights[plane % w->channels * taps + tap], *restrict line = out + iy * w->width + offset;
        if (w->stride == 1)
          for (ptrdiff_t i = from; i < to; i++) line[i] += weight * g[i];
        else
          for (ptrdiff_t i = from; i < to; i++) line[i * w->stride] += weight * g[i];
      }
    }
  }
}

static void NAME(general_depthwise_weight_gradient)(const covpool_window *w, const T *x, const T *gradient,
                                                    ptrdiff_t first, ptrdiff_t last, double *sums) {
  ptrdiff_t taps = w->kernel_height * w->kernel_width, offset, from, to;
  for (ptrdiff_t plane = first; plane < last; plane++) {
    for (ptrdiff_t tap = 0; tap < taps; tap++) {
      // A few sums at a time, which do not wait for each other.
      double sum[4] = {0};
      for (ptrdiff_t row = 0; row < w->out_height; row++) {
        const T *g = gradient + (plane * w->out_height + row) * w->out_width;
        ptrdiff_t iy = NAME(row_of_tap)(w, tap, row, &offset, &from, &to);
        if (iy < 0) continue;
        const T *line = x + (plane * w->height + iy) * w->width + offset;
        for (ptrdiff_t i = from; i < to; i++) sum[i % 4] += (double)g[i] * line[i * w->stride];
      }
      sums[plane * taps + tap] = sum[0] + sum[1] + (sum[2] + sum[3]);
    }
  }
}
