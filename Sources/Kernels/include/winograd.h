// 3×3 convolution of stride 1 in single precision by Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray 2016):
// each tile of 4×4 outputs takes 36 multiplications for each pair of channels in place of 144, done as 36 matrix
// products. A tile at the edge with only one or two rows or columns of outputs takes F(2, 3) there.
//
// Three phases over a run of tiles, each of which the caller may share out: inputs are transformed, products summed
// over the channels, and the sums transformed back. Tiles count through the whole batch, row by row.

#ifndef COVPOOL_WINOGRAD_H
#define COVPOOL_WINOGRAD_H

#include "convolution.h"

/// Products of a tile.
#define COVPOOL_WINOGRAD_POINTS 36

/// Whether the method applies to such a window.
int covpool_winograd_applies(const covpool_window *window);

/// Tiles of one image.
ptrdiff_t covpool_winograd_tiles(const covpool_window *window);

/// Floats that the transformed weights take.
ptrdiff_t covpool_winograd_weights_size(const covpool_window *window, ptrdiff_t out_channels);

/// Transforms the weights of panels [first, last) of output channels; strides, flipping and scale as in
/// covpool_pack_weights.
void covpool_winograd_weights(const covpool_window *window, ptrdiff_t out_channels, const float *w,
                              ptrdiff_t out_stride, ptrdiff_t in_stride, int flipped, const float *scale,
                              ptrdiff_t first, ptrdiff_t last, float *transformed);

/// Floats of transformed inputs and of sums for a run of `count` tiles.
ptrdiff_t covpool_winograd_inputs_size(const covpool_window *window, ptrdiff_t count);
ptrdiff_t covpool_winograd_sums_size(ptrdiff_t out_channels, ptrdiff_t count);

/// Transforms the inputs of tiles [first, first + count) for channels [first_channel, last_channel).
void covpool_winograd_inputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                             ptrdiff_t last_channel, float *inputs);

/// Multiplies at one of the 36 points, for tiles [first, first + count) and panels [first_panel, last_panel) of output
/// channels.
void covpool_winograd_multiply(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t point,
                               ptrdiff_t first_panel, ptrdiff_t last_panel, const float *inputs, float *sums);

/// Transforms the sums back, for output channels [first_channel, last_channel), and finishes them: bias, residual,
/// activation.
void covpool_winograd_outputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                              ptrdiff_t last_channel, const float *sums);

// The gradient of the weights: with an output tile's gradient transformed as well, each of the 36 points of a weight's
// transform has as its gradient the sum over all tiles of a product (Winograd's method transposed). Runs of tiles one
// after another; of channels, blocks of 16 are transformed at a time.

/// Channels of one block.
#define COVPOOL_WINOGRAD_BLOCK 16

/// Floats of a run's transformed inputs, of its transformed gradients, and of the sums of all runs.
ptrdiff_t covpool_winograd_columns_size(const covpool_window *window, ptrdiff_t count);
ptrdiff_t covpool_winograd_rows_size(ptrdiff_t out_channels, ptrdiff_t count);
ptrdiff_t covpool_winograd_gradient_sums_size(const covpool_window *window, ptrdiff_t out_channels);

/// Transforms tiles [first, first + count) of a block of the input's channels.
void covpool_winograd_columns(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t block,
                              float *columns);

/// Transforms the same tiles of a block of channels of the result's gradient [batch, out_channels, out_height,
/// out_width].
void covpool_winograd_rows(const covpool_convolution *job, const float *gradient, ptrdiff_t first, ptrdiff_t count,
                           ptrdiff_t block, float *rows);

/// Sums the products of one point; adds to the sums of runs before if `accumulates`.
void covpool_winograd_sum(const covpool_convolution *job, ptrdiff_t count, ptrdiff_t point, int accumulates,
                          const float *columns, const float *rows, float *sums);

/// The gradient [out_channels, channels, 3, 3] for outputs [first, last).
void covpool_winograd_weight_gradient(const covpool_convolution *job, const float *sums, ptrdiff_t first,
                                      ptrdiff_t last, float *gradient);

#endif
