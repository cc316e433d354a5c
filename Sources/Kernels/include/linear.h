// A fully connected layer for few images, in single precision: reading the weights is what takes time, so they are read
// once for all images, in their own order.

#ifndef COVPOOL_LINEAR_H
#define COVPOOL_LINEAR_H

#include <stddef.h>

#include "activation.h"

/// y[b, o] = the sum over i of x[b, i] * w[o, i] for outputs [first, last); rows of y are `outputs` long.
void covpool_linear(const float *x, ptrdiff_t batch, const float *w, ptrdiff_t features, ptrdiff_t outputs,
                    ptrdiff_t first, ptrdiff_t last, float *y);

// The same with weights that are used again and again: packed in the order in which they are read, they come from
// memory as fast as it can, and are multiplied as a convolution's.

/// Outputs of one panel of packed weights, and images whose features are packed together.
#define COVPOOL_LINEAR_PANEL 32
#define COVPOOL_LINEAR_IMAGES 8

/// Packs the weights [outputs, features] of panel `panel`: [features][32], 0 for outputs that are not there.
void covpool_pack_linear(const float *w, ptrdiff_t features, ptrdiff_t outputs, ptrdiff_t panel, float *packed);

/// Packs features [first, last) of up to eight images [images, features]: [features][8], 0 for images that are not
/// there.
void covpool_pack_images(const float *x, ptrdiff_t images, ptrdiff_t features, ptrdiff_t first, ptrdiff_t last,
                         float *packed);

/// y[b, o] = the activation of the sum over i of x[b, i] * w[o, i], + bias[o] if there is a bias, for the outputs of
/// `panel`. `images` are all of the batch, eight by eight, and `w` the panel's weights, packed.
void covpool_linear_panel(const float *images, ptrdiff_t batch, const float *w, const float *bias,
                          covpool_activation activation, ptrdiff_t features, ptrdiff_t outputs, ptrdiff_t panel,
                          float *y);

#endif
