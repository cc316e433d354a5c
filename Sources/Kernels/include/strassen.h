// 1×1 convolution of stride 1 in single precision with seven products in place of eight, by Winograd's form of
// Strassen's method (Strassen 1969; Winograd 1971; inside the blocks of a product as in Huang, Smith, Henry and van de
// Geijn 2016).
//
// With output channels, input channels and pixels each in two halves, Y = A B reads
//
//     Y11 = A11 B11 + A12 B21     Y12 = A11 B12 + A12 B22     Y21 = A21 B11 + A22 B21     Y22 = A21 B12 + A22 B22
//
// where the pixels' halves are those of each image: a pixel of the first half is paired with the one half an image
// further on. So this method's result for an image depends on no other image, and is the same bits alone and in any
// batch.
//
// Rounding errors are small beside the largest of what is added to each other, and not beside each output: they, and
// what is infinite or not a number, pass from a pixel to its partner, and from an output channel to the one half of the
// channels further on. Channels whose weights are of other magnitudes are therefore made alike first (diagonal scaling:
// Ballard, Benson, Druinsky, Lipshitz and Schwartz 2016).

#ifndef COVPOOL_STRASSEN_H
#define COVPOOL_STRASSEN_H

#include "convolution.h"

/// Output channels of one panel: eight of each half.
#define COVPOOL_STRASSEN_PANEL (2 * COVPOOL_PANEL)

/// Whether the method applies: to whole halves only.
int covpool_strassen_applies(const covpool_window *window, ptrdiff_t out_channels);

/// For each output channel of [first, last) a power of two near its largest weight (times scale[o] if there is a scale)
/// as `scales`, which belong into the convolution, and the scale to pack its weights with as `factors`; strides as in
/// covpool_pack_weights.
void covpool_strassen_scales(const covpool_window *window, const float *w, ptrdiff_t out_stride, ptrdiff_t in_stride,
                             const float *scale, ptrdiff_t first, ptrdiff_t last, float *factors, float *scales);

/// Tiles of 32 pairs of pixels, in the whole batch.
ptrdiff_t covpool_strassen_tiles(const covpool_convolution *job);

/// Floats of scratch that covpool_strassen takes for so many panels.
ptrdiff_t covpool_strassen_scratch(const covpool_convolution *job, ptrdiff_t panels);

/// Computes tiles [first, last) of panels [first_panel, last_panel). Weights are packed as for covpool_convolve.
void covpool_strassen(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t first_panel,
                      ptrdiff_t last_panel, float *scratch);

#endif
