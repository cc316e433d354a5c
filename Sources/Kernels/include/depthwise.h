// Depthwise convolution: every plane of [batch, channels, height, width] by a kernel of its channel's own.
//
// A plane is the same bits whatever the batch, the range of planes and the number of threads.

#ifndef COVPOOL_DEPTHWISE_H
#define COVPOOL_DEPTHWISE_H

#include "kernels.h"

#define COVPOOL_DECLARE_DEPTHWISE(T, suffix)                                                                           \
  typedef struct {                                                                                                     \
    /* `channels`, `height` and `width` are the input's. */                                                            \
    covpool_window window;                                                                                             \
    /* [channels, kernel_height, kernel_width]. */                                                                     \
    const T *weights;                                                                                                  \
    /* Added to each channel; may be NULL. */                                                                          \
    const T *bias;                                                                                                     \
    /* Of the result's shape, added; may be NULL. */                                                                   \
    const T *residual;                                                                                                 \
    /* Applied last. */                                                                                                \
    covpool_activation activation;                                                                                     \
  } covpool_depthwise_##suffix;                                                                                        \
                                                                                                                       \
  /* Numbers of scratch that any of the three functions below takes. */                                                \
  ptrdiff_t covpool_depthwise_scratch_##suffix(const covpool_window *window);                                          \
                                                                                                                       \
  /* y for planes [first, last), counted through the batch: image * channels + channel. */                             \
  void covpool_depthwise_convolve_##suffix(const covpool_depthwise_##suffix *job, const T *x, ptrdiff_t first,         \
                                           ptrdiff_t last, T *scratch, T *y);                                          \
                                                                                                                       \
  /* The gradient of x plus the residual, which here has x's shape, for planes [first, last), given that of y. */      \
  void covpool_depthwise_input_gradient_##suffix(const covpool_depthwise_##suffix *job, const T *gradient,             \
                                                 ptrdiff_t first, ptrdiff_t last, T *scratch, T *x_gradient);          \
                                                                                                                       \
  /* sums[plane * taps + tap] = what planes [first, last) add to the gradient of their channel's weights. */           \
  void covpool_depthwise_weight_gradient_##suffix(const covpool_depthwise_##suffix *job, const T *x,                   \
                                                  const T *gradient, ptrdiff_t first, ptrdiff_t last, T *scratch,      \
                                                  double *sums)

COVPOOL_DECLARE_DEPTHWISE(float, f32);
COVPOOL_DECLARE_DEPTHWISE(double, f64);
#undef COVPOOL_DECLARE_DEPTHWISE

#endif
