// Element-wise arithmetic, sums along an axis, and transposes between strided places.

#ifndef COVPOOL_ARITHMETIC_H
#define COVPOOL_ARITHMETIC_H

#include <stddef.h>

#define COVPOOL_DECLARE_ARITHMETIC(T, suffix)                                                                          \
  /* y = a - b. */                                                                                                     \
  void covpool_subtract_##suffix(const T *a, const T *b, T *y, ptrdiff_t count);                                       \
  /* y = a * b. */                                                                                                     \
  void covpool_multiply_##suffix(const T *a, const T *b, T *y, ptrdiff_t count);                                       \
  /* y[i] = x[i] * factor where random[i] is at least rate, else 0. */                                                 \
  void covpool_drop_##suffix(const T *x, const T *random, T rate, T factor, T *y, ptrdiff_t count);                    \
  /* sums[c] = the sum over rows of x[row * stride + c], in double. */                                                 \
  void covpool_sum_rows_##suffix(const T *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, double *sums);       \
  /* y[column * y_stride + row] = x[row * x_stride + column]. */                                                       \
  void covpool_transpose_strided_##suffix(const T *x, ptrdiff_t x_stride, ptrdiff_t rows, ptrdiff_t columns, T *y,     \
                                          ptrdiff_t y_stride)

COVPOOL_DECLARE_ARITHMETIC(float, f32);
COVPOOL_DECLARE_ARITHMETIC(double, f64);
#undef COVPOOL_DECLARE_ARITHMETIC

#endif
