#include "linear.h"

#include <string.h>

#include "gemm/gemm.h"
#include "instruction_sets/kernel_table.h"

// A block of 512 features of eight images is 16 KB, half of a first-level cache, and the weights of 24 outputs, 48 KB,
// stay in the second while all images use them. With fewer images memory is what takes time, and long pieces of the
// weights' rows come from it twice as fast.
enum { block_features = 512, long_block_features = 8192, many_images = 8, block_outputs = 24 };

void covpool_linear(const float *x, ptrdiff_t batch, const float *w, ptrdiff_t features, ptrdiff_t outputs,
                    ptrdiff_t first, ptrdiff_t last, float *y) {
  const linear_kernels *kernels = &covpool_kernels()->linear;
  for (ptrdiff_t b = 0; b < batch; b++)
    for (ptrdiff_t o = first; o < last; o++) y[b * outputs + o] = 0;
  ptrdiff_t block = batch < many_images ? long_block_features : block_features;
  for (ptrdiff_t i = 0; i < features; i += block) {
    ptrdiff_t count = least(block, features - i);
    for (ptrdiff_t o = first; o < last; o += block_outputs)
      kernels->add_products(x + i, batch, w + i, features, count, outputs, o, least(o + block_outputs, last), y);
  }
}

// MARK: Packed weights

_Static_assert(COVPOOL_LINEAR_PANEL == tile_width && COVPOOL_LINEAR_IMAGES == panel_height,
               "a product is a micro-kernel's");

// Features of one product. Meanwhile the weights of the third product after it are prefetched, 24 KB ahead, in portions
// that do not fill the queue of misses; left to itself the processor reads half as fast.
enum { features_at_once = 64, products_ahead = 3, most_groups = 8 };

void covpool_pack_linear(const float *w, ptrdiff_t features, ptrdiff_t outputs, ptrdiff_t index, float *packed) {
  covpool_kernels()->gemm.transpose(w + index * tile_width * features, features,
                                    least(tile_width, outputs - index * tile_width), features, packed, tile_width);
}

void covpool_pack_images(const float *x, ptrdiff_t images, ptrdiff_t features, ptrdiff_t first, ptrdiff_t last,
                         float *packed) {
  for (ptrdiff_t k = first; k < last; k++)
    for (ptrdiff_t b = 0; b < panel_height; b++) packed[k * panel_height + b] = b < images ? x[b * features + k] : 0;
}

void covpool_linear_panel(const float *images, ptrdiff_t batch, const float *w, const float *bias,
                          covpool_activation activation, ptrdiff_t features, ptrdiff_t outputs, ptrdiff_t index,
                          float *y) {
  float lower = covpool_activation_lower(activation), upper = covpool_activation_upper(activation);
  const gemm_kernels *kernels = &covpool_kernels()->gemm;
  for (ptrdiff_t first = 0; first < batch; first += most_groups * panel_height) {
    ptrdiff_t end = least(first + most_groups * panel_height, batch);
    float sums[most_groups][panel_height * tile_width] __attribute__((aligned(64)));
    memset(sums, 0, sizeof sums);
    for (ptrdiff_t k = 0; k < features; k += features_at_once)
      for (ptrdiff_t b = first; b < end; b += panel_height) {
        gemm_output to = {.y = sums[(b - first) / panel_height], .stride = tile_width, .accumulates = 1};
        if (b == first)
          to.prefetch[0] = (prefetch_rows){.start = w + (k + products_ahead * features_at_once) * tile_width,
                                           .stride = tile_width,
                                           .rows = features_at_once};
        kernels->multiply(least(features_at_once, features - k), images + b * features + k * panel_height,
                          w + k * tile_width, &to);
      }
    for (ptrdiff_t b = first; b < end; b++) {
      const float *row = sums[(b - first) / panel_height] + (b - first) % panel_height * tile_width;
      for (ptrdiff_t o = index * tile_width; o < least(index * tile_width + tile_width, outputs); o++) {
        float v = row[o - index * tile_width] + (bias ? bias[o] : 0);
        v = v < lower ? lower : v;
        y[b * outputs + o] = v > upper ? upper : v;  // NaN stays NaN
      }
    }
  }
}
