#include "symmetric.h"

#include <string.h>

#include "convolution_kernels.h"

ptrdiff_t covpool_panels(ptrdiff_t n) { return (n + tile - 1) / tile; }

static ptrdiff_t padded(ptrdiff_t n) { return covpool_panels(n) * tile; }

ptrdiff_t covpool_paneled_size(ptrdiff_t n) { return padded(n) * padded(n); }

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

void covpool_to_panels(const float *x, ptrdiff_t n, float factor, float *y) {
  for (ptrdiff_t j = 0; j < n; j += tile) {
    ptrdiff_t there = least(tile, n - j);
    for (ptrdiff_t i = 0; i < padded(n); i++, y += tile) {
      if (i >= n || there < tile) memset(y, 0, tile * sizeof(float));
      if (i >= n) continue;
      for (ptrdiff_t k = 0; k < there; k++) y[k] = factor * x[i * n + j + k];
    }
  }
}

void covpool_from_panels(const float *x, ptrdiff_t n, float factor, float *y) {
  for (ptrdiff_t j = 0; j < n; j += tile) {
    ptrdiff_t there = least(tile, n - j);
    const float *panel_start = x + j * padded(n);
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t k = 0; k < there; k++) y[i * n + j + k] = factor * panel_start[i * tile + k];
  }
}

// The block of 32 × 32 in panel i's rows and panel j's columns. Row r of a, which is symmetric, is its column r: eight
// numbers of each row of a panel.
static void multiply_block(const block_kernels *kernels, ptrdiff_t n, const float *a, const float *b, ptrdiff_t i,
                           ptrdiff_t j, float *block) {
  ptrdiff_t panel_size = padded(n) * tile;
  for (ptrdiff_t r = 0; r < tile; r += panel) {
    target to = {.y = block + r * tile, .stride = tile};
    kernels->multiply_paneled(n, a + i * panel_size + r, b + j * panel_size, &to);
  }
}

// The same of a block on the diagonal of a symmetric product: the quarter below its diagonal is the mirror image of
// that above.
static void multiply_diagonal(const block_kernels *kernels, ptrdiff_t n, const float *a, const float *b, ptrdiff_t j,
                              float *block) {
  enum { half = tile / 2 };
  const float *left = a + j * padded(n) * tile, *right = b + j * padded(n) * tile;
  for (ptrdiff_t r = 0; r < half; r += panel) {
    target to = {.y = block + r * tile, .stride = tile};
    kernels->multiply_paneled(n, left + r, right, &to);
  }
  target to = {.y = block + half * tile + half, .stride = tile};
  kernels->multiply_paneled_square(n, left + half, right + half, &to);
  for (ptrdiff_t r = half; r < tile; r++)
    for (ptrdiff_t c = 0; c < half; c++) block[r * tile + c] = block[c * tile + r];
}

void covpool_paneled_multiply(ptrdiff_t n, const float *a, const float *b, float scale, float alpha, const float *x,
                              float identity, int is_symmetric, ptrdiff_t first, ptrdiff_t last, float *c) {
  block_kernels kernels = covpool_block_kernels();
  block_steps steps = best_steps();
  ptrdiff_t rows = padded(n), panel_size = rows * tile;
  for (ptrdiff_t j = first; j < last; j++) {
    for (ptrdiff_t i = 0; i < (is_symmetric ? j + 1 : rows / tile); i++) {
      ptrdiff_t at = j * panel_size + i * tile * tile;
      float *block = c + at;
      if (is_symmetric && i == j)
        multiply_diagonal(&kernels, n, a, b, j, block);
      else
        multiply_block(&kernels, n, a, b, i, j, block);
      // Padding stays zero.
      if (x || scale != 1) steps.finish(block, scale, alpha, x ? x + at : NULL);
      if (identity != 0 && i == j)
        for (ptrdiff_t k = 0; k < least(tile, n - j * tile); k++) block[k * tile + k] += identity;
      if (is_symmetric && i < j) kernels.transpose(block, tile, tile, tile, c + i * panel_size + j * tile * tile, tile);
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
    for (ptrdiff_t i = 0; i <= j; i++) {
      ptrdiff_t at = j * panel_size + i * tile * tile;
      multiply_block(&kernels, n, a, b, i, j, product);
      if (i < j) multiply_block(&kernels, n, a, b, j, i, mirrored);
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
