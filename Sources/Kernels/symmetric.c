#include "symmetric.h"

#include <string.h>

#include "convolution_kernels.h"

ptrdiff_t covpool_panels(ptrdiff_t n) { return (n + tile - 1) / tile; }

static ptrdiff_t padded(ptrdiff_t n) { return covpool_panels(n) * tile; }

ptrdiff_t covpool_paneled_size(ptrdiff_t rows, ptrdiff_t columns) { return padded(rows) * padded(columns); }

// What is done to blocks of 32 × 32, for each class of processor.
#if defined(__x86_64__)
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define NAMED(kernel) kernel##_avx512
#include "symmetric_tile.h"
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define NAMED(kernel) kernel##_avx2
#include "symmetric_tile.h"
#endif
#define TARGET
#define NAMED(kernel) kernel##_baseline
#include "symmetric_tile.h"

typedef struct {
  void (*finish)(float *block, float scale, float alpha, const float *x);
  void (*combine)(float alpha, const float *x, float beta, const float *y, float gamma, const float *t, float *z);
} block_steps;

static block_steps best_steps(void) {
#if defined(__x86_64__)
  if (covpool_processor_level() >= 2) return (block_steps){finish_avx512, combine_avx512};
  if (covpool_processor_level() == 1) return (block_steps){finish_avx2, combine_avx2};
#endif
  return (block_steps){finish_baseline, combine_baseline};
}

static void copy_block(const float *block, ptrdiff_t rows, ptrdiff_t columns, float *y, ptrdiff_t stride) {
  for (ptrdiff_t i = 0; i < rows; i++) memcpy(y + i * stride, block + i * tile, (size_t)columns * sizeof(float));
}

// Whole rows of panels are by far the most: their length is known.
static inline void scale_row(const float *x, float factor, float *y, ptrdiff_t count) {
  if (count == tile) {
    for (ptrdiff_t k = 0; k < tile; k++) y[k] = factor * x[k];
    return;
  }
  for (ptrdiff_t k = 0; k < count; k++) y[k] = factor * x[k];
}

void covpool_to_panels(const float *x, ptrdiff_t rows, ptrdiff_t columns, float factor, float *y) {
  ptrdiff_t panel_size = padded(rows) * tile;
  for (ptrdiff_t i = 0; i < rows; i++) {
    for (ptrdiff_t j = 0; j < columns; j += tile) {
      float *to = y + j / tile * panel_size + i * tile;
      ptrdiff_t there = least(tile, columns - j);
      scale_row(x + i * columns + j, factor, to, there);
      memset(to + there, 0, (size_t)(tile - there) * sizeof(float));
    }
  }
  for (ptrdiff_t j = 0; j < covpool_panels(columns); j++)
    memset(y + j * panel_size + rows * tile, 0, (size_t)(padded(rows) - rows) * tile * sizeof(float));
}

void covpool_to_panels_transposed(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *y) {
  block_kernels kernels = covpool_block_kernels();
  for (ptrdiff_t i = 0; i < rows; i += tile, y += padded(columns) * tile) {
    kernels.transpose(x + i * columns, columns, least(tile, rows - i), columns, y, tile);
    memset(y + columns * tile, 0, (size_t)(padded(columns) - columns) * tile * sizeof(float));
  }
}

void covpool_from_panels(const float *x, ptrdiff_t n, float factor, float *y) {
  for (ptrdiff_t i = 0; i < n; i++)
    for (ptrdiff_t j = 0; j < n; j += tile)
      scale_row(x + j * padded(n) + i * tile, factor, y + i * n + j, least(tile, n - j));
}

void covpool_from_panels_transposed(const float *x, ptrdiff_t rows, ptrdiff_t columns, float *y) {
  block_kernels kernels = covpool_block_kernels();
  float transposed[tile * tile] __attribute__((aligned(64)));
  for (ptrdiff_t j = 0; j < columns; j += tile, x += padded(rows) * tile) {
    for (ptrdiff_t i = 0; i < rows; i += tile) {
      kernels.transpose(x + i * tile, tile, tile, tile, transposed, tile);
      copy_block(transposed, least(tile, columns - j), least(tile, rows - i), y + j * rows + i, rows);
    }
  }
}

// The block of 32 × 32 of aᵀ b in panel i's rows and panel j's columns, of which the first `rows` and `columns` are not
// padding. Row r of aᵀ is a column of a: eight or sixteen numbers of each row of a panel.
static void multiply_block(const block_kernels *kernels, ptrdiff_t depth, const float *a, const float *b, ptrdiff_t i,
                           ptrdiff_t j, ptrdiff_t rows, ptrdiff_t columns, float *block) {
  ptrdiff_t panel_size = padded(depth) * tile;
  const float *left = a + i * panel_size, *right = b + j * panel_size;
  if (rows <= tile - panel || columns <= tile / 2) memset(block, 0, tile * tile * sizeof(float));
  if (columns <= tile / 2 && rows > panel) {
    for (ptrdiff_t r = 0; r < rows; r += 2 * panel) {
      target to = {.y = block + r * tile, .stride = tile};
      kernels->multiply_paneled_square(depth, left + r, right, &to);
    }
    return;
  }
  for (ptrdiff_t r = 0; r < rows; r += panel) {
    target to = {.y = block + r * tile, .stride = tile};
    kernels->multiply_paneled(depth, left + r, right, &to);
  }
}

// A block on the diagonal of a symmetric product: the quarter below its diagonal is the mirror image of that above.
static void multiply_diagonal(const block_kernels *kernels, ptrdiff_t depth, const float *a, const float *b,
                              ptrdiff_t j, ptrdiff_t rows, float *block) {
  enum { half = tile / 2 };
  if (rows <= half) {
    multiply_block(kernels, depth, a, b, j, j, rows, rows, block);
    return;
  }
  const float *left = a + j * padded(depth) * tile, *right = b + j * padded(depth) * tile;
  for (ptrdiff_t r = 0; r < half; r += panel) {
    target to = {.y = block + r * tile, .stride = tile};
    kernels->multiply_paneled(depth, left + r, right, &to);
  }
  target to = {.y = block + half * tile + half, .stride = tile};
  kernels->multiply_paneled_square(depth, left + half, right + half, &to);
  for (ptrdiff_t r = half; r < tile; r++)
    for (ptrdiff_t c = 0; c < half; c++) block[r * tile + c] = block[c * tile + r];
}

void covpool_paneled_multiply(ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t columns, const float *a, const float *b,
                              float scale, float alpha, const float *x, float identity, int is_symmetric,
                              ptrdiff_t first, ptrdiff_t last, float *c) {
  block_kernels kernels = covpool_block_kernels();
  block_steps steps = best_steps();
  ptrdiff_t panel_size = padded(rows) * tile;
  for (ptrdiff_t j = first; j < last; j++) {
    // Below the diagonal only the last panel's rows are fewer than 32; above it they would be columns.
    for (ptrdiff_t i = is_symmetric ? j : 0; i < covpool_panels(rows); i++) {
      ptrdiff_t at = j * panel_size + i * tile * tile, there = least(tile, rows - i * tile);
      float *block = c + at;
      if (is_symmetric && i == j)
        multiply_diagonal(&kernels, depth, a, b, j, there, block);
      else
        multiply_block(&kernels, depth, a, b, i, j, there, least(tile, columns - j * tile), block);
      // Padding stays zero.
      if (x || scale != 1) steps.finish(block, scale, alpha, x ? x + at : NULL);
      if (identity != 0 && i == j)
        for (ptrdiff_t k = 0; k < there; k++) block[k * tile + k] += identity;
      if (is_symmetric && i > j) kernels.transpose(block, tile, tile, tile, c + i * panel_size + j * tile * tile, tile);
    }
  }
}

void covpool_paneled_multiply_to_rows(ptrdiff_t depth, ptrdiff_t n, const float *a, const float *b, ptrdiff_t first,
                                      ptrdiff_t last, float *c) {
  block_kernels kernels = covpool_block_kernels();
  float block[tile * tile] __attribute__((aligned(64))), mirrored[tile * tile] __attribute__((aligned(64)));
  for (ptrdiff_t j = first; j < last; j++) {
    for (ptrdiff_t i = j; i < covpool_panels(n); i++) {
      ptrdiff_t rows = least(tile, n - i * tile);
      if (i == j) {
        multiply_diagonal(&kernels, depth, a, b, j, rows, block);
        copy_block(block, rows, rows, c + j * tile * n + j * tile, n);
        continue;
      }
      multiply_block(&kernels, depth, a, b, i, j, rows, tile, block);
      copy_block(block, rows, tile, c + i * tile * n + j * tile, n);
      kernels.transpose(block, tile, tile, tile, mirrored, tile);
      copy_block(mirrored, tile, rows, c + j * tile * n + i * tile, n);
    }
  }
}

void covpool_paneled_multiply_symmetrized(ptrdiff_t n, float alpha, const float *x, float beta, const float *a,
                                          const float *b, ptrdiff_t first, ptrdiff_t last, float *c) {
  block_kernels kernels = covpool_block_kernels();
  block_steps steps = best_steps();
  ptrdiff_t panel_size = padded(n) * tile;
  float product[tile * tile] __attribute__((aligned(64))), mirrored[tile * tile] __attribute__((aligned(64)));
  float transposed[tile * tile] __attribute__((aligned(64)));
  for (ptrdiff_t j = first; j < last; j++) {
    ptrdiff_t columns = least(tile, n - j * tile);
    for (ptrdiff_t i = 0; i <= j; i++) {
      ptrdiff_t at = j * panel_size + i * tile * tile, rows = least(tile, n - i * tile);
      multiply_block(&kernels, n, a, b, i, j, rows, columns, product);
      if (i < j) multiply_block(&kernels, n, a, b, j, i, columns, rows, mirrored);
      kernels.transpose(i < j ? mirrored : product, tile, tile, tile, transposed, tile);
      steps.combine(alpha, x + at, beta, product, beta, transposed, c + at);
      if (i < j) kernels.transpose(c + at, tile, tile, tile, c + i * panel_size + j * tile * tile, tile);
    }
  }
}

void covpool_paneled_combine(ptrdiff_t n, float alpha, const float *x, float beta, const float *y, float gamma,
                             float *z) {
  block_kernels kernels = covpool_block_kernels();
  block_steps steps = best_steps();
  ptrdiff_t rows = padded(n), panel_size = rows * tile;
  for (ptrdiff_t j = 0; j < rows / tile; j++) {
    for (ptrdiff_t i = 0; i < rows / tile; i++) {
      ptrdiff_t at = j * panel_size + i * tile * tile;
      float transposed[tile * tile] __attribute__((aligned(64)));
      kernels.transpose(y + i * panel_size + j * tile * tile, tile, tile, tile, transposed, tile);
      steps.combine(alpha, x + at, beta, y + at, gamma, transposed, z + at);
    }
  }
}
