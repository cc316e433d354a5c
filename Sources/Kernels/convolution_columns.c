#include "convolution_columns.h"

#include <string.h>

void covpool_find_taps(const covpool_window *w, const slab *shape, ptrdiff_t *taps) {
  for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++)
    for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++)
      *taps++ = ((ky % w->stride) * shape->rows + ky / w->stride) * shape->row_pitch + (kx % w->stride) * shape->pitch +
                kx / w->stride;
}

/// Output rows [*from, *to) of `image` that pixels [first, last) touch.
static void rows_of(const covpool_window *w, ptrdiff_t image, ptrdiff_t first, ptrdiff_t last, ptrdiff_t *from,
                    ptrdiff_t *to) {
  ptrdiff_t pixels = w->out_height * w->out_width, start = image * pixels;
  *from = first > start ? (first - start) / w->out_width : 0;
  *to = last < start + pixels ? (last - start + w->out_width - 1) / w->out_width : w->out_height;
}

static slab slab_shape(const covpool_window *w, ptrdiff_t first, ptrdiff_t last) {
  ptrdiff_t s = w->stride, pixels = w->out_height * w->out_width;
  slab result = {.pitch = w->out_width + (w->kernel_width - 1) / s, .is_copy = 1};
  result.row_pitch = result.pitch * least(s, w->kernel_width);
  for (ptrdiff_t image = first / pixels; image * pixels < last; image++) {
    ptrdiff_t from, to;
    rows_of(w, image, first, last, &from, &to);
    result.rows += to - from + (w->kernel_height - 1) / s;
  }
  result.channel_stride = result.rows * result.row_pitch * least(s, w->kernel_height);
  return result;
}

int covpool_find_runs(const covpool_convolution *job, const slab *from, ptrdiff_t first, ptrdiff_t last, ptrdiff_t p,
                      ptrdiff_t count, run *runs) {
  const covpool_window *w = &job->window;
  ptrdiff_t pixels = w->out_height * w->out_width, width = from->is_copy ? w->out_width : pixels;
  int found = 0;
  ptrdiff_t rows_before = 0, image = first / pixels;
  for (ptrdiff_t i = 0; i < count;) {
    ptrdiff_t at = (p + i) / pixels, pixel = (p + i) % pixels, x = pixel % width;
    ptrdiff_t length = least(least(width - x, count - i), lanes);
    run next = {.start = (int)i, .count = length};
    if (from->is_copy) {
      for (; image < at; image++) {
        ptrdiff_t top, bottom;
        rows_of(w, image, first, last, &top, &bottom);
        rows_before += bottom - top + (w->kernel_height - 1) / w->stride;
      }
      ptrdiff_t top, bottom;
      rows_of(w, at, first, last, &top, &bottom);
      next.source = (rows_before + pixel / width - top) * from->row_pitch + x;
    } else {
      next.source = at * w->channels * pixels + pixel;
      // Reading 16 where there are fewer must not leave the tensor, not even from its last channel.
      next.is_exact = ((at + 1) * w->channels - 1) * pixels + pixel + lanes > job->batch * w->channels * pixels;
    }
    runs[found++] = next;
    i += length;
  }
  return found;
}

// The loops for each class of processor. Sums are kept in registers, rows times vectors across: 16 of AVX-512's 32, and
// of ARM's; of 16 registers 12 with AVX2, whose processors multiply twice a cycle and are best fed so, and 8 without,
// which has no broadcasts for free.
#if defined(__x86_64__)
#include <immintrin.h>
#define BASELINE_REGISTERS 16
#define VECTOR_BYTES 64
#define REGISTERS 32
#define ROWS 8
#define ACROSS 2
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define NAMED(kernel) kernel##_avx512
#include "convolution_tile.h"
#define VECTOR_BYTES 32
#define REGISTERS 16
#define ROWS 3
#define ACROSS 4
#define NARROW_ROWS 4
#define NARROW_ACROSS 2
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define NAMED(kernel) kernel##_avx2
#include "convolution_tile.h"
#else
#define BASELINE_REGISTERS 32
#endif
#define VECTOR_BYTES 16
#define REGISTERS BASELINE_REGISTERS
#define ROWS (REGISTERS / 4)
#define ACROSS 2
#define NARROW_ROWS ROWS
#define NARROW_ACROSS 2
#define TARGET
#define NAMED(kernel) kernel##_baseline
#include "convolution_tile.h"

#define KERNELS(name)                                                                                                  \
  (convolution_kernels) {                                                                                              \
    .make_slab = make_slab_##name, .pack_tile = pack_tile_##name, .gather = gather_##name, .scatter = scatter_##name,  \
    .sum_gradients = sum_gradients_##name, .pack_pairs = pack_pairs_##name, .combine_weights = combine_weights_##name, \
    .add_to_both = add_to_both_##name,                                                                                 \
    .block = {.multiply = multiply_##name,                                                                             \
              .multiply_narrow = multiply_narrow_##name,                                                               \
              .multiply_paneled = multiply_paneled_##name,                                                             \
              .multiply_paneled_square = multiply_paneled_square_##name,                                               \
              .transpose = transpose_##name}                                                                           \
  }

convolution_kernels covpool_convolution_kernels(void) {
#if defined(__x86_64__)
  switch (covpool_processor_level()) {
  case 2: return KERNELS(avx512);
  case 1: return KERNELS(avx2);
  }
#endif
  return KERNELS(baseline);
}

block_kernels covpool_block_kernels(void) { return covpool_convolution_kernels().block; }
