#include "winograd.h"

#include <string.h>

#include "convolution_kernels.h"

enum { points = COVPOOL_WINOGRAD_POINTS, side = 4, k_block = 256 };

int covpool_winograd_applies(const covpool_window *w) {
  return w->kernel_height == 3 && w->kernel_width == 3 && w->stride == 1 && w->pad_top <= 2 && w->pad_left <= 2;
}

static ptrdiff_t tiles_down(const covpool_window *w) { return (w->out_height + side - 1) / side; }
static ptrdiff_t tiles_across(const covpool_window *w) { return (w->out_width + side - 1) / side; }

ptrdiff_t covpool_winograd_tiles(const covpool_window *w) { return tiles_down(w) * tiles_across(w); }

static ptrdiff_t round_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b * b; }

ptrdiff_t covpool_winograd_weights_size(const covpool_window *w, ptrdiff_t out_channels) {
  return points * round_up(out_channels, panel) * w->channels;
}

// From one point to the next: a cache line more than the numbers take, because the transforms visit all points in turn and
// distances of powers of two would put them into the same few places of the cache. A vector at the last tile may end there.
static ptrdiff_t inputs_stride(const covpool_window *w, ptrdiff_t count) {
  return round_up(count, tile) * w->channels + lanes;
}

static ptrdiff_t sums_stride(ptrdiff_t out_channels, ptrdiff_t count) {
  return round_up(out_channels, panel) * round_up(count, tile) + lanes;
}

ptrdiff_t covpool_winograd_inputs_size(const covpool_window *w, ptrdiff_t count) {
  return points * inputs_stride(w, count);
}

ptrdiff_t covpool_winograd_sums_size(ptrdiff_t out_channels, ptrdiff_t count) {
  return points * sums_stride(out_channels, count);
}

/// G g for a column or row of three weights.
static void transform_weights(const double *g, ptrdiff_t stride, double *u, ptrdiff_t u_stride) {
  double a = g[0], b = g[stride], c = g[2 * stride];
  u[0] = a / 4;
  u[u_stride] = -(a + b + c) / 6;
  u[2 * u_stride] = -(a - b + c) / 6;
  u[3 * u_stride] = a / 24 + b / 12 + c / 6;
  u[4 * u_stride] = a / 24 - b / 12 + c / 6;
  u[5 * u_stride] = c;
}

// [point][panel][channel][8].
void covpool_winograd_weights(const covpool_window *w, ptrdiff_t out_channels, const float *from, ptrdiff_t out_stride,
                              ptrdiff_t in_stride, int flipped, ptrdiff_t first, ptrdiff_t last, float *transformed) {
  ptrdiff_t panels = round_up(out_channels, panel) / panel;
  for (ptrdiff_t p = first; p < last; p++) {
    for (ptrdiff_t c = 0; c < w->channels; c++) {
      for (ptrdiff_t i = 0; i < panel; i++) {
        double g[9] = {0}, half[18], u[points];
        ptrdiff_t o = p * panel + i;
        if (o < out_channels)
          for (int t = 0; t < 9; t++) g[t] = from[o * out_stride + c * in_stride + (flipped ? 8 - t : t)];
        for (int x = 0; x < 3; x++) transform_weights(g + x, 3, half + x, 3);
        for (int y = 0; y < 6; y++) transform_weights(half + 3 * y, 1, u + 6 * y, 1);
        for (int point = 0; point < points; point++)
          transformed[((point * panels + p) * w->channels + c) * panel + i] = (float)u[point];
      }
    }
  }
}

// Up to 16 neighbouring tiles of one row of tiles, inside one panel of 32.
typedef struct {
  ptrdiff_t image, y, x, count, position;
} tile_run;

/// The run that begins at tile `position` of tiles [first, first + count).
static tile_run find_run(const covpool_window *w, ptrdiff_t first, ptrdiff_t count, ptrdiff_t position) {
  ptrdiff_t across = tiles_across(w), all = covpool_winograd_tiles(w), number = first + position;
  ptrdiff_t inside = number % all, column = inside % across;
  ptrdiff_t length = least(least(across - column, lanes), least(count - position, tile - position % tile));
  return (tile_run){.image = number / all,
                    .y = inside / across * side,
                    .x = column * side,
                    .count = length,
                    .position = position};
}

// The transforms for each class of processor.
#if defined(__x86_64__)
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define NAMED(kernel) kernel##_avx512
#include "winograd_tile.h"
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define NAMED(kernel) kernel##_avx2
#include "winograd_tile.h"
#endif
#define TARGET
#define NAMED(kernel) kernel##_baseline
#include "winograd_tile.h"

typedef struct {
  void (*input_run)(const covpool_window *w, const float *plane, const float *limit, tile_run run, ptrdiff_t stride,
                    float *out);
  void (*output_run)(const covpool_convolution *job, tile_run run, ptrdiff_t channel, const float *sums,
                     ptrdiff_t stride);
} transforms;

static transforms best_transforms(void) {
#if defined(__x86_64__)
  if (processor_level() >= 2) return (transforms){input_run_avx512, output_run_avx512};
  if (processor_level() == 1) return (transforms){input_run_avx2, output_run_avx2};
#endif
  return (transforms){input_run_baseline, output_run_baseline};
}

// [point][tile panel][channel][32].
void covpool_winograd_inputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                             ptrdiff_t last_channel, float *inputs) {
  const covpool_window *w = &job->window;
  transforms best = best_transforms();
  ptrdiff_t size = w->height * w->width, stride = inputs_stride(w, count);
  const float *limit = job->x + job->batch * w->channels * size;
  for (ptrdiff_t position = 0; position < count;) {
    tile_run run = find_run(w, first, count, position);
    for (ptrdiff_t c = first_channel; c < last_channel; c++)
      best.input_run(w, job->x + (run.image * w->channels + c) * size, limit, run, stride,
                     inputs + (position / tile * w->channels + c) * tile + position % tile);
    position += run.count;
  }
}

// Sums are [point][channel][tile].
void covpool_winograd_multiply(const covpool_convolution *job, ptrdiff_t count, ptrdiff_t point, ptrdiff_t first_panel,
                               ptrdiff_t last_panel, const float *inputs, float *sums) {
  micro_kernel *multiply = covpool_micro_kernel();
  ptrdiff_t channels = job->window.channels, padded = round_up(count, tile);
  ptrdiff_t outputs = round_up(job->out_channels, panel);
  const float *b = inputs + point * inputs_stride(&job->window, count), *a = job->weights + point * outputs * channels;
  float *y = sums + point * sums_stride(job->out_channels, count);
  for (ptrdiff_t k = 0; k < channels; k += k_block) {
    ptrdiff_t length = least(k_block, channels - k);
    for (ptrdiff_t t = 0; t < padded; t += tile) {
      for (ptrdiff_t p = first_panel; p < last_panel; p++) {
        target to = {.y = y + p * panel * padded + t, .stride = padded, .accumulates = k > 0};
        multiply(length, a + (p * channels + k) * panel, b + t * channels + k * tile, &to);
      }
    }
  }
}

void covpool_winograd_outputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count,
                              ptrdiff_t first_channel, ptrdiff_t last_channel, const float *sums) {
  transforms best = best_transforms();
  ptrdiff_t padded = round_up(count, tile), stride = sums_stride(job->out_channels, count);
  for (ptrdiff_t c = first_channel; c < last_channel; c++) {
    for (ptrdiff_t position = 0; position < count;) {
      tile_run run = find_run(&job->window, first, count, position);
      best.output_run(job, run, c, sums + c * padded + position, stride);
      position += run.count;
    }
  }
}
