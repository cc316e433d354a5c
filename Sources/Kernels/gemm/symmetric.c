#include "symmetric.h"

#include <string.h>

#include "gemm/gemm.h"
#include "instruction_sets/kernel_table.h"

ptrdiff_t covpool_panels(ptrdiff_t n) { return (n + tile_width - 1) / tile_width; }

static ptrdiff_t padded(ptrdiff_t n) { return covpool_panels(n) * tile_width; }

ptrdiff_t covpool_paneled_size(ptrdiff_t rows, ptrdiff_t columns) { return padded(rows) * padded(columns); }

static void copy_block(const float *block, ptrdiff_t rows, ptrdiff_t columns, float *y, ptrdiff_t stride) {
  for (ptrdiff_t i = 0; i < rows; i++) memcpy(y + i * stride, block + i * tile_width, (size_t)columns * sizeof(float));
}

// Whole rows of panels are by far the most: their length is known.
static inline void scale_row(const float *x, float factor, float *y, ptrdiff_t count) {
  if (count == tile_width) {
    for (ptrdiff_t k = 0; k < tile_width; k++) y[k] = factor * x[k];
    return;
  }
  for (ptrdiff_t k = 0; k < count; k++) y[k] = factor * x[k];
}

void covpool_to_panels(const float *x, ptrdiff_t rows, ptrdiff_t columns, float factor, float *y) {
  ptrdiff_t panel_size = padded(rows) * tile_width;
  for (ptrdiff_t i = 0; i < rows; i++) {
    for (ptrdiff_t j = 0; j < columns; j += tile_width) {
      float *to = y + j / tile_width * panel_size + i * tile_width;
      ptrdiff_t there = least(tile_width, columns - j);
      scale_row(x + i * columns + j, factor, to, there);
      memset(to + there, 0, (size_t)(tile_width - there) * sizeof(float));
    }
  }
  for (ptrdiff_t j = 0; j < covpool_panels(columns); j++)
    memset(y + j * panel_size + rows * tile_width, 0, (size_t)(padded(rows) - rows) * tile_width * sizeof(float));
}

void covpool_to_panels_transposed(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *y) {
  const kernel_table *kernels = covpool_kernels();
  for (ptrdiff_t i = 0; i < rows; i += tile_width, y += padded(columns) * tile_width) {
    kernels->gemm.transpose(x + i * columns, columns, least(tile_width, rows - i), columns, y, tile_width);
    memset(y + columns * tile_width, 0, (size_t)(padded(columns) - columns) * tile_width * sizeof(float));
  }
}

void covpool_from_panels(const float *x, ptrdiff_t n, float factor, float *y) {
  for (ptrdiff_t i = 0; i < n; i++)
    for (ptrdiff_t j = 0; j < n; j += tile_width)
      scale_row(x + j * padded(n) + i * tile_width, factor, y + i * n + j, least(tile_width, n - j));
}

void covpool_from_panels_transposed(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *y) {
  const kernel_table *kernels = covpool_kernels();
  float transposed[tile_width * tile_width] __attribute__((aligned(64)));
  for (ptrdiff_t j = 0; j < columns; j += tile_width, x += padded(rows) * tile_width) {
    for (ptrdiff_t i = 0; i < rows; i += tile_width) {
      kernels->gemm.transpose(x + i * tile_width, tile_width, tile_width, tile_width, transposed, tile_width);
      copy_block(transposed, least(tile_width, columns - j), least(tile_width, rows - i), y + j * rows + i, rows);
    }
  }
}

// The block of 32 × 32 of aᵀ b in panel i's rows and panel j's columns, of which the first `rows` and `columns` are not
// padding. Row r of aᵀ is a column of a: eight or sixteen numbers of each row of a panel.
static void multiply_block(const gemm_kernels *gemm, ptrdiff_t depth, const float *a, const float *b, ptrdiff_t i,
                           ptrdiff_t j, ptrdiff_t rows, ptrdiff_t columns, float *block) {
  ptrdiff_t panel_size = padded(depth) * tile_width;
  const float *left = a + i * panel_size, *right = b + j * panel_size;
  if (rows <= tile_width - panel_height || columns <= tile_width / 2)
    memset(block, 0, tile_width * tile_width * sizeof(float));
  if (columns <= tile_width / 2 && rows > panel_height) {
    for (ptrdiff_t r = 0; r < rows; r += 2 * panel_height) {
      gemm_output to = {.y = block + r * tile_width, .stride = tile_width};
      gemm->multiply_paneled_square(depth, left + r, right, &to);
    }
    return;
  }
  for (ptrdiff_t r = 0; r < rows; r += panel_height) {
    gemm_output to = {.y = block + r * tile_width, .stride = tile_width};
    gemm->multiply_paneled(depth, left + r, right, &to);
  }
}

// A block on the diagonal of a symmetric product: the quarter below its diagonal is the mirror image of that above.
static void multiply_diagonal(const gemm_kernels *gemm, ptrdiff_t depth, const float *a, const float *b, ptrdiff_t j,
                              ptrdiff_t rows, float *block) {
  enum { half = tile_width / 2 };
  if (rows <= half) {
    multiply_block(gemm, depth, a, b, j, j, rows, rows, block);
    return;
  }
  const float *left = a + j * padded(depth) * tile_width, *right = b + j * padded(depth) * tile_width;
  for (ptrdiff_t r = 0; r < half; r += panel_height) {
    gemm_output to = {.y = block + r * tile_width, .stride = tile_width};
    gemm->multiply_paneled(depth, left + r, right, &to);
  }
  gemm_output to = {.y = block + half * tile_width + half, .stride = tile_width};
  gemm->multiply_paneled_square(depth, left + half, right + half, &to);
  for (ptrdiff_t r = half; r < tile_width; r++)
    for (ptrdiff_t c = 0; c < half; c++) block[r * tile_width + c] = block[c * tile_width + r];
}

void covpool_paneled_multiply(ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t columns, const float *a, const float *b,
                              float scale, float alpha, const float *x, float identity, int is_symmetric,
                              ptrdiff_t first, ptrdiff_t last, float *c) {
  const kernel_table *kernels = covpool_kernels();
  ptrdiff_t panel_size = padded(rows) * tile_width;
  for (ptrdiff_t j = first; j < last; j++) {
    // Below the diagonal only the last panel's rows are fewer than 32; above it they would be columns.
    for (ptrdiff_t i = is_symmetric ? j : 0; i < covpool_panels(rows); i++) {
      ptrdiff_t at = j * panel_size + i * tile_width * tile_width, there = least(tile_width, rows - i * tile_width);
      float *block = c + at;
      if (is_symmetric && i == j)
        multiply_diagonal(&kernels->gemm, depth, a, b, j, there, block);
      else
        multiply_block(&kernels->gemm, depth, a, b, i, j, there, least(tile_width, columns - j * tile_width), block);
      // Padding stays zero.
      if (x || scale != 1) kernels->symmetric.scale_and_add(block, scale, alpha, x ? x + at : NULL);
      if (identity != 0 && i == j)
        for (ptrdiff_t k = 0; k < there; k++) block[k * tile_width + k] += identity;
      if (is_symmetric && i > j)
        kernels->gemm.transpose(block, tile_width, tile_width, tile_width,
                                c + i * panel_size + j * tile_width * tile_width, tile_width);
    }
  }
}

void covpool_paneled_multiply_to_rows(ptrdiff_t depth, ptrdiff_t n, const float *a, const float *b, ptrdiff_t first,
                                      ptrdiff_t last, float *c) {
  const kernel_table *kernels = covpool_kernels();
  float block[tile_width * tile_width] __attribute__((aligned(64))),
      mirrored[tile_width * tile_width] __attribute__((aligned(64)));
  for (ptrdiff_t j = first; j < last; j++) {
    for (ptrdiff_t i = j; i < covpool_panels(n); i++) {
      ptrdiff_t rows = least(tile_width, n - i * tile_width);
      if (i == j) {
        multiply_diagonal(&kernels->gemm, depth, a, b, j, rows, block);
        copy_block(block, rows, rows, c + j * tile_width * n + j * tile_width, n);
        continue;
      }
      multiply_block(&kernels->gemm, depth, a, b, i, j, rows, tile_width, block);
      copy_block(block, rows, tile_width, c + i * tile_width * n + j * tile_width, n);
      kernels->gemm.transpose(block, tile_width, tile_width, tile_width, mirrored, tile_width);
      copy_block(mirrored, tile_width, rows, c + j * tile_width * n + i * tile_width, n);
    }
  }
}

void covpool_paneled_multiply_symmetrized(ptrdiff_t n, float alpha, const float *x, float beta, const float *a,
                                          const float *b, ptrdiff_t first, ptrdiff_t last, float *c) {
  const kernel_table *kernels = covpool_kernels();
  ptrdiff_t panel_size = padded(n) * tile_width;
  float product[tile_width * tile_width] __attribute__((aligned(64))),
      mirrored[tile_width * tile_width] __attribute__((aligned(64)));
  float transposed[tile_width * tile_width] __attribute__((aligned(64)));
  for (ptrdiff_t j = first; j < last; j++) {
    ptrdiff_t columns = least(tile_width, n - j * tile_width);
    for (ptrdiff_t i = 0; i <= j; i++) {
      ptrdiff_t at = j * panel_size + i * tile_width * tile_width, rows = least(tile_width, n - i * tile_width);
      multiply_block(&kernels->gemm, n, a, b, i, j, rows, columns, product);
      if (i < j) multiply_block(&kernels->gemm, n, a, b, j, i, columns, rows, mirrored);
      kernels->gemm.transpose(i < j ? mirrored : product, tile_width, tile_width, tile_width, transposed, tile_width);
      kernels->symmetric.combine(alpha, x + at, beta, product, beta, transposed, c + at);
      if (i < j)
        kernels->gemm.transpose(c + at, tile_width, tile_width, tile_width,
                                c + i * panel_size + j * tile_width * tile_width, tile_width);
    }
  }
}

void covpool_paneled_combine(ptrdiff_t n, float alpha, const float *x, float beta, const float *y, float gamma,
                             float *z) {
  const kernel_table *kernels = covpool_kernels();
  ptrdiff_t rows = padded(n), panel_size = rows * tile_width;
  for (ptrdiff_t j = 0; j < rows / tile_width; j++) {
    for (ptrdiff_t i = 0; i < rows / tile_width; i++) {
      ptrdiff_t at = j * panel_size + i * tile_width * tile_width;
      float transposed[tile_width * tile_width] __attribute__((aligned(64)));
      kernels->gemm.transpose(y + i * panel_size + j * tile_width * tile_width, tile_width, tile_width, tile_width,
                              transposed, tile_width);
      kernels->symmetric.combine(alpha, x + at, beta, y + at, gamma, transposed, z + at);
    }
  }
}
