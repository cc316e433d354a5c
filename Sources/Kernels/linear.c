#include "linear.h"

#include <string.h>

#include "convolution_kernels.h"

// A block of 512 features of eight images is 16 KB, half of a first-level cache, and the weights of 24 outputs, 48 KB,
// stay in the second while all images use them. With fewer images memory is what takes time, and long pieces of the
// weights' rows come from it twice as fast.
enum { block_features = 512, long_block_features = 8192, many_images = 8, group_rows = 3, block_rows = 24 };

// The loops for each class of processor, as many images at a time as there are registers for their sums.
#if defined(__x86_64__)
#define MOST_IMAGES 8
#define VECTOR_BYTES 64
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define NAMED(kernel) kernel##_avx512
#include "linear_tile.h"
#define MOST_IMAGES 4
#define VECTOR_BYTES 32
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define NAMED(kernel) kernel##_avx2
#include "linear_tile.h"
#endif
#define MOST_IMAGES 4
#define VECTOR_BYTES 16
#define TARGET
#define NAMED(kernel) kernel##_baseline
#include "linear_tile.h"

void covpool_linear(const float *x, ptrdiff_t batch, const float *w, ptrdiff_t features, ptrdiff_t outputs,
                    ptrdiff_t first, ptrdiff_t last, float *y) {
  for (ptrdiff_t b = 0; b < batch; b++)
    for (ptrdiff_t o = first; o < last; o++) y[b * outputs + o] = 0;
  ptrdiff_t block = batch < many_images ? long_block_features : block_features;
  for (ptrdiff_t i = 0; i < features; i += block) {
    ptrdiff_t count = least(block, features - i);
    for (ptrdiff_t o = first; o < last; o += block_rows) {
      ptrdiff_t end = least(o + block_rows, last);
#if defined(__x86_64__)
      switch (covpool_processor_level()) {
      case 2: add_products_avx512(x + i, batch, w + i, features, count, outputs, o, end, y); continue;
      case 1: add_products_avx2(x + i, batch, w + i, features, count, outputs, o, end, y); continue;
      }
#endif
      add_products_baseline(x + i, batch, w + i, features, count, outputs, o, end, y);
    }
  }
}

// MARK: Packed weights

_Static_assert(COVPOOL_LINEAR_PANEL == tile && COVPOOL_LINEAR_IMAGES == panel, "a product is a micro-kernel's");

// Features of one product. The weights of the third product after it are asked for meanwhile: 24 KB ahead, in portions
// that do not fill the queue of misses; left to itself the processor reads half as fast.
enum { features_at_once = 64, products_ahead = 3, most_groups = 8 };

void covpool_pack_linear(const float *w, ptrdiff_t features, ptrdiff_t outputs, ptrdiff_t index, float *packed) {
  covpool_block_kernels().transpose(w + index * tile * features, features, least(tile, outputs - index * tile),
                                    features, packed, tile);
}

void covpool_pack_images(const float *x, ptrdiff_t images, ptrdiff_t features, ptrdiff_t first, ptrdiff_t last,
                         float *packed) {
  for (ptrdiff_t k = first; k < last; k++)
    for (ptrdiff_t b = 0; b < panel; b++) packed[k * panel + b] = b < images ? x[b * features + k] : 0;
}

void covpool_linear_panel(const float *images, ptrdiff_t batch, const float *w, const float *bias,
                          covpool_activation activation, ptrdiff_t features, ptrdiff_t outputs, ptrdiff_t index,
                          float *y) {
  float lower = covpool_activation_lower(activation), upper = covpool_activation_upper(activation);
  block_kernels kernels = covpool_block_kernels();
  for (ptrdiff_t first = 0; first < batch; first += most_groups * panel) {
    ptrdiff_t end = least(first + most_groups * panel, batch);
    float sums[most_groups][panel * tile] __attribute__((aligned(64)));
    memset(sums, 0, sizeof sums);
    for (ptrdiff_t k = 0; k < features; k += features_at_once)
      for (ptrdiff_t b = first; b < end; b += panel) {
        target to = {.y = sums[(b - first) / panel], .stride = tile, .accumulates = 1};
        if (b == first)
          to.ahead[0] = (tile_rows){
              .start = w + (k + products_ahead * features_at_once) * tile, .stride = tile, .rows = features_at_once};
        kernels.multiply(least(features_at_once, features - k), images + b * features + k * panel, w + k * tile, &to);
      }
    for (ptrdiff_t b = first; b < end; b++) {
      const float *row = sums[(b - first) / panel] + (b - first) % panel * tile;
      for (ptrdiff_t o = index * tile; o < least(index * tile + tile, outputs); o++) {
        float v = row[o - index * tile] + (bias ? bias[o] : 0);
        v = v < lower ? lower : v;
        y[b * outputs + o] = v > upper ? upper : v;  // NaN stays NaN
      }
    }
  }
}
