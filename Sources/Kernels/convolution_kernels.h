// What the ways to convolve share.

#ifndef COVPOOL_CONVOLUTION_KERNELS_H
#define COVPOOL_CONVOLUTION_KERNELS_H

#include "convolution.h"
#include "processor.h"

enum { tile = COVPOOL_TILE, panel = COVPOOL_PANEL, lanes = 16 };

/// Before a loop whose number of rounds is a constant when the compiler comes to it.
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_FOR(i, count) UNROLL for (int i = 0; i < (count); i++)

/// v = its activation; comparing vectors of `type` gives those of `mask`. NaN stays NaN.
#define ACTIVATE(type, mask, v, activation)                                                                            \
  if ((activation) != COVPOOL_IDENTITY) v = (type)((mask)v & ~(mask)(v < 0));                                          \
  if ((activation) == COVPOOL_RELU6) v = (type)(((mask)v & ~(mask)(v > 6)) | ((mask)((type){0} + 6) & (mask)(v > 6)));

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/// Rows of a tile's pixels.
typedef struct {
  const float *start;
  ptrdiff_t stride, rows;
} tile_rows;

/// Where the products of a panel and a tile go, and what happens to them.
typedef struct {
  float *y;
  const float *residual, *scale, *bias;
  ptrdiff_t stride;
  covpool_activation activation;
  int accumulates;
  /// Sums to go on from, in rows as wide as the tile; may be NULL.
  const float *start;
  /// What is read and written after these products and comes from afar: it is asked for while they are summed.
  tile_rows ahead[3];
} target;

/// y[i][j] = the sum over k < count of a[k][i] * b[k][j], for eight i and 32 j, finished as the target says.
typedef void micro_kernel(ptrdiff_t count, const float *a, const float *b, const target *to);

/// The same for 16 j and one or two panels of i, whose weights are `distance` apart.
typedef void narrow_kernel(ptrdiff_t count, int panels, const float *a, ptrdiff_t distance, const float *b,
                           const target *to);

/// The kernels for blocks of matrices.
typedef struct {
  micro_kernel *multiply;
  narrow_kernel *multiply_narrow;
  /// The same as `multiply` with a[32 * k + i].
  micro_kernel *multiply_paneled;
  /// The same as `multiply_paneled` for 16 i and 16 j, without epilogue.
  micro_kernel *multiply_paneled_square;
  /// to[column][row] = from[row][column], rows that are not there as 0 up to to_stride.
  void (*transpose)(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, float *to,
                    ptrdiff_t to_stride);
} block_kernels;

/// Those for this processor.
block_kernels covpool_block_kernels(void);

#endif
