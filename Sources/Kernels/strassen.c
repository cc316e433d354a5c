#include "strassen.h"

#include <math.h>
#include <string.h>

#include "convolution_columns.h"

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
  return w->channels > 0 && needs_no_copy(w) && w->channels % block_channels(w) == 0 && block_channels(w) % 4 == 0 &&
         out_channels % COVPOOL_STRASSEN_PANEL == 0 && w->out_height * w->out_width % 2 == 0;
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
static ptrdiff_t columns_distance(ptrdiff_t half_channels, ptrdiff_t width) { return half_channels * width + lanes; }

ptrdiff_t covpool_strassen_scratch(const covpool_convolution *job, ptrdiff_t panels) {
  ptrdiff_t half_channels = block_channels(&job->window) / 2;
  return products * columns_distance(half_channels, tile) + panels * sums_of_weights * half_channels * panel;
}

static ptrdiff_t half_pixels(const covpool_window *w) { return w->out_height * w->out_width / 2; }

// Tiles of 32 neighbouring pairs inside an image come first; what is left of all images shares the last ones.
ptrdiff_t covpool_strassen_tiles(const covpool_convolution *job) {
  ptrdiff_t half = half_pixels(&job->window);
  return job->batch * (half / tile) + (job->batch * (half % tile) + tile - 1) / tile;
}

/// Up to 32 pairs of pixels.
typedef struct {
  ptrdiff_t width;
  run runs[tile];
  /// Where the runs begin in the first output channel.
  ptrdiff_t starts[tile];
  int count, is_whole;
} pair_tile;

static pair_tile find_pairs(const covpool_convolution *job, ptrdiff_t number) {
  const covpool_window *w = &job->window;
  ptrdiff_t half = half_pixels(w), pixels = 2 * half, all = job->batch * w->channels * pixels;
  ptrdiff_t whole = half / tile, left = half % tile, before = tile * (number - job->batch * whole);
  pair_tile found = {.is_whole = before < 0};
  ptrdiff_t count = found.is_whole ? tile : least(tile, job->batch * left - before);
  found.width = count > lanes ? tile : lanes;
  for (ptrdiff_t i = 0; i < count;) {
    ptrdiff_t image, pixel, length;
    if (found.is_whole) {
      image = number / whole;
      pixel = number % whole * tile + i;
      length = lanes;
    } else {
      image = (before + i) / left;
      pixel = whole * tile + (before + i) % left;
      length = least(least(half - pixel, count - i), lanes);
    }
    run next = {.start = (int)i, .count = length, .source = image * w->channels * pixels + pixel};
    // Reading 16 where there are fewer must not leave the tensor, not even from its last channel.
    next.is_exact = next.source + (w->channels - 1) * pixels + half + lanes > all;
    found.starts[found.count] = image * job->out_channels * pixels + pixel;
    found.runs[found.count++] = next;
    i += length;
  }
  return found;
}

/// From the first output channel to a quarter of a panel's outputs.
static ptrdiff_t quarter_offset(const covpool_convolution *job, ptrdiff_t panel_index, int quarter) {
  ptrdiff_t half = half_pixels(&job->window), pixels = 2 * half;
  ptrdiff_t channel = panel_index * panel + quarter / 2 * (job->out_channels / 2);
  return channel * pixels + quarter % 2 * half;
}

/// What comes next and is asked for by the first products of a panel and a tile, three of the list by each: each
/// quarter's outputs and residuals, and last the columns of both halves of the pixels.
enum { products_asking = 4, rows_ahead = 3 * products_asking, columns_ahead = rows_ahead - 2 };

static void find_ahead(const covpool_convolution *job, const pair_tile *at, ptrdiff_t panel_index, int is_last,
                       tile_rows ahead[rows_ahead]) {
  for (int q = 0; at->is_whole && q < quarters; q++) {
    ptrdiff_t start = at->starts[0] + quarter_offset(job, panel_index, q), stride = 2 * half_pixels(&job->window);
    *ahead++ = (tile_rows){.start = job->y + start, .stride = stride, .rows = panel};
    if (is_last && job->residual)
      *ahead++ = (tile_rows){.start = job->residual + start, .stride = stride, .rows = panel};
  }
}

/// A block of input channels.
typedef struct {
  ptrdiff_t half_channels;
  int is_first, is_last;
} block;

static void multiply(const convolution_kernels *best, ptrdiff_t count, const float *a, const float *b, ptrdiff_t width,
                     const target *to) {
  if (width == tile)
    best->block.multiply(count, a, b, to);
  else
    best->block.multiply_narrow(count, 1, a, 0, b, to);
}

/// Adds the products of a block, a panel and a tile to its outputs; `a` and `columns` are the products' sides.
static void multiply_pairs(const covpool_convolution *job, const convolution_kernels *best, const block *in,
                           const pair_tile *at, ptrdiff_t panel_index, const float *const a[products],
                           const float *columns, const tile_rows ahead[rows_ahead]) {
  ptrdiff_t pixels = 2 * half_pixels(&job->window), width = at->width;
  float sums[3][panel * tile] __attribute__((aligned(64)));
  float outputs[quarters][panel * tile] __attribute__((aligned(64)));
  float residuals[quarters][panel * tile] __attribute__((aligned(64)));
  target partial[3], to[quarters];
  for (int i = 0; i < 3; i++) partial[i] = (target){.y = sums[i], .stride = width};
  for (int q = 0; q < quarters; q++) {
    ptrdiff_t offset = quarter_offset(job, panel_index, q);
    const float *residual = in->is_last && job->residual ? job->residual + offset : 0;
    to[q] = (target){.scale = in->is_last && job->scale ? job->scale + offset / pixels : 0,
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
    if (!in->is_first) best->gather(job->y + offset, pixels, at->starts, at->runs, at->count, panel, width, outputs[q]);
    if (residual) {
      best->gather(residual, pixels, at->starts, at->runs, at->count, panel, width, residuals[q]);
      to[q].residual = residuals[q];
    }
  }
  // Where each product goes, and the sum that it is added to: P0, Y11, P0 + P2, P0 + P2 + P3, Y21, P5, Y12.
  target *places[products] = {&partial[0], &to[0], &partial[0], &partial[1], &to[2], &partial[2], &to[1]};
  const float *starts[products] = {0, sums[0], sums[0], sums[0], sums[1], 0, sums[0]};
  for (int i = 0; i < products; i++) {
    places[i]->start = starts[i];
    if (i < products_asking) memcpy(places[i]->ahead, ahead + 3 * i, sizeof places[i]->ahead);
    if (i == products - 1) best->add_to_both(sums[2], sums[0], sums[1], panel * width);
    multiply(best, in->half_channels, a[i], columns + i * columns_distance(in->half_channels, width), width, places[i]);
  }
  // Nothing is left to multiply for Y22.
  to[3].start = sums[1];
  multiply(best, 0, a[0], columns, width, &to[3]);
  if (!at->is_whole)
    for (int q = 0; q < quarters; q++)
      best->scatter(outputs[q], width, pixels, at->starts, at->runs, at->count, panel,
                    job->y + quarter_offset(job, panel_index, q));
}

void covpool_strassen(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t first_panel,
                      ptrdiff_t last_panel, float *scratch) {
  const covpool_window *w = &job->window;
  convolution_kernels best = covpool_convolution_kernels();
  ptrdiff_t half = half_pixels(w), pixels = 2 * half;
  ptrdiff_t channels = block_channels(w), half_channels = channels / 2, panels = last_panel - first_panel;
  // Of packed weights the quarters of a panel: input channels' halves follow each other, output channels' are far
  // apart.
  ptrdiff_t size = half_channels * panel, below = job->out_channels / 2 * channels;
  float *combined = scratch, *columns = scratch + panels * sums_of_weights * size;
  for (ptrdiff_t c = 0; c < w->channels; c += channels) {
    block in = {.half_channels = half_channels, .is_first = c == 0, .is_last = c + channels == w->channels};
    const float *x = job->x + c * pixels, *weights = job->weights + c * job->out_channels;
    // The weights' sums are made anew every time: beside the weights they would nearly double what a network takes, and
    // what one image waits for.
    for (ptrdiff_t i = 0; i < panels; i++) {
      const float *a = weights + (first_panel + i) * 2 * size;
      best.combine_weights(a, a + size, a + below, a + below + size, size, combined + i * sums_of_weights * size);
    }
    pair_tile at, next = find_pairs(job, first);
    for (ptrdiff_t t = first; t < last; t++) {
      at = next;
      if (t + 1 < last) next = find_pairs(job, t + 1);
      best.pack_pairs(x, pixels, half, half_channels, at.runs, at.count, at.width,
                      columns_distance(half_channels, at.width), columns);
      for (ptrdiff_t i = 0; i < panels; i++) {
        const float *a = weights + (first_panel + i) * 2 * size, *s = combined + i * sums_of_weights * size;
        const float *sides[products] = {a, a + size, s, s + size, a + below + size, s + 2 * size, s + 3 * size};
        tile_rows ahead[rows_ahead] = {{0}};
        if (i + 1 < panels) find_ahead(job, &at, first_panel + i + 1, in.is_last, ahead);
        // The next tile's columns come from afar: a few of them with every panel.
        if (t + 1 < last) {
          ptrdiff_t from = channels * i / panels, rows = channels * (i + 1) / panels - from;
          for (int h = 0; h < 2; h++)
            ahead[columns_ahead + h] = (tile_rows){
                .start = x + next.runs[0].source + h * half + from * pixels, .stride = pixels, .rows = rows};
        }
        multiply_pairs(job, &best, &in, &at, first_panel + i, sides, columns, ahead);
      }
    }
  }
}
