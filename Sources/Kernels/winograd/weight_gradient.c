// The gradient of a convolution's weights by Winograd's method.

#include "instruction_sets/kernel_table.h"
#include "winograd/tiles.h"

enum { block_channels = COVPOOL_WINOGRAD_BLOCK };

// Columns are [point][panel of 32 channels][tile][32], the last panel [tile][16] if that is enough, rows [point][panel
// of 8 outputs][tile][8], sums [point][output] [channel], numbers of channels rounded up.
static ptrdiff_t columns_stride(const covpool_window *w, ptrdiff_t count) {
  return round_up(w->channels, tile_width) * count + lane_count;
}

static ptrdiff_t rows_stride(ptrdiff_t out_channels, ptrdiff_t count) {
  return round_up(out_channels, block_channels) * count + lane_count;
}

static ptrdiff_t gradient_sums_stride(const covpool_window *w, ptrdiff_t out_channels) {
  return round_up(out_channels, panel_height) * round_up(w->channels, tile_width) + lane_count;
}

ptrdiff_t covpool_winograd_columns_size(const covpool_window *w, ptrdiff_t count) {
  return points * columns_stride(w, count);
}

ptrdiff_t covpool_winograd_rows_size(ptrdiff_t out_channels, ptrdiff_t count) {
  return points * rows_stride(out_channels, count);
}

ptrdiff_t covpool_winograd_gradient_sums_size(const covpool_window *w, ptrdiff_t out_channels) {
  return points * gradient_sums_stride(w, out_channels);
}

// Points of a block's channels before they are turned; a cache line more from point to point, as above.
enum { turned_stride = block_channels * lane_count + lane_count };

void covpool_winograd_columns(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t block,
                              float *columns) {
  const covpool_window *w = &job->window;
  const winograd_kernels *kernels = &covpool_kernels()->winograd;
  float points_of[points * turned_stride] __attribute__((aligned(64))) = {0};
  ptrdiff_t channel = block * block_channels, there = least(block_channels, w->channels - channel);
  ptrdiff_t begin = channel / tile_width * tile_width,
            width = w->channels - begin > lane_count ? tile_width : lane_count;
  for (ptrdiff_t position = 0; position < count; position += lane_count) {
    tile_group group = covpool_find_group(w, first + position, count - position);
    covpool_find_pieces(&group, w->channels, w->height, w->width, w->pad_top, w->pad_left, 6);
    for (ptrdiff_t c = 0; c < there; c++)
      kernels->inputs(job, &group, channel + c, turned_stride, points_of + c * lane_count);
    for (int p = 0; p < points; p++)
      kernels->transpose(points_of + p * turned_stride, least(lane_count, count - position), width, panel_height,
                         columns + p * columns_stride(w, count) + begin * count + channel % tile_width +
                             position * width);
  }
}

void covpool_winograd_rows(const covpool_convolution *job, const float *gradient, ptrdiff_t first, ptrdiff_t count,
                           ptrdiff_t block, float *rows) {
  const covpool_window *w = &job->window;
  const winograd_kernels *kernels = &covpool_kernels()->winograd;
  float points_of[points * turned_stride] __attribute__((aligned(64))) = {0};
  ptrdiff_t channel = block * block_channels, there = least(block_channels, job->out_channels - channel);
  for (ptrdiff_t position = 0; position < count; position += lane_count) {
    tile_group group = covpool_find_group(w, first + position, count - position);
    covpool_find_pieces(&group, job->out_channels, w->out_height, w->out_width, 0, 0, side);
    for (ptrdiff_t o = 0; o < there; o++)
      kernels->gradients(job, gradient, &group, channel + o, turned_stride, points_of + o * lane_count);
    for (int p = 0; p < points; p++)
      kernels->transpose(points_of + p * turned_stride, least(lane_count, count - position), panel_height,
                         count * panel_height,
                         rows + p * rows_stride(job->out_channels, count) + channel * count + position * panel_height);
  }
}

void covpool_winograd_sum(const covpool_convolution *job, ptrdiff_t count, ptrdiff_t point, int accumulates,
                          const float *columns, const float *rows, float *sums) {
  const covpool_window *w = &job->window;
  const gemm_kernels *gemm = &covpool_kernels()->gemm;
  ptrdiff_t outputs = round_up(job->out_channels, panel_height), channels = round_up(w->channels, tile_width);
  columns += point * columns_stride(w, count);
  rows += point * rows_stride(job->out_channels, count);
  sums += point * gradient_sums_stride(w, job->out_channels);
  for (ptrdiff_t c = 0; c < channels; c += tile_width) {
    int is_narrow = w->channels - c <= lane_count;
    for (ptrdiff_t o = 0; o < outputs; o += is_narrow ? 2 * panel_height : panel_height) {
      gemm_output to = {.y = sums + o * channels + c, .stride = channels, .accumulates = accumulates};
      if (is_narrow)
        gemm->multiply_narrow(count, (int)least(2, (outputs - o) / panel_height), rows + o * count,
                              count * panel_height, columns + c * count, &to);
      else
        gemm->multiply(count, rows + o * count, columns + c * count, &to);
    }
  }
}

void covpool_winograd_weight_gradient(const covpool_convolution *job, const float *sums, ptrdiff_t first,
                                      ptrdiff_t last, float *gradient) {
  const covpool_window *w = &job->window;
  const winograd_kernels *kernels = &covpool_kernels()->winograd;
  ptrdiff_t channels = round_up(w->channels, tile_width), stride = gradient_sums_stride(w, job->out_channels);
  for (ptrdiff_t o = first; o < last; o++)
    for (ptrdiff_t c = 0; c < w->channels; c += lane_count)
      kernels->collect(sums + o * channels + c, stride, least(lane_count, w->channels - c),
                       gradient + (o * w->channels + c) * 9);
}
