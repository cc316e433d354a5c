// Products of packed matrices in single precision: the micro-kernels that convolution, Winograd's and Strassen's
// methods, fully connected layers and symmetric products share, in the terms of Goto and van de Geijn 2008.
//
// The left operand is packed in panels of 8 rows, the right one in tiles of 32 columns or of 16. A micro-kernel keeps
// its block of the result in registers while it runs over k, and finishes it there (the epilogue).

#ifndef COVPOOL_GEMM_H
#define COVPOOL_GEMM_H

#include <stddef.h>

#include "convolution.h"

enum {
  /// Rows of a packed panel of the left operand.
  panel_height = COVPOOL_PANEL,
  /// Columns of a packed tile of the right operand; a narrow one has `lane_count`.
  tile_width = COVPOOL_TILE,
  /// Numbers that are loaded and stored at once.
  lane_count = 16,
};

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t greatest(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
static inline ptrdiff_t round_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b * b; }

/// Rows, as wide as a tile, to prefetch.
typedef struct {
  const float *start;
  ptrdiff_t stride, rows;
} prefetch_rows;

/// Where a block of the result is stored, and the epilogue: y = activation(scale * sum + bias + residual).
typedef struct {
  float *y;
  /// NULL where there is none; scale and bias are of rows.
  const float *residual, *scale, *bias;
  /// Of y and of the residual.
  ptrdiff_t stride;
  covpool_activation activation;
  /// Whether the sums go on from y.
  int accumulates;
  /// What they go on from besides, in rows as wide as the tile; may be NULL.
  const float *addend;
  /// What will be read and written after these products.
  prefetch_rows prefetch[3];
} gemm_output;

/// y[i][j] = the sum over k < count of a[k][i] * b[k][j], for a panel of 8 rows and a tile of 32 columns.
typedef void micro_kernel(ptrdiff_t count, const float *a, const float *b, const gemm_output *to);

/// The same for a tile of 16 columns and one or two panels, `distance` apart.
typedef void narrow_micro_kernel(ptrdiff_t count, int panels, const float *a, ptrdiff_t distance, const float *b,
                                 const gemm_output *to);

typedef struct {
  micro_kernel *multiply;
  narrow_micro_kernel *multiply_narrow;
  /// The same as `multiply` with a[32 * k + i].
  micro_kernel *multiply_paneled;
  /// The same as `multiply_paneled` for 16 rows and 16 columns, without epilogue.
  micro_kernel *multiply_paneled_square;
  /// to[column][row] = from[row][column], rows that are not there as 0 up to to_stride.
  void (*transpose)(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, float *to,
                    ptrdiff_t to_stride);
} gemm_kernels;

typedef struct {
  /// y[b, o] += the sum over `count` features of x[b, i] * w[o, i], for outputs [first, last).
  void (*add_products)(const float *x, ptrdiff_t batch, const float *w, ptrdiff_t features, ptrdiff_t count,
                       ptrdiff_t outputs, ptrdiff_t first, ptrdiff_t last, float *y);
} linear_kernels;

/// Steps on blocks of 32 × 32.
typedef struct {
  /// block = scale * block + alpha * x; x may be NULL, for 0.
  void (*scale_and_add)(float *block, float scale, float alpha, const float *x);
  /// z = alpha * x + beta * y + gamma * t.
  void (*combine)(float alpha, const float *x, float beta, const float *y, float gamma, const float *t, float *z);
} symmetric_kernels;

#endif
