// Convolution in single precision as a product that never stores its columns: they are packed, 32 output pixels at a
// time, from a zero-padded copy of the few input rows that the piece needs, and multiplied while they are in the
// first-level cache.
//
// Every output is summed in the same order whatever the batch, the piece and the number of threads.

#ifndef COVPOOL_CONVOLUTION_H
#define COVPOOL_CONVOLUTION_H

#include "activation.h"
#include "window.h"

/// Output pixels of one tile. Pixels count through the whole batch: image * (out_height * out_width) + pixel.
#define COVPOOL_TILE 32
/// Output channels of one panel of packed weights.
#define COVPOOL_PANEL 8

typedef struct {
  /// `channels`, `height` and `width` are the input's.
  covpool_window window;
  ptrdiff_t batch, out_channels;
  /// [batch, channels, height, width].
  const float *x;
  /// From covpool_pack_weights.
  const float *weights;
  /// What each output channel's sums are multiplied by; may be NULL.
  const float *scale;
  /// Then added to each output channel; may be NULL.
  const float *bias;
  /// [batch, out_channels, out_height, out_width], added; may be NULL.
  const float *residual;
  /// Applied last.
  covpool_activation activation;
  /// [batch, out_channels, out_height, out_width].
  float *y;
} covpool_convolution;

/// Floats that the packed weights of such a convolution take.
ptrdiff_t covpool_packed_weights_size(const covpool_window *window, ptrdiff_t out_channels);

/// Packs panels [first, last) of weights whose element for output channel o, input channel c and tap t is
/// w[o * out_stride + c * in_stride + (flipped ? taps - 1 - t : t)], times scale[o] if there is a scale.
void covpool_pack_weights(const covpool_window *window, ptrdiff_t out_channels, const float *w, ptrdiff_t out_stride,
                          ptrdiff_t in_stride, int flipped, const float *scale, ptrdiff_t first, ptrdiff_t last,
                          float *packed);

/// Floats of scratch that a piece of `tiles` tiles takes.
ptrdiff_t covpool_convolution_scratch(const covpool_convolution *job, ptrdiff_t tiles);

/// Computes tiles [first, last) of panels [first_panel, last_panel).
void covpool_convolve(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t first_panel,
                      ptrdiff_t last_panel, float *scratch);

/// Floats that the sums of one part of the weights' gradient take.
ptrdiff_t covpool_weight_sums_size(const covpool_convolution *job);

/// Floats of scratch that covpool_weight_gradient takes.
ptrdiff_t covpool_weight_gradient_scratch(const covpool_convolution *job);

/// Adds what images [first, last) contribute to the gradient of the weights, given that of the result
/// [batch, out_channels, out_height, out_width]; uses the job's x and sizes only.
void covpool_weight_gradient(const covpool_convolution *job, const float *gradient, ptrdiff_t first, ptrdiff_t last,
                             float *sums, float *scratch);

/// The sums of all parts, in their order, as [out_channels, channels, kernel_height, kernel_width], for output channels
/// [first, last).
void covpool_collect_weight_gradient(const covpool_convolution *job, const float *sums, ptrdiff_t parts,
                                     ptrdiff_t first, ptrdiff_t last, float *gradient);

#endif
