#ifndef COVPOOL_WINDOW_RANGE_H
#define COVPOOL_WINDOW_RANGE_H

#include <stddef.h>

/// Output columns x for which 0 <= x * stride + offset < width, as [*from, *to) within [0, out_width].
static inline void inside(ptrdiff_t width, ptrdiff_t stride, ptrdiff_t offset, ptrdiff_t out_width, ptrdiff_t *from,
                          ptrdiff_t *to) {
  ptrdiff_t lo = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  ptrdiff_t hi = width > offset ? (width - offset + stride - 1) / stride : 0;
  if (hi > out_width) hi = out_width;
  if (lo > hi) lo = hi;
  *from = lo;
  *to = hi;
}

#endif
