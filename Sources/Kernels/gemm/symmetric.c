#include "symmetric.h"

#include <string.h>

#include "gemm/gemm.h"
#include "instruction_sets/kernel_table.h"

ptrdiff_t covpool_panels(ptrdiff_t n) { return (n + tile_width - 1) / tile_width; }

static ptrdiff_t padded(ptrdiff_t n) { return covpool_panels(n) * tile_width; }

ptrdiff_t covpool_paneled_size(ptrdiff_t n) { return padded(n) * padded(n); }

void covpool_to_panels(const float *x, ptrdiff_t n, float factor, float *y) {
  for (ptrdiff_t j = 0; j < n; j += tile_width) {
    ptrdiff_t there = least(tile_width, n - j);
    for (ptrdiff_t i = 0; i < padded(n); i++, y += tile_width) {
      if (i >= n || there < tile_width) memset(y, 0, tile_width * sizeof(float));
      if (i >= n) continue;
      for (ptrdiff_t k = 0; k < there; k++) y[k] = factor * x[i * n + j + k];
    }
  }
}

void covpool_from_panels(const float *x, ptrdiff_t n, float factor, float *y) {
  for (ptrdiff_t j = 0; j < n; j += tile_width) {
    ptrdiff_t there = least(tile_width, n - j);
    const float *panel_start = x + j * padded(n);
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t k = 0; k < there; k++) y[i * n + j + k] = factor * panel_start[i * tile_width + k];
  }
}

// The block of 32 × 32 in panel i's rows and panel j's columns. Row r of a, which is symmetric, is its column r: eight
// numbers of each row of a panel.
static void multiply_block(const gemm_kernels *gemm, ptrdiff_t n, const float *a, const float *b, ptrdiff_t i,
                           ptrdiff_t j, float *block) {
  ptrdiff_t panel_size = padded(n) * tile_width;
  for (ptrdiff_t r = 0; r < tile_width; r += panel_height) {
    gemm_output to = {.y = block + r * tile_width, .stride = tile_width};
    gemm->multiply_paneled(n, a + i * panel_size + r, b + j * panel_size, &to);
  }
}

// The same of a block on the diagonal of a symmetric product: the quarter below its diagonal is the mirror image of
// that above.
static void multiply_diagonal(const gemm_kernels *gemm, ptrdiff_t n, const float *a, const float *b, ptrdiff_t j,
                              float *block) {
  enum { half = tile_width / 2 };
  const float *left = a + j * padded(n) * tile_width, *right = b + j * padded(n) * tile_width;
  for (ptrdiff_t r = 0; r < half; r += panel_height) {
    gemm_output to = {.y = block + r * tile_width, .stride = tile_width};
    gemm->multiply_paneled(n, left + r, right, &to);
  }
  gemm_output to = {.y = block + half * tile_width + half, .stride = tile_width};
  gemm->multiply_paneled_square(n, left + half, right + half, &to);
  for (ptrdiff_t r = half; r < tile_width; r++)
    for (ptrdiff_t c = 0; c < half; c++) block[r * tile_width + c] = block[c * tile_width + r];
}

void covpool_paneled_multiply(ptrdiff_t n, const float *a, const float *b, float scale, float alpha, const float *x,
                              float identity, int is_symmetric, ptrdiff_t first, ptrdiff_t last, float *c) {
  const kernel_table *kernels = covpool_kernels();
  ptrdiff_t rows = padded(n), panel_size = rows * tile_width;
  for (ptrdiff_t j = first; j < last; j++) {
    for (ptrdiff_t i = 0; i < (is_symmetric ? j + 1 : rows / tile_width); i++) {
      ptrdiff_t at = j * panel_size + i * tile_width * tile_width;
      float *block = c + at;
      if (is_symmetric && i == j)
        multiply_diagonal(&kernels->gemm, n, a, b, j, block);
      else
        multiply_block(&kernels->gemm, n, a, b, i, j, block);
      // Padding stays zero.
      if (x || scale != 1) kernels->symmetric.scale_and_add(block, scale, alpha, x ? x + at : NULL);
      if (identity != 0 && i == j)
        for (ptrdiff_t k = 0; k < least(tile_width, n - j * tile_width); k++) block[k * tile_width + k] += identity;
      if (is_symmetric && i < j)
        kernels->gemm.transpose(block, tile_width, tile_width, tile_width,
                                c + i * panel_size + j * tile_width * tile_width, tile_width);
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
    for (ptrdiff_t i = 0; i <= j; i++) {
      ptrdiff_t at = j * panel_size + i * tile_width * tile_width;
      multiply_block(&kernels->gemm, n, a, b, i, j, product);
      if (i < j) multiply_block(&kernels->gemm, n, a, b, j, i, mirrored);
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
