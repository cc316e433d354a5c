#include "convolution.h"

#include <string.h>

#include "convolution_kernels.h"

// Products of one block of input channels. The 64 KB of a tile's columns come from the second-level cache quickly
// enough; fewer would have outputs read and written more often.
enum { block_limit = 512 };

static ptrdiff_t taps_of(const covpool_window *w) { return w->kernel_height * w->kernel_width; }

/// Input channels whose products are summed before the result is stored.
static ptrdiff_t block_channels(const covpool_window *w) {
  ptrdiff_t products = w->channels * taps_of(w);
  ptrdiff_t blocks = (products + block_limit - 1) / block_limit;
  return blocks > 0 ? (w->channels + blocks - 1) / blocks : w->channels;
}

static ptrdiff_t panels_of(ptrdiff_t out_channels) { return (out_channels + panel - 1) / panel; }

ptrdiff_t covpool_packed_weights_size(const covpool_window *w, ptrdiff_t out_channels) {
  return panels_of(out_channels) * panel * w->channels * taps_of(w);
}

void covpool_pack_weights(const covpool_window *w, ptrdiff_t out_channels, const float *from, ptrdiff_t out_stride,
                          ptrdiff_t in_stride, int flipped, const float *scale, float *packed) {
  ptrdiff_t taps = taps_of(w), channels = block_channels(w);
  for (ptrdiff_t c0 = 0; c0 < w->channels; c0 += channels) {
    ptrdiff_t c1 = least(c0 + channels, w->channels);
    for (ptrdiff_t o0 = 0; o0 < out_channels; o0 += panel) {
      for (ptrdiff_t c = c0; c < c1; c++) {
        for (ptrdiff_t t = 0; t < taps; t++) {
          const float *element = from + c * in_stride + (flipped ? taps - 1 - t : t);
          for (ptrdiff_t o = o0; o < o0 + panel; o++)
            *packed++ = o < out_channels ? element[o * out_stride] * (scale ? scale[o] : 1) : 0;
        }
      }
    }
  }
}

// MARK: The rows that a piece reads, padded

/// Where a piece's input lies, with all padding in place and, for a stride of more than 1, rows and columns sorted by
/// their remainder, so that the pixels under one tap are next to each other: [channel, row remainder, row, column
/// remainder, column].
typedef struct {
  const float *data;
  ptrdiff_t pitch, row_pitch, rows, channel_stride;
  /// Where the pixels under each tap begin.
  const ptrdiff_t *taps;
  int is_copy;
} slab;

/// Fills in `taps`, once for a piece: the divisions would cost as much as the products of a layer with few channels.
static void find_taps(const covpool_window *w, const slab *shape, ptrdiff_t *taps) {
  for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++)
    for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++)
      *taps++ = ((ky % w->stride) * shape->rows + ky / w->stride) * shape->row_pitch + (kx % w->stride) * shape->pitch +
                kx / w->stride;
}

/// Floats of scratch that the taps take.
static ptrdiff_t taps_size(const covpool_window *w) {
  return (ptrdiff_t)(taps_of(w) * sizeof(ptrdiff_t) / sizeof(float) + lanes - 1) / lanes * lanes;
}

/// Whether the input is its own slab.
static int needs_no_copy(const covpool_window *w) {
  return taps_of(w) == 1 && w->stride == 1 && w->pad_top == 0 && w->pad_left == 0 && w->out_height == w->height &&
         w->out_width == w->width;
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

ptrdiff_t covpool_convolution_scratch(const covpool_convolution *job, ptrdiff_t tiles) {
  const covpool_window *w = &job->window;
  ptrdiff_t panel_size = block_channels(w) * taps_of(w) * tile + lanes + taps_size(w);
  if (needs_no_copy(w)) return panel_size;
  // A piece may begin and end inside a row and touch one more image than it fills.
  ptrdiff_t pixels = w->out_height * w->out_width, s = w->stride;
  ptrdiff_t rows = tiles * tile / w->out_width + 2, images = tiles * tile / pixels + 2;
  rows += images * ((w->kernel_height - 1) / s + 1);
  ptrdiff_t pitch = (w->out_width + (w->kernel_width - 1) / s) * least(s, w->kernel_width);
  return panel_size + rows * pitch * least(s, w->kernel_height) * block_channels(w) + lanes;
}

// MARK: Tiles

/// Up to 16 neighbouring pixels of a tile.
typedef struct {
  ptrdiff_t source, count;
  int start, is_exact;
} run;

/// The runs of the pixels [p, p + count) of the batch; returns how many.
static int find_runs(const covpool_convolution *job, const slab *from, ptrdiff_t first, ptrdiff_t last, ptrdiff_t p,
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

/// Eight rows of columns where they lie in the slab: their first pixels, and the shape of the pixels.
typedef struct {
  const float *starts[panel];
  ptrdiff_t height, width, pitch;
} slab_rows;

typedef void gradient_kernel(const slab_rows *a, const float *gradients, ptrdiff_t outputs, float *sums,
                             ptrdiff_t stride);

// The loops for each class of processor.
#if defined(__x86_64__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define ACROSS 2
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define NAMED(kernel) kernel##_avx512
#include "convolution_tile.h"
#define VECTOR_BYTES 32
#define ACROSS 1
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define NAMED(kernel) kernel##_avx2
#include "convolution_tile.h"
#endif
#define VECTOR_BYTES 16
#define ACROSS 2
#define TARGET
#define NAMED(kernel) kernel##_baseline
#include "convolution_tile.h"

/// The kernels for this processor.
typedef struct {
  slab (*make_slab)(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t c0, ptrdiff_t c1,
                    float *out);
  void (*pack_tile)(const covpool_window *w, const slab *from, ptrdiff_t channels, const run *runs, int count,
                    ptrdiff_t width, float *out);
  /// Copies `rows` rows of the runs' pixels from a tensor [.., channels, pixels], where they begin at `starts`, to rows
  /// of `width`, and back.
  void (*gather)(const float *tensor, ptrdiff_t pixels, const ptrdiff_t *starts, const run *runs, int count,
                 ptrdiff_t rows, ptrdiff_t width, float *out);
  void (*scatter)(const float *from, ptrdiff_t width, ptrdiff_t pixels, const ptrdiff_t *starts, const run *runs,
                  int count, ptrdiff_t rows, float *tensor);
  gradient_kernel *sum_gradients;
  block_kernels block;
} kernels;

#define KERNELS(name)                                                                                                  \
  (kernels) {                                                                                                          \
    .make_slab = make_slab_##name, .pack_tile = pack_tile_##name, .gather = gather_##name, .scatter = scatter_##name,  \
    .sum_gradients = sum_gradients_##name,                                                                             \
    .block = {.multiply = multiply_##name,                                                                             \
              .multiply_narrow = multiply_narrow_##name,                                                               \
              .multiply_paneled = multiply_paneled_##name,                                                             \
              .transpose = transpose_##name}                                                                           \
  }

static kernels best_kernels(void) {
#if defined(__x86_64__)
  switch (covpool_processor_level()) {
  case 2: return KERNELS(avx512);
  case 1: return KERNELS(avx2);
  }
#endif
  return KERNELS(baseline);
}

block_kernels covpool_block_kernels(void) { return best_kernels().block; }

void covpool_convolve(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t first_panel,
                      ptrdiff_t last_panel, float *scratch) {
  const covpool_window *w = &job->window;
  kernels best = best_kernels();
  ptrdiff_t pixels = w->out_height * w->out_width, taps = taps_of(w), outputs = job->out_channels;
  ptrdiff_t all = job->batch * pixels, from = first * tile, to = least(last * tile, all);
  ptrdiff_t channels = block_channels(w), panels = panels_of(outputs);
  ptrdiff_t *tap_offsets = (ptrdiff_t *)scratch;
  float *columns = scratch + taps_size(w), *copy = columns + channels * taps * tile + lanes;
  for (ptrdiff_t c0 = 0; c0 < w->channels; c0 += channels) {
    ptrdiff_t c1 = least(c0 + channels, w->channels), products = (c1 - c0) * taps;
    const float *weights = job->weights + c0 * taps * panels * panel;
    slab rows = {.data = job->x + c0 * pixels, .channel_stride = pixels};
    if (!needs_no_copy(w)) rows = best.make_slab(job, from, to, c0, c1, copy);
    find_taps(w, &rows, tap_offsets);
    rows.taps = tap_offsets;
    int is_last = c1 == w->channels;
    for (ptrdiff_t p = from; p < to; p += tile) {
      ptrdiff_t count = least(tile, to - p), image = p / pixels, width = count > lanes ? tile : lanes;
      run runs[tile];
      int found = find_runs(job, &rows, from, to, p, count, runs);
      best.pack_tile(w, &rows, c1 - c0, runs, found, width, columns);
      ptrdiff_t starts[tile];
      for (int i = 0; i < found; i++) {
        ptrdiff_t pixel = p + runs[i].start;
        starts[i] = pixel / pixels * outputs * pixels + pixel % pixels;
      }
      // A whole tile inside one image is stored where it belongs; of others a copy is.
      int is_whole = count == tile && (p + tile - 1) / pixels == image;
      ptrdiff_t step = width == lanes ? 2 : 1;
      // Where there is no copy, the next tile's columns come from afar: a few of them with every panel.
      ptrdiff_t fetched = 0, next = p + tile;
      const float *later =
          next < to && !rows.is_copy ? rows.data + next / pixels * w->channels * pixels + next % pixels : 0;
      for (ptrdiff_t o = first_panel; o < last_panel; o += step) {
        int group = (int)least(step, last_panel - o);
        ptrdiff_t channel = o * panel, there = least(group * panel, outputs - channel);
        const float *bias = is_last && job->bias ? job->bias + channel : 0;
        const float *a = weights + o * products * panel;
        float biases[2 * panel] = {0};
        if (bias && there < group * panel) bias = memcpy(biases, bias, (size_t)there * sizeof(float));
        target place = {.bias = bias, .relu = is_last && job->relu, .accumulates = c0 > 0};
        float y[panel * tile], residual[panel * tile];
        if (is_whole && there == panel) {
          ptrdiff_t start = starts[0] + channel * pixels;
          place.y = job->y + start;
          place.residual = is_last && job->residual ? job->residual + start : 0;
          place.stride = pixels;
          if (o + 1 < last_panel) {
            place.next_outputs = (tile_rows){.start = place.y + panel * pixels, .stride = pixels, .rows = panel};
            if (place.residual)
              place.next_residuals =
                  (tile_rows){.start = place.residual + panel * pixels, .stride = pixels, .rows = panel};
          }
        } else {
          place.y = y;
          place.stride = width;
          if (c0 > 0) best.gather(job->y + channel * pixels, pixels, starts, runs, found, there, width, y);
          if (is_last && job->residual) {
            best.gather(job->residual + channel * pixels, pixels, starts, runs, found, there, width, residual);
            place.residual = residual;
          }
        }
        if (later) {
          ptrdiff_t until = products * (o + 1 - first_panel) / (last_panel - first_panel);
          place.next_columns =
              (tile_rows){.start = later + fetched * pixels, .stride = pixels, .rows = until - fetched};
          fetched = until;
        }
        if (width == tile)
          best.block.multiply(products, a, columns, &place);
        else
          best.block.multiply_narrow(products, group, a, products * panel, columns, &place);
        if (place.y == y) best.scatter(y, width, pixels, starts, runs, found, there, job->y + channel * pixels);
      }
    }
  }
}

// MARK: The gradient of the weights

/// Pixels whose gradients are summed at a time: 24 KB of them for 32 outputs stay in the first-level cache.
enum { chunk_pixels = 192, output_block = 32 };

static ptrdiff_t rows_of_chunk(const covpool_window *w) {
  return w->out_width < chunk_pixels ? chunk_pixels / w->out_width : 1;
}

ptrdiff_t covpool_weight_sums_size(const covpool_convolution *job) {
  ptrdiff_t outputs = (job->out_channels + lanes - 1) / lanes * lanes;
  return job->window.channels * taps_of(&job->window) * outputs;
}

ptrdiff_t covpool_weight_gradient_scratch(const covpool_convolution *job) {
  const covpool_window *w = &job->window;
  ptrdiff_t size = rows_of_chunk(w) * w->out_width * output_block + taps_size(w);
  if (needs_no_copy(w)) return size;
  ptrdiff_t s = w->stride, rows = rows_of_chunk(w) + (w->kernel_height - 1) / s;
  ptrdiff_t pitch = (w->out_width + (w->kernel_width - 1) / s) * least(s, w->kernel_width);
  return size + rows * pitch * least(s, w->kernel_height) * block_channels(w) + lanes;
}

/// One block of input channels and one run of output rows of an image.
static void add_weight_gradients(const covpool_convolution *job, kernels best, const slab *rows, const float *gradient,
                                 ptrdiff_t height, ptrdiff_t channels, float *transposed, float *sums) {
  const covpool_window *w = &job->window;
  ptrdiff_t taps = taps_of(w), products = channels * taps, pixels = height * w->out_width;
  ptrdiff_t padded = (job->out_channels + lanes - 1) / lanes * lanes, all = w->out_height * w->out_width;
  for (ptrdiff_t o = 0; o < padded; o += output_block) {
    ptrdiff_t outputs = least(output_block, padded - o);
    best.block.transpose(gradient + o * all, all, least(outputs, job->out_channels - o), pixels, transposed, outputs);
    for (ptrdiff_t k = 0, c = 0, t = 0; k < products; k += panel) {
      slab_rows a = {.height = height, .width = w->out_width, .pitch = rows->row_pitch};
      ptrdiff_t there = least(panel, products - k);
      for (ptrdiff_t i = 0; i < panel; i++) {
        a.starts[i] = rows->data + c * rows->channel_stride + rows->taps[t];
        if (i < there - 1 && ++t == taps) {
          t = 0;
          c++;
        }
      }
      if (++t == taps) {
        t = 0;
        c++;
      }
      float *to = sums + k * padded + o, partial[panel * output_block];
      if (there == panel) {
        best.sum_gradients(&a, transposed, outputs, to, padded);
        continue;
      }
      memset(partial, 0, sizeof partial);
      for (ptrdiff_t i = 0; i < there; i++)
        memcpy(partial + i * output_block, to + i * padded, (size_t)outputs * sizeof(float));
      best.sum_gradients(&a, transposed, outputs, partial, output_block);
      for (ptrdiff_t i = 0; i < there; i++)
        memcpy(to + i * padded, partial + i * output_block, (size_t)outputs * sizeof(float));
    }
  }
}

void covpool_weight_gradient(const covpool_convolution *job, const float *gradient, ptrdiff_t first, ptrdiff_t last,
                             float *sums, float *scratch) {
  const covpool_window *w = &job->window;
  kernels best = best_kernels();
  ptrdiff_t pixels = w->out_height * w->out_width, channels = block_channels(w), step = rows_of_chunk(w);
  ptrdiff_t padded = (job->out_channels + lanes - 1) / lanes * lanes;
  ptrdiff_t *tap_offsets = (ptrdiff_t *)scratch;
  float *transposed = scratch + taps_size(w), *copy = transposed + step * w->out_width * output_block;
  for (ptrdiff_t image = first; image < last; image++) {
    for (ptrdiff_t y = 0; y < w->out_height; y += step) {
      ptrdiff_t end = least(y + step, w->out_height), from = image * pixels + y * w->out_width;
      for (ptrdiff_t c0 = 0; c0 < w->channels; c0 += channels) {
        ptrdiff_t c1 = least(c0 + channels, w->channels);
        slab rows = {.data = job->x + (image * w->channels + c0) * pixels + y * w->out_width,
                     .pitch = w->out_width,
                     .row_pitch = w->out_width,
                     .rows = w->out_height,
                     .channel_stride = pixels};
        if (!needs_no_copy(w)) rows = best.make_slab(job, from, image * pixels + end * w->out_width, c0, c1, copy);
        find_taps(w, &rows, tap_offsets);
        rows.taps = tap_offsets;
        add_weight_gradients(job, best, &rows, gradient + image * job->out_channels * pixels + y * w->out_width,
                             end - y, c1 - c0, transposed, sums + c0 * taps_of(w) * padded);
      }
    }
  }
}

void covpool_collect_weight_gradient(const covpool_convolution *job, const float *sums, ptrdiff_t parts,
                                     ptrdiff_t first, ptrdiff_t last, float *gradient) {
  ptrdiff_t products = job->window.channels * taps_of(&job->window), size = covpool_weight_sums_size(job);
  ptrdiff_t padded = (job->out_channels + lanes - 1) / lanes * lanes;
  for (ptrdiff_t o = first; o < last; o++) {
    for (ptrdiff_t k = 0; k < products; k++) {
      float sum = 0;
      for (ptrdiff_t part = 0; part < parts; part++) sum += sums[part * size + k * padded + o];
      gradient[o * products + k] = sum;
    }
  }
}
