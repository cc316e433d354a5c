// A fully connected layer for few images, in single precision: reading the weights is what takes time, so they are read
// once for all images, in their own order.

#ifndef COVPOOL_LINEAR_H
#define COVPOOL_LINEAR_H

#include <stddef.h>

/// y[b, o] = the sum over i of x[b, i] * w[o, i] for outputs [first, last); rows of y are `outputs` long.
void covpool_linear(const float *x, ptrdiff_t batch, const float *w, ptrdiff_t features, ptrdiff_t outputs,
                    ptrdiff_t first, ptrdiff_t last, float *y);

#endif
