// Products of matrices in single precision, most of them symmetric n×n, as Newton–Schulz iterations chain them.
//
// Matrices are paneled: columns in panels of 32, [panel][row][32], rows and columns padded with zeros to a multiple
// of 32. A product of two such matrices needs no packing and is one again.

#ifndef COVPOOL_SYMMETRIC_H
#define COVPOOL_SYMMETRIC_H

#include <stddef.h>

/// Columns of a panel.
#define COVPOOL_PANEL_COLUMNS 32

/// Panels of a matrix of n columns.
ptrdiff_t covpool_panels(ptrdiff_t n);

/// Floats of a paneled matrix.
ptrdiff_t covpool_paneled_size(ptrdiff_t rows, ptrdiff_t columns);

/// y = factor * x, from rows to panels.
void covpool_to_panels(const float *x, ptrdiff_t rows, ptrdiff_t columns, float factor, float *y);

/// y = x transposed, columns×rows, from rows to panels.
void covpool_to_panels_transposed(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *y);

/// y = factor * x of an n×n matrix, from panels to rows.
void covpool_from_panels(const float *x, ptrdiff_t n, float factor, float *y);

/// y = x transposed, columns×rows, from panels to rows.
void covpool_from_panels_transposed(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *y);

/// Computes panels [first, last) of c = scale * aᵀ * b + alpha * x + identity * I, where a has `depth` rows and `rows`
/// columns and b `depth` rows and `columns` columns; x may be NULL, for 0. Of a c that is known to be symmetric only the
/// blocks on and below the diagonal are computed; of these panels' blocks the mirror images are stored as well.
void covpool_paneled_multiply(ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t columns, const float *a, const float *b,
                              float scale, float alpha, const float *x, float identity, int is_symmetric,
                              ptrdiff_t first, ptrdiff_t last, float *c);

/// Computes panels [first, last) of c = aᵀ * b, which is known to be symmetric, n×n, in rows: its blocks on and below the
/// diagonal, and their mirror images.
void covpool_paneled_multiply_to_rows(ptrdiff_t depth, ptrdiff_t n, const float *a, const float *b, ptrdiff_t first,
                                      ptrdiff_t last, float *c);

/// Computes c = alpha * x + beta * (a * b + its transpose) for symmetric a and x: of this symmetric matrix the blocks
/// on and above the diagonal in panels [first, last), and their mirror images.
void covpool_paneled_multiply_symmetrized(ptrdiff_t n, float alpha, const float *x, float beta, const float *a,
                                          const float *b, ptrdiff_t first, ptrdiff_t last, float *c);

/// z = alpha * x + beta * y + gamma * y transposed; z must be neither.
void covpool_paneled_combine(ptrdiff_t n, float alpha, const float *x, float beta, const float *y, float gamma,
                             float *z);

#endif
