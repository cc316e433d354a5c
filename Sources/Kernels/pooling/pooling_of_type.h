// Kernels that pool planes of one scalar type T.

#include "convolution/window_range.h"

// The larger of two, NaN if one of them is.
static inline T NAME(larger)(T a, T b) { return b > a || b != b ? b : a; }

static void NAME(max_pool)(const covpool_window *w, const T *x, T *y, T *scratch) {
  for (ptrdiff_t c = 0; c < w->channels; c++) {
    const T *plane = x + c * w->height * w->width;
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++, y += w->out_width) {
      ptrdiff_t top = oy * w->stride - w->pad_top, bottom = top + w->kernel_height;
      if (top < 0) top = 0;
      if (bottom > w->height) bottom = w->height;
      // Rows first, into scratch: that pass is contiguous.
      memcpy(scratch, plane + top * w->width, (size_t)w->width * sizeof(T));
      for (ptrdiff_t iy = top + 1; iy < bottom; iy++) {
        const T *row = plane + iy * w->width;
        for (ptrdiff_t i = 0; i < w->width; i++) scratch[i] = NAME(larger)(scratch[i], row[i]);
      }
      for (ptrdiff_t ox = 0; ox < w->out_width; ox++) y[ox] = -(T)INFINITY;
      for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++) {
        ptrdiff_t from, to;
        inside(w->width, w->stride, kx - w->pad_left, w->out_width, &from, &to);
        const T *row = scratch + kx - w->pad_left;
        // A stride that the compiler knows makes vectors of this.
        if (w->stride == 2)
          for (ptrdiff_t ox = from; ox < to; ox++) y[ox] = NAME(larger)(y[ox], row[2 * ox]);
        else
          for (ptrdiff_t ox = from; ox < to; ox++) y[ox] = NAME(larger)(y[ox], row[ox * w->stride]);
      }
    }
  }
}

// For windows from ..< to of one row, whether the pixel under one tap is larger than what was found before.
INLINE void NAME(find_larger)(const T *plane, ptrdiff_t offset, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t from,
                              ptrdiff_t to, T *restrict largest, int32_t *restrict place) {
  for (ptrdiff_t ox = from; ox < to; ox++) {
    T v = plane[offset + ox * stride], before = largest[ox - first];
    int wins = before == before && !(v <= before);  // NaN wins, and stays
    largest[ox - first] = wins ? v : before;
    place[ox - first] = wins ? (int32_t)(offset + ox * stride) : place[ox - first];
  }
}

static void NAME(max_pool_gradient)(const covpool_window *w, const T *x, const T *gradient, T *x_gradient) {
  memset(x_gradient, 0, (size_t)(w->channels * w->height * w->width) * sizeof(T));
  for (ptrdiff_t c = 0; c < w->channels; c++) {
    const T *plane = x + c * w->height * w->width;
    T *out = x_gradient + c * w->height * w->width;
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++) {
      ptrdiff_t top = oy * w->stride - w->pad_top, bottom = top + w->kernel_height;
      if (top < 0) top = 0;
      if (bottom > w->height) bottom = w->height;
      // Where the first largest pixels of up to 64 windows are, found for all of them at once.
      for (ptrdiff_t first = 0; first < w->out_width; first += 64) {
        ptrdiff_t last = first + 64 < w->out_width ? first + 64 : w->out_width;
        T largest[64];
        int32_t place[64];
        for (ptrdiff_t ox = first; ox < last; ox++) {
          ptrdiff_t left = ox * w->stride - w->pad_left;
          largest[ox - first] = -(T)INFINITY;
          place[ox - first] = (int32_t)(top * w->width + (left > 0 ? left : 0));
        }
        for (ptrdiff_t iy = top; iy < bottom; iy++) {
          for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++) {
            ptrdiff_t from, to, offset = iy * w->width + kx - w->pad_left;
            inside(w->width, w->stride, kx - w->pad_left, w->out_width, &from, &to);
            if (from < first) from = first;
            if (to > last) to = last;
            // A stride that the compiler knows makes vectors of this.
            if (w->stride == 2)
              NAME(find_larger)(plane, offset, 2, first, from, to, largest, place);
            else
              NAME(find_larger)(plane, offset, w->stride, first, from, to, largest, place);
          }
        }
        for (ptrdiff_t ox = first; ox < last; ox++) out[place[ox - first]] += *gradient++;
      }
    }
  }
}

static void NAME(average_pool)(const covpool_window *w, const T *x, T *y) {
  for (ptrdiff_t c = 0; c < w->channels; c++) {
    const T *plane = x + c * w->height * w->width;
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++) {
      ptrdiff_t top = oy * w->stride - w->pad_top, bottom = top + w->kernel_height;
      if (top < 0) top = 0;
      if (bottom > w->height) bottom = w->height;
      for (ptrdiff_t ox = 0; ox < w->out_width; ox++) {
        ptrdiff_t left = ox * w->stride - w->pad_left, right = left + w->kernel_width;
        if (left < 0) left = 0;
        if (right > w->width) right = w->width;
        double sum = 0;
        for (ptrdiff_t iy = top; iy < bottom; iy++)
          for (ptrdiff_t ix = left; ix < right; ix++) sum += plane[iy * w->width + ix];
        *y++ = (T)(sum / (double)((bottom - top) * (right - left)));
      }
    }
  }
}

static void NAME(average_pool_gradient)(const covpool_window *w, const T *gradient, T *x_gradient) {
  memset(x_gradient, 0, (size_t)(w->channels * w->height * w->width) * sizeof(T));
  for (ptrdiff_t c = 0; c < w->channels; c++) {
    T *out = x_gradient + c * w->height * w->width;
    for (ptrdiff_t oy = 0; oy < w->out_height; oy++) {
      ptrdiff_t top = oy * w->stride - w->pad_top, bottom = top + w->kernel_height;
      if (top < 0) top = 0;
      if (bottom > w->height) bottom = w->height;
      for (ptrdiff_t ox = 0; ox < w->out_width; ox++) {
        ptrdiff_t left = ox * w->stride - w->pad_left, right = left + w->kernel_width;
        if (left < 0) left = 0;
        if (right > w->width) right = w->width;
        T share = *gradient++ / (T)((bottom - top) * (right - left));
        for (ptrdiff_t iy = top; iy < bottom; iy++)
          for (ptrdiff_t ix = left; ix < right; ix++) out[iy * w->width + ix] += share;
      }
    }
  }
}

static void NAME(row_means)(const T *x, T *means, ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) means[r] = (T)(NAME(sum)(x + r * columns, columns) / (double)columns);
}

static void NAME(pad_channels)(const covpool_window *w, const T *x, ptrdiff_t before, ptrdiff_t after, T *y) {
  ptrdiff_t plane = w->out_height * w->out_width;
  memset(y, 0, (size_t)(before * plane) * sizeof(T));
  y += before * plane;
  for (ptrdiff_t c = 0; c < w->channels; c++)
    for (ptrdiff_t row = 0; row < w->out_height; row++) {
      const T *from = x + (c * w->height + row * w->stride) * w->width;
      for (ptrdiff_t i = 0; i < w->out_width; i++) *y++ = from[i * w->stride];
    }
  memset(y, 0, (size_t)(after * plane) * sizeof(T));
}

static void NAME(pad_channels_gradient)(const covpool_window *w, const T *gradient, ptrdiff_t before, ptrdiff_t after,
                                        T *x_gradient) {
  (void)after;
  gradient += before * w->out_height * w->out_width;
  memset(x_gradient, 0, (size_t)(w->channels * w->height * w->width) * sizeof(T));
  for (ptrdiff_t c = 0; c < w->channels; c++)
    for (ptrdiff_t row = 0; row < w->out_height; row++) {
      T *to = x_gradient + (c * w->height + row * w->stride) * w->width;
      for (ptrdiff_t i = 0; i < w->out_width; i++) to[i * w->stride] = *gradient++;
    }
}
