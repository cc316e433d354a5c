// The columns of a convolution by BLAS and what follows its product, for one scalar type T.

#include "convolution/window_range.h"

static void NAME(im2col)(const covpool_window *w, const T *x, ptrdiff_t first, ptrdiff_t last, T *columns) {
  ptrdiff_t length = last - first;
  for (ptrdiff_t c = 0; c < w->channels; c++) {
    const T *plane = x + c * w->height * w->width;
    for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
      for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++) {
        T *row = columns;
        columns += length;
        ptrdiff_t from, to;
        inside(w->width, w->stride, kx * w->dilation - w->pad_left, w->out_width, &from, &to);
        for (ptrdiff_t p = first; p < last;) {
          ptrdiff_t oy = p / w->out_width, ox = p - oy * w->out_width;
          ptrdiff_t end = w->out_width;  // this output row's columns [ox, end)
          if (end - ox > last - p) end = ox + last - p;
          T *out = row + (p - first) - ox;
          p += end - ox;
          ptrdiff_t iy = oy * w->stride + ky * w->dilation - w->pad_top;
          if (iy < 0 || iy >= w->height) {
            memset(out + ox, 0, (size_t)(end - ox) * sizeof(T));
            continue;
          }
          ptrdiff_t lo = from > ox ? from : ox, hi = to < end ? to : end;
          if (lo > end) lo = end;
          if (hi < lo) hi = lo;
          const T *in = plane + iy * w->width + kx * w->dilation - w->pad_left;
          for (ptrdiff_t i = ox; i < lo; i++) out[i] = 0;
          if (w->stride == 1) {
            memcpy(out + lo, in + lo, (size_t)(hi - lo) * sizeof(T));
          } else {
            for (ptrdiff_t i = lo; i < hi; i++) out[i] = in[i * w->stride];
          }
          for (ptrdiff_t i = hi; i < end; i++) out[i] = 0;
        }
      }
    }
  }
}

static void NAME(col2im)(const covpool_window *w, const T *columns, ptrdiff_t first, ptrdiff_t last, T *x) {
  ptrdiff_t length = last - first;
  for (ptrdiff_t c = 0; c < w->channels; c++) {
    T *plane = x + c * w->height * w->width;
    for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
      for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++) {
        const T *row = columns;
        columns += length;
        ptrdiff_t from, to;
        inside(w->width, w->stride, kx * w->dilation - w->pad_left, w->out_width, &from, &to);
        for (ptrdiff_t p = first; p < last;) {
          ptrdiff_t oy = p / w->out_width, ox = p - oy * w->out_width;
          ptrdiff_t end = w->out_width;
          if (end - ox > last - p) end = ox + last - p;
          const T *in = row + (p - first) - ox;
          p += end - ox;
          ptrdiff_t iy = oy * w->stride + ky * w->dilation - w->pad_top;
          if (iy < 0 || iy >= w->height) continue;
          ptrdiff_t lo = from > ox ? from : ox, hi = to < end ? to : end;
          T *out = plane + iy * w->width + kx * w->dilation - w->pad_left;
          if (w->stride == 1) {
            for (ptrdiff_t i = lo; i < hi; i++) out[i] += in[i];
          } else {
            for (ptrdiff_t i = lo; i < hi; i++) out[i * w->stride] += in[i];
          }
        }
      }
    }
  }
}

static void NAME(epilogue)(T *y, ptrdiff_t y_stride, const T *bias, const T *residual, ptrdiff_t residual_stride,
                           covpool_activation activation, ptrdiff_t rows, ptrdiff_t columns) {
  T lower = covpool_activation_lower(activation), upper = covpool_activation_upper(activation);
  for (ptrdiff_t r = 0; r < rows; r++) {
    T *out = y + r * y_stride;
    const T *other = residual ? residual + r * residual_stride : NULL;
    T b = bias ? bias[r] : 0;
    for (ptrdiff_t c = 0; other && c < columns; c++) out[c] = NAME(activated)(out[c] + b + other[c], lower, upper);
    for (ptrdiff_t c = 0; !other && c < columns; c++) out[c] = NAME(activated)(out[c] + b, lower, upper);
  }
}
