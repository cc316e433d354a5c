// Copying and packing the columns of a convolution.

/// One row of the slab: input columns column, column + stride, ..., 0 where they are in the padding. May write up to 16
/// floats past the row, which the next row overwrites, and reads nothing from `limit` on.
static inline void copy_row(const float *row, ptrdiff_t width, ptrdiff_t stride, ptrdiff_t column, ptrdiff_t count,
                            const float *limit, float *out) {
  ptrdiff_t before = column < 0 ? -column : 0, inside = width > column ? width - column : 0;
  if (stride > 1) {
    before = (before + stride - 1) / stride;
    inside = (inside + stride - 1) / stride;
  }
  before = least(before, count);
  inside = least(inside, count);
  for (ptrdiff_t i = 0; i < before; i += lane_count) *(floats16 *)(out + i) = (floats16){0};
  ptrdiff_t i = before;
  if (stride == 1) {
    const float *from = row + column;
    for (; i < inside && from + i + lane_count <= limit; i += lane_count)
      *(floats16 *)(out + i) = *(const floats16 *)(from + i);
    for (; i < inside; i++) out[i] = from[i];
  } else {
    const float *from = row + column;
    if (stride == 2)
      for (; i < inside && from + 2 * (i + lane_count) <= limit; i += lane_count) {
        floats16 a = *(const floats16 *)(from + 2 * i), b = *(const floats16 *)(from + 2 * i + lane_count);
        *(floats16 *)(out + i) = EVEN(a, b);
      }
    for (; i < inside; i++) out[i] = from[i * stride];
  }
  for (i = inside > before ? inside : before; i < count; i += lane_count) *(floats16 *)(out + i) = (floats16){0};
}

static slab make_slab(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t c0, ptrdiff_t c1,
                      float *out) {
  const covpool_window *w = &job->window;
  ptrdiff_t s = w->stride, pixels = w->out_height * w->out_width;
  slab result = covpool_slab_shape(w, first, last);
  const float *limit = job->x + job->batch * w->channels * w->height * w->width;
  result.data = out;
  for (ptrdiff_t c = c0; c < c1; c++) {
    for (ptrdiff_t ry = 0; ry < least(s, w->kernel_height); ry++) {
      for (ptrdiff_t image = first / pixels; image * pixels < last; image++) {
        const float *plane = job->x + (image * w->channels + c) * w->height * w->width;
        ptrdiff_t from, to;
        covpool_rows_of_image(w, image, first, last, &from, &to);
        for (ptrdiff_t q = from; q < to + (w->kernel_height - 1) / s; q++) {
          ptrdiff_t y = q * s + ry - w->pad_top;
          if (y >= 0 && y < w->height)
            for (ptrdiff_t i = 0; i < w->width; i += lane_count)
              __builtin_prefetch(plane + (w->height + y) * w->width + i);  // of the next channel
          for (ptrdiff_t rx = 0; rx < least(s, w->kernel_width); rx++, out += result.pitch) {
            if (y < 0 || y >= w->height) {
              for (ptrdiff_t i = 0; i < result.pitch; i += lane_count) *(floats16 *)(out + i) = (floats16){0};
            } else {
              copy_row(plane + y * w->width, w->width, s, rx - w->pad_left, result.pitch, limit, out);
            }
          }
        }
      }
    }
  }
  return result;
}

/// Rows (channel, tap) of `width` pixels, 32 or 16. A run is copied 16 wide; what is too much is overwritten by the run
/// after it.
static void pack_tile(const covpool_window *w, const slab *from, ptrdiff_t channels, const run *runs, int count,
                      ptrdiff_t width, float *out) {
  int exact = 0;
  for (int i = 0; i < count; i++) exact |= runs[i].is_exact;
  ptrdiff_t taps = taps_of(w);
  for (ptrdiff_t c = 0; c < channels; c++) {
    const float *plane = from->data + c * from->channel_stride;
    if (exact) {
      for (ptrdiff_t t = 0; t < taps; t++, out += width)
        for (int i = 0; i < count; i++)
          copy_few(plane + from->taps[t] + runs[i].source, runs[i].count, out + runs[i].start);
    } else if (count == 2) {
      const float *one = plane + runs[0].source, *two = plane + runs[1].source;
      ptrdiff_t second = runs[1].start;
      for (ptrdiff_t t = 0; t < taps; t++, out += width) {
        __builtin_prefetch(one + from->taps[t] + tile_width, 0, 2);  // for the tile after this one
        __builtin_prefetch(two + from->taps[t] + tile_width, 0, 2);
        *(floats16 *)out = *(const floats16 *)(one + from->taps[t]);
        *(floats16 *)(out + second) = *(const floats16 *)(two + from->taps[t]);
      }
    } else {
      for (ptrdiff_t t = 0; t < taps; t++, out += width)
        for (int i = 0; i < count; i++)
          *(floats16 *)(out + runs[i].start) = *(const floats16 *)(plane + from->taps[t] + runs[i].source);
    }
  }
}

static void gather(const float *tensor, ptrdiff_t pixels, const ptrdiff_t *starts, const run *runs, int count,
                   ptrdiff_t rows, ptrdiff_t width, float *out) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int i = 0; i < count; i++)
      copy_few(tensor + starts[i] + r * pixels, runs[i].count, out + r * width + runs[i].start);
}

static void scatter(const float *from, ptrdiff_t width, ptrdiff_t pixels, const ptrdiff_t *starts, const run *runs,
                    int count, ptrdiff_t rows, float *tensor) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int i = 0; i < count; i++)
      copy_few(from + r * width + runs[i].start, runs[i].count, tensor + starts[i] + r * pixels);
}
