#include "winograd.h"

#include "instruction_sets/kernel_table.h"
#include "winograd/tiles.h"

/// Channels of one product.
enum { channels_at_once = 512 };

int covpool_winograd_applies(const covpool_window *w) {
  return w->kernel_height == 3 && w->kernel_width == 3 && w->stride == 1 && w->pad_top <= 2 && w->pad_left <= 2;
}

ptrdiff_t covpool_winograd_tiles(const covpool_window *w) { return tiles_down(w) * tiles_across(w); }

// From one point to the next: a cache line more than the numbers take, because the transforms visit all points in turn
// and distances of powers of two would put them into the same few places of the cache. A vector at the last tile may
// end there.
static ptrdiff_t weights_stride(const covpool_window *w, ptrdiff_t out_channels) {
  return round_up(out_channels, panel_height) * w->channels + lane_count;
}

static ptrdiff_t inputs_stride(const covpool_window *w, ptrdiff_t count) {
  return round_up(count, lane_count) * w->channels + lane_count;
}

static ptrdiff_t sums_stride(ptrdiff_t out_channels, ptrdiff_t count) {
  return round_up(out_channels, panel_height) * round_up(count, lane_count) + lane_count;
}

ptrdiff_t covpool_winograd_weights_size(const covpool_window *w, ptrdiff_t out_channels) {
  return points * weights_stride(w, out_channels);
}

ptrdiff_t covpool_winograd_inputs_size(const covpool_window *w, ptrdiff_t count) {
  return points * inputs_stride(w, count);
}

ptrdiff_t covpool_winograd_sums_size(ptrdiff_t out_channels, ptrdiff_t count) {
  return points * sums_stride(out_channels, count);
}

// [point][panel][channel][8].
void covpool_winograd_weights(const covpool_window *w, ptrdiff_t out_channels, const float *from, ptrdiff_t out_stride,
                              ptrdiff_t in_stride, int flipped, const float *scale, ptrdiff_t first, ptrdiff_t last,
                              float *transformed) {
  const winograd_kernels *kernels = &covpool_kernels()->winograd;
  for (ptrdiff_t p = first; p < last; p++)
    for (ptrdiff_t c = 0; c < w->channels; c++)
      kernels->weights(from + p * panel_height * out_stride + c * in_stride, out_stride,
                       least(panel_height, out_channels - p * panel_height), flipped,
                       scale ? scale + p * panel_height : 0, weights_stride(w, out_channels),
                       transformed + (p * w->channels + c) * panel_height);
}

// [point][tile panel][channel][32], the last panel [channel][16] if that is enough. Points in which not all tiles have
// a part have fewer columns; what is in those beyond, up to 16, does not matter.
void covpool_winograd_inputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                             ptrdiff_t last_channel, float *inputs) {
  const covpool_window *w = &job->window;
  const winograd_kernels *kernels = &covpool_kernels()->winograd;
  ptrdiff_t stride = inputs_stride(w, count);
  for (ptrdiff_t position = 0; position < count; position += lane_count) {
    tile_group group = covpool_find_group(w, first + position, count - position);
    covpool_find_pieces(&group, w->channels, w->height, w->width, w->pad_top, w->pad_left, 6);
    covpool_find_placements(w, first, count, position, &group);
    for (ptrdiff_t c = first_channel; c < last_channel; c++) kernels->inputs(job, &group, c, stride, inputs);
  }
}

// Sums are [point][channel][tile].
void covpool_winograd_multiply(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t point,
                               ptrdiff_t first_panel, ptrdiff_t last_panel, const float *inputs, float *sums) {
  const gemm_kernels *gemm = &covpool_kernels()->gemm;
  ptrdiff_t channels = job->window.channels, outputs = job->out_channels, padded = round_up(count, lane_count);
  ptrdiff_t members = covpool_members_of(&job->window, first, count, kind_of(point / 6, point % 6));
  const float *b = inputs + point * inputs_stride(&job->window, count),
              *a = job->weights + point * weights_stride(&job->window, outputs);
  float *y = sums + point * sums_stride(outputs, count);
  for (ptrdiff_t k = 0; k < channels; k += channels_at_once) {
    ptrdiff_t length = least(channels_at_once, channels - k);
    // A panel of weights is loaded once for all tiles.
    for (ptrdiff_t p = first_panel; p < last_panel; p++) {
      const float *left = a + (p * channels + k) * panel_height;
      for (ptrdiff_t t = 0; t < members; t += tile_width) {
        gemm_output to = {.y = y + p * panel_height * padded + t, .stride = padded, .accumulates = k > 0};
        const float *right = b + t * channels;
        if (members - t > lane_count) {
          gemm->multiply(length, left, right + k * tile_width, &to);
        } else if ((p - first_panel) % 2 == 0) {
          // The few tiles of one image use weights up as quickly as memory yields them: prefetch the next two panels',
          // or the next point's.
          if (members <= lane_count)
            to.prefetch[0] = (prefetch_rows){.start = p + 2 < last_panel ? left + 2 * channels * panel_height
                                                                         : a + weights_stride(&job->window, outputs),
                                             .stride = lane_count,
                                             .rows = length};
          gemm->multiply_narrow(length, (int)least(2, last_panel - p), left, channels * panel_height,
                                right + k * lane_count, &to);
        }
      }
    }
  }
}

void covpool_winograd_outputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                              ptrdiff_t last_channel, const float *sums) {
  // A channel's sums lie next to each other: the channels are the outer loop, for a few groups at a time.
  enum { most = 8 };
  const winograd_kernels *kernels = &covpool_kernels()->winograd;
  ptrdiff_t padded = round_up(count, lane_count), stride = sums_stride(job->out_channels, count);
  for (ptrdiff_t position = 0; position < count; position += most * lane_count) {
    tile_group groups[most];
    int found = 0;
    for (; found < most && position + found * lane_count < count; found++) {
      ptrdiff_t begin = position + found * lane_count;
      groups[found] = covpool_find_group(&job->window, first + begin, count - begin);
      covpool_find_placements(&job->window, first, count, begin, &groups[found]);
    }
    for (ptrdiff_t c = first_channel; c < last_channel; c++)
      for (int g = 0; g < found; g++) kernels->outputs(job, &groups[g], c, sums + c * padded, stride);
  }
}
