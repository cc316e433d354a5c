#include "linear.h"

#include "convolution_kernels.h"

// A block of 512 features of eight images is 16 KB, half of a first-level cache, and the weights of 24 outputs, 48 KB, stay
// in the second while all images use them. With fewer images memory is what takes time, and long pieces of the weights'
// rows come from it twice as fast.
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
