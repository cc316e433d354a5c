// The gradient of a convolution's weights, in single precision.

#include <string.h>

#include "convolution/columns.h"
#include "instruction_sets/kernel_table.h"

/// Pixels whose gradients are summed at a time: 24 KB of them for 32 outputs stay in the first-level cache.
enum { chunk_pixels = 192, output_block = 32 };

static ptrdiff_t rows_of_chunk(const covpool_window *w) {
  return w->out_width < chunk_pixels ? chunk_pixels / w->out_width : 1;
}

ptrdiff_t covpool_weight_sums_size(const covpool_convolution *job) {
  ptrdiff_t outputs = (job->out_channels + lane_count - 1) / lane_count * lane_count;
  return job->window.channels * taps_of(&job->window) * outputs;
}

ptrdiff_t covpool_weight_gradient_scratch(const covpool_convolution *job) {
  const covpool_window *w = &job->window;
  ptrdiff_t size = rows_of_chunk(w) * w->out_width * output_block + taps_size(w);
  if (needs_no_copy(w)) return size;
  ptrdiff_t s = w->stride, rows = rows_of_chunk(w) + (w->kernel_height - 1) / s;
  ptrdiff_t pitch = (w->out_width + (w->kernel_width - 1) / s) * least(s, w->kernel_width);
  return size + rows * pitch * least(s, w->kernel_height) * channels_of_block(w) + lane_count;
}

/// One block of input channels and one run of output rows of an image.
static void add_weight_gradients(const covpool_convolution *job, const kernel_table *kernels, const slab *rows,
                                 const float *gradient, ptrdiff_t height, ptrdiff_t channels, float *transposed,
                                 float *sums) {
  const covpool_window *w = &job->window;
  ptrdiff_t taps = taps_of(w), products = channels * taps, pixels = height * w->out_width;
  ptrdiff_t padded = (job->out_channels + lane_count - 1) / lane_count * lane_count, all = w->out_height * w->out_width;
  for (ptrdiff_t o = 0; o < padded; o += output_block) {
    ptrdiff_t outputs = least(output_block, padded - o);
    kernels->gemm.transpose(gradient + o * all, all, least(outputs, job->out_channels - o), pixels, transposed,
                            outputs);
    for (ptrdiff_t k = 0, c = 0, t = 0; k < products; k += panel_height) {
      slab_rows a = {.height = height, .width = w->out_width, .pitch = rows->row_pitch};
      ptrdiff_t there = least(panel_height, products - k);
      for (ptrdiff_t i = 0; i < panel_height; i++) {
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
      float *to = sums + k * padded + o, partial[panel_height * output_block];
      if (there == panel_height) {
        kernels->convolution.sum_gradients(&a, transposed, outputs, to, padded);
        continue;
      }
      memset(partial, 0, sizeof partial);
      for (ptrdiff_t i = 0; i < there; i++)
        memcpy(partial + i * output_block, to + i * padded, (size_t)outputs * sizeof(float));
      kernels->convolution.sum_gradients(&a, transposed, outputs, partial, output_block);
      for (ptrdiff_t i = 0; i < there; i++)
        memcpy(to + i * padded, partial + i * output_block, (size_t)outputs * sizeof(float));
    }
  }
}

void covpool_weight_gradient(const covpool_convolution *job, const float *gradient, ptrdiff_t first, ptrdiff_t last,
                             float *sums, float *scratch) {
  const covpool_window *w = &job->window;
  const kernel_table *kernels = covpool_kernels();
  ptrdiff_t pixels = w->out_height * w->out_width, channels = channels_of_block(w), step = rows_of_chunk(w);
  ptrdiff_t padded = (job->out_channels + lane_count - 1) / lane_count * lane_count;
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
        if (!needs_no_copy(w))
          rows = kernels->convolution.make_slab(job, from, image * pixels + end * w->out_width, c0, c1, copy);
        covpool_find_taps(w, &rows, tap_offsets);
        rows.taps = tap_offsets;
        add_weight_gradients(job, kernels, &rows, gradient + image * job->out_channels * pixels + y * w->out_width,
                             end - y, c1 - c0, transposed, sums + c0 * taps_of(w) * padded);
      }
    }
  }
}

void covpool_collect_weight_gradient(const covpool_convolution *job, const float *sums, ptrdiff_t parts,
                                     ptrdiff_t first, ptrdiff_t last, float *gradient) {
  ptrdiff_t products = job->window.channels * taps_of(&job->window), size = covpool_weight_sums_size(job);
  ptrdiff_t padded = (job->out_channels + lane_count - 1) / lane_count * lane_count;
  for (ptrdiff_t o = first; o < last; o++) {
    for (ptrdiff_t k = 0; k < products; k++) {
      float sum = 0;
      for (ptrdiff_t part = 0; part < parts; part++) sum += sums[part * size + k * padded + o];
      gradient[o * products + k] = sum;
    }
  }
}
