#include "strassen.h"

#include <math.h>
#include <string.h>

#include "convolution/columns.h"
#include "instruction_sets/kernel_table.h"

// The seven products, in the order in which they are summed, with S1 = A21 + A22, S2 = S1 - A11, T1 = B12 - B11 and
// T2 = B22 - T1:
//
//     P0 = A11 B11     P1 = A12 B21     P2 = S2 T2     P3 = (A11 - A21)(B22 - B12)     P4 = A22 (B21 - T2)
//     P5 = S1 T1       P6 = (A12 - S2) B22
//
//     Y11 = P0 + P1    Y21 = P0 + P2 + P3 + P4    Y12 = P0 + P2 + P5 + P6    Y22 = P0 + P2 + P3 + P5
enum { products = 7, sums_of_weights = 4, quarters = 4 };

int covpool_strassen_applies(const covpool_window *w, ptrdiff_t out_channels) {
  // Half a block's channels times a panel's eight outputs are whole vectors of 16.
  return w->channels > 0 && needs_no_copy(w) && w->channels % channels_of_block(w) == 0 &&
         channels_of_block(w) % 4 == 0 && out_channels % COVPOOL_STRASSEN_PANEL == 0 &&
         w->out_height * w->out_width % 2 == 0;
}

void covpool_strassen_scales(const covpool_window *w, const float *from, ptrdiff_t out_stride, ptrdiff_t in_stride,
                             const float *scale, ptrdiff_t first, ptrdiff_t last, float *factors, float *scales) {
  for (ptrdiff_t o = first; o < last; o++) {
    float largest = 0;
    for (ptrdiff_t c = 0; c < w->channels; c++) largest = fmaxf(largest, fabsf(from[o * out_stride + c * in_stride]));
    if (scale) largest *= fabsf(scale[o]);
    // Within the range in which neither a power nor its inverse overflows.
    int exponent = 0;
    if (largest > 0 && isfinite(largest)) frexpf(largest, &exponent);
    exponent = exponent < -100 ? -100 : exponent > 100 ? 100 : exponent;
    // A channel without weights gets no other's rounding errors.
    scales[o] = largest == 0 ? 0 : ldexpf(1, exponent);
    factors[o] = ldexpf(scale ? scale[o] : 1, -exponent);
  }
}

/// From the columns of one product to the next's: a cache line more than they take, since all seven are written in
/// turn.
static ptrdiff_t columns_distance(ptrdiff_t half_channels, ptrdiff_t width) {
  return half_channels * width + lane_count;
}

ptrdiff_t covpool_strassen_scratch(const covpool_convolution *job, ptrdiff_t panels) {
  ptrdiff_t half_channels = channels_of_block(&job->window) / 2;
  return products * columns_distance(half_channels, tile_width) +
         panels * sums_of_weights * half_channels * panel_height;
}

static ptrdiff_t half_pixels(const covpool_window *w) { return w->out_height * w->out_width / 2; }

// Tiles of 32 neighbouring pairs inside an image come first; what is left of all images shares the last ones.
ptrdiff_t covpool_strassen_tiles(const covpool_convolution *job) {
  ptrdiff_t half = half_pixels(&job->window);
  return job->batch * (half / tile_width) + (job->batch * (half % tile_width) + tile_width - 1) / tile_width;
}

/// Up to 32 pairs of pixels.
typedef struct {
  ptrdiff_t width;
  run runs[tile_width];
  /// Where the runs begin in the first output channel.
  ptrdiff_t starts[tile_width];
  int count, is_whole;
} pair_tile;

static pair_tile find_pairs(const covpool_convolution *job, ptrdiff_t number) {
  const covpool_window *w = &job->window;
  ptrdiff_t half = half_pixels(w), pixels = 2 * half, all = job->batch * w->channels * pixels;
  ptrdiff_t whole = half / tile_width, left = half % tile_width, before = tile_width * (number - job->batch * whole);
  pair_tile found = {.is_whole = before < 0};
  ptrdiff_t count = found.is_whole ? tile_width : least(tile_width, job->batch * left - before);
  found.width = count > lane_count ? tile_width : lane_count;
  for (ptrdiff_t i = 0; i < count;) {
    ptrdiff_t image, pixel, length;
    if (found.is_whole) {
      image = number / whole;
      pixel = number % whole * tile_width + i;
      length = lane_count;
    } else {
      image = (before + i) / left;
      pixel = whole * tile_width + (before + i) % left;
      length = least(least(half - pixel, count - i), lane_count);
    }
    run next = {.start = (int)i, .count = length, .source = image * w->channels * pixels + pixel};
    // Reading 16 where there are fewer must not leave the tensor, not even from its last channel.
    next.is_exact = next.source + (w->channels - 1) * pixels + half + lane_count > all;
    found.starts[found.count] = image * job->out_channels * pixels + pixel;
    found.runs[found.count++] = next;
    i += length;
  }
  return found;
}

/// From the first output channel to a quarter of a panel's outputs.
static ptrdiff_t quarter_offset(const covpool_convolution *job, ptrdiff_t panel_index, int quarter) {
  ptrdiff_t half = half_pixels(&job->window), pixels = 2 * half;
  ptrdiff_t channel = panel_index * panel_height + quarter / 2 * (job->out_channels / 2);
  return channel * pixels + quarter % 2 * half;
}

/// What the first products of a panel and a tile prefetch, three of the list each: each quarter's outputs and
/// residuals, and last the columns of both halves of the pixels.
enum { prefetching_products = 4, prefetches = 3 * prefetching_products, column_prefetches = prefetches - 2 };

static void find_prefetches(const covpool_convolution *job, const pair_tile *at, ptrdiff_t panel_index, int is_last,
                            prefetch_rows prefetch[prefetches]) {
  for (int q = 0; at->is_whole && q < quarters; q++) {
    ptrdiff_t start = at->starts[0] + quarter_offset(job, panel_index, q), stride = 2 * half_pixels(&job->window);
    *prefetch++ = (prefetch_rows){.start = job->y + start, .stride = stride, .rows = panel_height};
    if (is_last && job->residual)
      *prefetch++ = (prefetch_rows){.start = job->residual + start, .stride = stride, .rows = panel_height};
  }
}

/// A block of input channels.
typedef struct {
  ptrdiff_t half_channels;
  int is_first, is_last;
} block;

static void multiply(const kernel_table *kernels, ptrdiff_t count, const float *a, const float *b, ptrdiff_t width,
                     const gemm_output *to) {
  if (width == tile_width)
    kernels->gemm.multiply(count, a, b, to);
  else
    kernels->gemm.multiply_narrow(count, 1, a, 0, b, to);
}

/// Adds the products of a block, a panel and a tile to its outputs; `a` and `columns` are the products' sides.
static void multiply_pairs(const covpool_convolution *job, const kernel_table *kernels, const block *in,
                           const pair_tile *at, ptrdiff_t panel_index, const float *const a[products],
                           const float *columns, const prefetch_rows prefetch[prefetches]) {
  ptrdiff_t pixels = 2 * half_pixels(&job->window), width = at->width;
  float sums[3][panel_height * tile_width] __attribute__((aligned(64)));
  float outputs[quarters][panel_height * tile_width] __attribute__((aligned(64)));
  float residuals[quarters][panel_height * tile_width] __attribute__((aligned(64)));
  gemm_output partial[3], to[quarters];
  for (int i = 0; i < 3; i++) partial[i] = (gemm_output){.y = sums[i], .stride = width};
  for (int q = 0; q < quarters; q++) {
    ptrdiff_t offset = quarter_offset(job, panel_index, q);
    const float *residual = in->is_last && job->residual ? job->residual + offset : 0;
    to[q] = (gemm_output){.scale = in->is_last && job->scale ? job->scale + offset / pixels : 0,
                          .bias = in->is_last && job->bias ? job->bias + offset / pixels : 0,
                          .activation = in->is_last ? job->activation : COVPOOL_IDENTITY,
                          .accumulates = !in->is_first};
    if (at->is_whole) {
      to[q].y = job->y + offset + at->starts[0];
      to[q].residual = residual ? residual + at->starts[0] : 0;
      to[q].stride = pixels;
      continue;
    }
    to[q].y = outputs[q];
    to[q].stride = width;
    if (!in->is_first)
      kernels->convolution.gather(job->y + offset, pixels, at->starts, at->runs, at->count, panel_height, width,
                                  outputs[q]);
    if (residual) {
      kernels->convolution.gather(residual, pixels, at->starts, at->runs, at->count, panel_height, width, residuals[q]);
      to[q].residual = residuals[q];
    }
  }
  // Where each product goes, and the sum that it is added to: P0, Y11, P0 + P2, P0 + P2 + P3, Y21, P5, Y12.
  gemm_output *places[products] = {&partial[0], &to[0], &partial[0], &partial[1], &to[2], &partial[2], &to[1]};
  const float *addends[products] = {0, sums[0], sums[0], sums[0], sums[1], 0, sums[0]};
  for (int i = 0; i < products; i++) {
    places[i]->addend = addends[i];
    if (i < prefetching_products) memcpy(places[i]->prefetch, prefetch + 3 * i, sizeof places[i]->prefetch);
    if (i == products - 1) kernels->convolution.add_to_both(sums[2], sums[0], sums[1], panel_height * width);
    multiply(kernels, in->half_channels, a[i], columns + i * columns_distance(in->half_channels, width), width,
             places[i]);
  }
  // Nothing is left to multiply for Y22.
  to[3].addend = sums[1];
  multiply(kernels, 0, a[0], columns, width, &to[3]);
  if (!at->is_whole)
    for (int q = 0; q < quarters; q++)
      kernels->convolution.scatter(outputs[q], width, pixels, at->starts, at->runs, at->count, panel_height,
                                   job->y + quarter_offset(job, panel_index, q));
}

void covpool_strassen(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t first_panel,
                      ptrdiff_t last_panel, float *scratch) {
  const covpool_window *w = &job->window;
  const kernel_table *kernels = covpool_kernels();
  ptrdiff_t half = half_pixels(w), pixels = 2 * half;
  ptrdiff_t channels = channels_of_block(w), half_channels = channels / 2, panels = last_panel - first_panel;
  // Of packed weights the quarters of a panel: input channels' halves follow each other, output channels' are far
  // apart.
  ptrdiff_t size = half_channels * panel_height, below = job->out_channels / 2 * channels;
  float *combined = scratch, *columns = scratch + panels * sums_of_weights * size;
  for (ptrdiff_t c = 0; c < w->channels; c += channels) {
    block in = {.half_channels = half_channels, .is_first = c == 0, .is_last = c + channels == w->channels};
    const float *x = job->x + c * pixels, *weights = job->weights + c * job->out_channels;
    // The weights' sums are made anew every time: beside the weights they would nearly double what a network takes, and
    // what one image waits for.
    for (ptrdiff_t i = 0; i < panels; i++) {
      const float *a = weights + (first_panel + i) * 2 * size;
      kernels->convolution.combine_weights(a, a + size, a + below, a + below + size, size,
                                           combined + i * sums_of_weights * size);
    }
    pair_tile at, next = find_pairs(job, first);
    for (ptrdiff_t t = first; t < last; t++) {
      at = next;
      if (t + 1 < last) next = find_pairs(job, t + 1);
      kernels->convolution.pack_pairs(x, pixels, half, half_channels, at.runs, at.count, at.width,
                                      columns_distance(half_channels, at.width), columns);
      for (ptrdiff_t i = 0; i < panels; i++) {
        const float *a = weights + (first_panel + i) * 2 * size, *s = combined + i * sums_of_weights * size;
        const float *sides[products] = {a, a + size, s, s + size, a + below + size, s + 2 * size, s + 3 * size};
        prefetch_rows prefetch[prefetches] = {{0}};
        if (i + 1 < panels) find_prefetches(job, &at, first_panel + i + 1, in.is_last, prefetch);
        // The next tile's columns are prefetched, a few with every panel.
        if (t + 1 < last) {
          ptrdiff_t from = channels * i / panels, rows = channels * (i + 1) / panels - from;
          for (int h = 0; h < 2; h++)
            prefetch[column_prefetches + h] = (prefetch_rows){
                .start = x + next.runs[0].source + h * half + from * pixels, .stride = pixels, .rows = rows};
        }
        multiply_pairs(job, kernels, &in, &at, first_panel + i, sides, columns, prefetch);
      }
    }
  }
}
