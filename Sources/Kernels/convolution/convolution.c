#include "convolution.h"

#include <string.h>

#include "convolution/columns.h"
#include "instruction_sets/kernel_table.h"

ptrdiff_t covpool_packed_weights_size(const covpool_window *w, ptrdiff_t out_channels) {
  return panels_of(out_channels) * panel_height * w->channels * taps_of(w);
}

void covpool_pack_weights(const covpool_window *w, ptrdiff_t out_channels, const float *from, ptrdiff_t out_stride,
                          ptrdiff_t in_stride, int flipped, const float *scale, ptrdiff_t first, ptrdiff_t last,
                          float *packed) {
  ptrdiff_t taps = taps_of(w), panels = panels_of(out_channels);
  for (ptrdiff_t c0 = 0; c0 < w->channels; c0 += channels_of_block(w)) {
    ptrdiff_t c1 = least(c0 + channels_of_block(w), w->channels);
    float *to = packed + (c0 * panels + first * (c1 - c0)) * taps * panel_height;
    for (ptrdiff_t o0 = first * panel_height; o0 < last * panel_height; o0 += panel_height) {
      for (ptrdiff_t c = c0; c < c1; c++) {
        for (ptrdiff_t t = 0; t < taps; t++) {
          const float *element = from + c * in_stride + (flipped ? taps - 1 - t : t);
          for (ptrdiff_t o = o0; o < o0 + panel_height; o++)
            *to++ = o < out_channels ? element[o * out_stride] * (scale ? scale[o] : 1) : 0;
        }
      }
    }
  }
}

ptrdiff_t covpool_convolution_scratch(const covpool_convolution *job, ptrdiff_t tiles) {
  const covpool_window *w = &job->window;
  ptrdiff_t panel_size = channels_of_block(w) * taps_of(w) * tile_width + lane_count + taps_size(w);
  if (needs_no_copy(w)) return panel_size;
  // A piece may begin and end inside a row and touch one more image than it fills.
  ptrdiff_t pixels = w->out_height * w->out_width, s = w->stride;
  ptrdiff_t rows = tiles * tile_width / w->out_width + 2, images = tiles * tile_width / pixels + 2;
  rows += images * ((w->kernel_height - 1) / s + 1);
  ptrdiff_t pitch = (w->out_width + (w->kernel_width - 1) / s) * least(s, w->kernel_width);
  return panel_size + rows * pitch * least(s, w->kernel_height) * channels_of_block(w) + lane_count;
}

// MARK: Tiles

void covpool_convolve(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t first_panel,
                      ptrdiff_t last_panel, float *scratch) {
  const covpool_window *w = &job->window;
  const kernel_table *kernels = covpool_kernels();
  ptrdiff_t pixels = w->out_height * w->out_width, taps = taps_of(w), outputs = job->out_channels;
  ptrdiff_t all = job->batch * pixels, from = first * tile_width, to = least(last * tile_width, all);
  ptrdiff_t channels = channels_of_block(w), panels = panels_of(outputs);
  ptrdiff_t *tap_offsets = (ptrdiff_t *)scratch;
  float *columns = scratch + taps_size(w), *copy = columns + channels * taps * tile_width + lane_count;
  for (ptrdiff_t c0 = 0; c0 < w->channels; c0 += channels) {
    ptrdiff_t c1 = least(c0 + channels, w->channels), products = (c1 - c0) * taps;
    const float *weights = job->weights + c0 * taps * panels * panel_height;
    slab rows = {.data = job->x + c0 * pixels, .channel_stride = pixels};
    if (!needs_no_copy(w)) rows = kernels->convolution.make_slab(job, from, to, c0, c1, copy);
    covpool_find_taps(w, &rows, tap_offsets);
    rows.taps = tap_offsets;
    int is_last = c1 == w->channels;
    for (ptrdiff_t p = from; p < to; p += tile_width) {
      ptrdiff_t count = least(tile_width, to - p), image = p / pixels,
                width = count > lane_count ? tile_width : lane_count;
      run runs[tile_width];
      int found = covpool_find_runs(job, &rows, from, to, p, count, runs);
      kernels->convolution.pack_tile(w, &rows, c1 - c0, runs, found, width, columns);
      ptrdiff_t starts[tile_width];
      for (int i = 0; i < found; i++) {
        ptrdiff_t pixel = p + runs[i].start;
        starts[i] = pixel / pixels * outputs * pixels + pixel % pixels;
      }
      // A whole tile inside one image is stored where it belongs; of others a copy is.
      int is_whole = count == tile_width && (p + tile_width - 1) / pixels == image;
      ptrdiff_t step = width == lane_count ? 2 : 1;
      // Where there is no copy, the next tile's columns are prefetched, a few with every panel.
      ptrdiff_t fetched = 0, next = p + tile_width;
      const float *later =
          next < to && !rows.is_copy ? rows.data + next / pixels * w->channels * pixels + next % pixels : 0;
      for (ptrdiff_t o = first_panel; o < last_panel; o += step) {
        int group = (int)least(step, last_panel - o);
        ptrdiff_t channel = o * panel_height, there = least(group * panel_height, outputs - channel);
        const float *bias = is_last && job->bias ? job->bias + channel : 0;
        const float *a = weights + o * products * panel_height;
        const float *scale = is_last && job->scale ? job->scale + channel : 0;
        float biases[2 * panel_height] = {0}, scales[2 * panel_height] = {0};
        if (bias && there < group * panel_height) bias = memcpy(biases, bias, (size_t)there * sizeof(float));
        if (scale && there < group * panel_height) scale = memcpy(scales, scale, (size_t)there * sizeof(float));
        gemm_output place = {.scale = scale,
                             .bias = bias,
                             .activation = is_last ? job->activation : COVPOOL_IDENTITY,
                             .accumulates = c0 > 0};
        float y[panel_height * tile_width], residual[panel_height * tile_width];
        if (is_whole && there == panel_height) {
          ptrdiff_t start = starts[0] + channel * pixels;
          place.y = job->y + start;
          place.residual = is_last && job->residual ? job->residual + start : 0;
          place.stride = pixels;
          if (o + 1 < last_panel) {
            place.prefetch[0] =
                (prefetch_rows){.start = place.y + panel_height * pixels, .stride = pixels, .rows = panel_height};
            if (place.residual)
              place.prefetch[1] = (prefetch_rows){
                  .start = place.residual + panel_height * pixels, .stride = pixels, .rows = panel_height};
          }
        } else {
          place.y = y;
          place.stride = width;
          if (c0 > 0)
            kernels->convolution.gather(job->y + channel * pixels, pixels, starts, runs, found, there, width, y);
          if (is_last && job->residual) {
            kernels->convolution.gather(job->residual + channel * pixels, pixels, starts, runs, found, there, width,
                                        residual);
            place.residual = residual;
          }
        }
        if (later) {
          ptrdiff_t until = products * (o + 1 - first_panel) / (last_panel - first_panel);
          place.prefetch[2] =
              (prefetch_rows){.start = later + fetched * pixels, .stride = pixels, .rows = until - fetched};
          fetched = until;
        }
        if (width == tile_width)
          kernels->gemm.multiply(products, a, columns, &place);
        else
          kernels->gemm.multiply_narrow(products, group, a, products * panel_height, columns, &place);
        if (place.y == y)
          kernels->convolution.scatter(y, width, pixels, starts, runs, found, there, job->y + channel * pixels);
      }
    }
  }
}
