#include "convolution/columns.h"

void covpool_find_taps(const covpool_window *w, const slab *shape, ptrdiff_t *taps) {
  for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++)
    for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++)
      *taps++ = ((ky % w->stride) * shape->rows + ky / w->stride) * shape->row_pitch + (kx % w->stride) * shape->pitch +
                kx / w->stride;
}

void covpool_rows_of_image(const covpool_window *w, ptrdiff_t image, ptrdiff_t first, ptrdiff_t last, ptrdiff_t *from,
                           ptrdiff_t *to) {
  ptrdiff_t pixels = w->out_height * w->out_width, start = image * pixels;
  *from = first > start ? (first - start) / w->out_width : 0;
  *to = last < start + pixels ? (last - start + w->out_width - 1) / w->out_width : w->out_height;
}

slab covpool_slab_shape(const covpool_window *w, ptrdiff_t first, ptrdiff_t last) {
  ptrdiff_t s = w->stride, pixels = w->out_height * w->out_width;
  slab result = {.pitch = w->out_width + (w->kernel_width - 1) / s, .is_copy = 1};
  result.row_pitch = result.pitch * least(s, w->kernel_width);
  for (ptrdiff_t image = first / pixels; image * pixels < last; image++) {
    ptrdiff_t from, to;
    covpool_rows_of_image(w, image, first, last, &from, &to);
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
    ptrdiff_t length = least(least(width - x, count - i), lane_count);
    run next = {.start = (int)i, .count = length};
    if (from->is_copy) {
      for (; image < at; image++) {
        ptrdiff_t top, bottom;
        covpool_rows_of_image(w, image, first, last, &top, &bottom);
        rows_before += bottom - top + (w->kernel_height - 1) / w->stride;
      }
      ptrdiff_t top, bottom;
      covpool_rows_of_image(w, at, first, last, &top, &bottom);
      next.source = (rows_before + pixel / width - top) * from->row_pitch + x;
    } else {
      next.source = at * w->channels * pixels + pixel;
      // Reading 16 where there are fewer must not leave the tensor, not even from its last channel.
      next.is_exact = ((at + 1) * w->channels - 1) * pixels + pixel + lane_count > job->batch * w->channels * pixels;
    }
    runs[found++] = next;
    i += length;
  }
  return found;
}
