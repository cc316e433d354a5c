// 3×3 convolution of stride 1 in single precision by Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray 2016): each
// tile of 4×4 outputs takes 36 multiplications for each pair of channels in place of 144, done as 36 matrix products.
//
// Three phases over a run of tiles, each of which the caller may share out: inputs are transformed, products summed over
// the channels, and the sums transformed back. Tiles count through the whole batch, row by row.

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

/// Transforms the weights of panels [first, last) of output channels; strides, flipping and scale as in covpool_pack_weights.
void covpool_winograd_weights(const covpool_window *window, ptrdiff_t out_channels, const float *w,
                              ptrdiff_t out_stride, ptrdiff_t in_stride, int flipped, const float *scale, ptrdiff_t first, ptrdiff_t last,
                              float *transformed);

/// Floats of transformed inputs and of sums for a run of `count` tiles.
ptrdiff_t covpool_winograd_inputs_size(const covpool_window *window, ptrdiff_t count);
ptrdiff_t covpool_winograd_sums_size(ptrdiff_t out_channels, ptrdiff_t count);

/// Transforms the inputs of tiles [first, first + count) for channels [first_channel, last_channel).
void covpool_winograd_inputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                             ptrdiff_t last_channel, float *inputs);

/// Multiplies at one of the 36 points, for panels [first_panel, last_panel) of output channels.
void covpool_winograd_multiply(const covpool_convolution *job, ptrdiff_t count, ptrdiff_t point, ptrdiff_t first_panel,
                               ptrdiff_t last_panel, const float *inputs, float *sums);

/// Transforms the sums back, for output channels [first_channel, last_channel), and finishes them: bias, residual, ReLU.
void covpool_winograd_outputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count,
                              ptrdiff_t first_channel, ptrdiff_t last_channel, const float *sums);

#endif
