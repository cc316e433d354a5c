// The kernels for one type T; kernels.c includes this file once for each type.

// Output columns x for which 0 <= x * stride + offset < width, as [*from, *to) within [0, out_width].
#ifndef COVPOOL_INSIDE
#define COVPOOL_INSIDE
static inline void inside(ptrdiff_t width, ptrdiff_t stride, ptrdiff_t offset, ptrdiff_t out_width, ptrdiff_t *from,
                          ptrdiff_t *to) {
  ptrdiff_t lo = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  ptrdiff_t hi = width > offset ? (width - offset + stride - 1) / stride : 0;
  if (hi > out_width) hi = out_width;
  if (lo > hi) lo = hi;
  *from = lo;
  *to = hi;
}

// Counter-based random bits: two rounds of a 64-bit finaliser (Stafford's mix 13 of MurmurHash3).
static inline uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static inline double unit_interval(uint64_t seed, uint64_t counter) {
  return (double)(mix(mix(seed) + counter * 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
}
#endif

KERNEL void NAME(im2col)(const covpool_window *w, const T *x, ptrdiff_t first, ptrdiff_t last, T *columns) {
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

// NaN stays NaN.
static inline __attribute__((always_inline)) T NAME(activated)(T v, T lower, T upper) {
  v = v < lower ? lower : v;
  return v > upper ? upper : v;
}

KERNEL void NAME(epilogue)(T *y, ptrdiff_t y_stride, const T *bias, const T *residual, ptrdiff_t residual_stride,
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

KERNEL void NAME(activate)(covpool_activation activation, const T *x, T *y, ptrdiff_t count) {
  T lower = covpool_activation_lower(activation), upper = covpool_activation_upper(activation);
  for (ptrdiff_t i = 0; i < count; i++) y[i] = NAME(activated)(x[i], lower, upper);
}

KERNEL void NAME(add)(const T *a, const T *b, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

KERNEL void NAME(scale)(const T *x, T factor, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = x[i] * factor;
}

// The larger of two, NaN if one of them is.
static inline T NAME(larger)(T a, T b) { return b > a || b != b ? b : a; }

KERNEL void NAME(max_pool)(const covpool_window *w, const T *x, T *y, T *scratch) {
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

KERNEL void NAME(average_pool)(const covpool_window *w, const T *x, T *y) {
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

// Sums over a run of numbers in independent lanes, so that the compiler may vectorise without reordering anything.
#ifndef COVPOOL_LANES
#define COVPOOL_LANES 16
#endif

static inline __attribute__((always_inline)) double NAME(total)(double *lanes) {
  for (int half = COVPOOL_LANES / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

static inline __attribute__((always_inline)) double NAME(sum)(const T *x, ptrdiff_t count) {
  double lanes[COVPOOL_LANES] = {0};
  ptrdiff_t i = 0;
  for (; i + COVPOOL_LANES <= count; i += COVPOOL_LANES)
    for (int lane = 0; lane < COVPOOL_LANES; lane++) lanes[lane] += x[i + lane];
  for (; i < count; i++) lanes[0] += x[i];
  return NAME(total)(lanes);
}

KERNEL void NAME(row_means)(const T *x, T *means, ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) means[r] = (T)(NAME(sum)(x + r * columns, columns) / (double)columns);
}

KERNEL void NAME(upper_triangle)(const T *x, T *y, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    memcpy(y, x + i * n + i, (size_t)(n - i) * sizeof(T));
    y += n - i;
  }
}

KERNEL void NAME(mirror_upper)(T *x, ptrdiff_t n) {
  // Blocks of 16 keep the strided side in cache.
  for (ptrdiff_t bi = 0; bi < n; bi += 16) {
    for (ptrdiff_t bj = 0; bj <= bi; bj += 16) {
      ptrdiff_t ie = bi + 16 < n ? bi + 16 : n, je = bj + 16 < n ? bj + 16 : n;
      for (ptrdiff_t i = bi; i < ie; i++)
        for (ptrdiff_t j = bj; j < je && j < i; j++) x[i * n + j] = x[j * n + i];
    }
  }
}

KERNEL void NAME(uniform)(uint64_t seed, uint64_t first, T low, T high, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++)
    y[i] = (T)(low + ((double)high - low) * unit_interval(seed, first + (uint64_t)i));
}

void NAME(normal)(uint64_t seed, uint64_t first, T deviation, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    uint64_t pair = (first + (uint64_t)i) & ~(uint64_t)1;
    double radius = sqrt(-2 * log(1 - unit_interval(seed, pair)));
    double angle = 6.283185307179586 * unit_interval(seed, pair + 1);
    y[i] = (T)(deviation * radius * ((first + (uint64_t)i) & 1 ? sin(angle) : cos(angle)));
  }
}

KERNEL int NAME(all_finite)(const T *x, ptrdiff_t count) {
  // x - x is 0 for a finite x and NaN otherwise; independent lanes keep the loop vectorised.
  T lanes[32] = {0};
  ptrdiff_t i = 0;
  for (; i + 32 <= count; i += 32)
    for (ptrdiff_t lane = 0; lane < 32; lane++) lanes[lane] += x[i + lane] - x[i + lane];
  for (; i < count; i++) lanes[0] += x[i] - x[i];
  T sum = 0;
  for (ptrdiff_t lane = 0; lane < 32; lane++) sum += lanes[lane];
  return sum == 0;
}

KERNEL void NAME(col2im)(const covpool_window *w, const T *columns, ptrdiff_t first, ptrdiff_t last, T *x) {
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

// Whether the gradient passes to where the activation has made y; the compiler knows which it is.
static inline __attribute__((always_inline)) int NAME(passes)(covpool_activation activation, T y) {
  if (activation == COVPOOL_RELU6) return (y > 0) & (y < 6);
  return activation == COVPOOL_IDENTITY || y > 0;
}

KERNEL void NAME(activation_gradient)(covpool_activation activation, const T *result, const T *gradient, T *y,
                                      ptrdiff_t count) {
  if (activation == COVPOOL_RELU6)
    for (ptrdiff_t i = 0; i < count; i++) y[i] = NAME(passes)(COVPOOL_RELU6, result[i]) ? gradient[i] : 0;
  else if (activation == COVPOOL_RELU)
    for (ptrdiff_t i = 0; i < count; i++) y[i] = NAME(passes)(COVPOOL_RELU, result[i]) ? gradient[i] : 0;
  else
    memcpy(y, gradient, (size_t)count * sizeof(T));
}

#include "batch_kernels_of_type.h"

// For windows from ..< to of one row, whether the pixel under one tap is larger than what was found before.
static inline __attribute__((always_inline)) void NAME(find_larger)(const T *plane, ptrdiff_t offset, ptrdiff_t stride,
                                                                    ptrdiff_t first, ptrdiff_t from, ptrdiff_t to,
                                                                    T *restrict largest, int32_t *restrict place) {
  for (ptrdiff_t ox = from; ox < to; ox++) {
    T v = plane[offset + ox * stride], before = largest[ox - first];
    int wins = before == before && !(v <= before);  // NaN wins, and stays
    largest[ox - first] = wins ? v : before;
    place[ox - first] = wins ? (int32_t)(offset + ox * stride) : place[ox - first];
  }
}

KERNEL void NAME(max_pool_gradient)(const covpool_window *w, const T *x, const T *gradient, T *x_gradient) {
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

KERNEL void NAME(average_pool_gradient)(const covpool_window *w, const T *gradient, T *x_gradient) {
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

KERNEL void NAME(from_upper_triangle)(const T *triangle, T *matrix, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    memset(matrix + i * n, 0, (size_t)i * sizeof(T));
    memcpy(matrix + i * n + i, triangle, (size_t)(n - i) * sizeof(T));
    triangle += n - i;
  }
}

KERNEL void NAME(combine)(T alpha, const T *x, T beta, const T *y, T gamma, T *z, ptrdiff_t n) {
  // In blocks of 16 columns, so that what is read down the columns stays in cache.
  for (ptrdiff_t j0 = 0; j0 < n; j0 += 16)
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t j = j0; j < n && j < j0 + 16; j++)
        z[i * n + j] = alpha * x[i * n + j] + beta * y[i * n + j] + gamma * y[j * n + i];
}

KERNEL void NAME(symmetrize)(T alpha, const T *x, T beta, T *c, ptrdiff_t n) {
  for (ptrdiff_t j0 = 0; j0 < n; j0 += 16)
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t j = j0 > i ? j0 : i; j < n && j < j0 + 16; j++) {
        T sum = alpha * x[i * n + j] + beta * (c[i * n + j] + c[j * n + i]);
        c[i * n + j] = sum;
        c[j * n + i] = sum;
      }
}

KERNEL void NAME(plus_transpose)(const T *x, T *y, ptrdiff_t n) {
  for (ptrdiff_t bi = 0; bi < n; bi += 16) {
    for (ptrdiff_t bj = 0; bj < n; bj += 16) {
      ptrdiff_t ie = bi + 16 < n ? bi + 16 : n, je = bj + 16 < n ? bj + 16 : n;
      for (ptrdiff_t i = bi; i < ie; i++)
        for (ptrdiff_t j = bj; j < je; j++) y[i * n + j] = x[i * n + j] + x[j * n + i];
    }
  }
}

KERNEL void NAME(accumulate)(T factor, const T *x, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] += factor * x[i];
}

KERNEL double NAME(dot)(const T *a, const T *b, ptrdiff_t count) {
  double lanes[COVPOOL_LANES] = {0};
  ptrdiff_t i = 0;
  for (; i + COVPOOL_LANES <= count; i += COVPOOL_LANES)
    for (int lane = 0; lane < COVPOOL_LANES; lane++) lanes[lane] += (double)a[i + lane] * (double)b[i + lane];
  for (; i < count; i++) lanes[0] += (double)a[i] * (double)b[i];
  return NAME(total)(lanes);
}

KERNEL void NAME(sgd_step)(T *w, const T *g, T *v, T rate, T momentum, T decay, int nesterov, ptrdiff_t count) {
  if (nesterov) {
    for (ptrdiff_t i = 0; i < count; i++) {
      T d = g[i] + decay * w[i];
      v[i] = momentum * v[i] + d;
      w[i] -= rate * (d + momentum * v[i]);
    }
  } else {
    for (ptrdiff_t i = 0; i < count; i++) {
      v[i] = momentum * v[i] + (g[i] + decay * w[i]);
      w[i] -= rate * v[i];
    }
  }
}

KERNEL void NAME(adamw_step)(T *w, const T *g, T *m, T *v, T shrink, T beta1, T beta2, T step, T root, T eps,
                             ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    T deviation = sizeof(T) == 4 ? (T)sqrtf((float)v[i]) : (T)sqrt((double)v[i]);
    w[i] = shrink * w[i] - step * m[i] / (deviation * root + eps);
  }
}

KERNEL void NAME(blend)(const T *x, T keep, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = keep * y[i] + (1 - keep) * x[i];
}

KERNEL void NAME(to_double)(const T *x, double *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (double)x[i];
}

KERNEL void NAME(from_double)(const double *x, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (T)x[i];
}

KERNEL void NAME(multiply_by_double)(const double *factors, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (T)((double)y[i] * factors[i]);
}

KERNEL void NAME(transpose)(const T *x, T *y, ptrdiff_t rows, ptrdiff_t columns) {
  // By blocks, whose rows and columns stay in the first cache.
  const ptrdiff_t block = 16;
  for (ptrdiff_t r = 0; r < rows; r += block)
    for (ptrdiff_t c = 0; c < columns; c += block) {
      ptrdiff_t last_row = r + block < rows ? r + block : rows, last_column = c + block < columns ? c + block : columns;
      for (ptrdiff_t j = c; j < last_column; j++)
        for (ptrdiff_t i = r; i < last_row; i++) y[j * rows + i] = x[i * columns + j];
    }
}

KERNEL void NAME(layer_norm)(const T *x, T mean, T factor, const T *weight, const T *bias, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (x[i] - mean) * factor * weight[i] + bias[i];
}

KERNEL void NAME(layer_norm_gradient)(const T *x, T mean, T factor, const T *weight, const T *g, T *x_gradient,
                                      T *weight_gradient, T *bias_gradient, ptrdiff_t count) {
  double sum = 0, product = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    T normal = (x[i] - mean) * factor, slope = g[i] * weight[i];
    sum += (double)slope;
    product += (double)slope * (double)normal;
    weight_gradient[i] += g[i] * normal;
    bias_gradient[i] += g[i];
  }
  T offset = (T)(sum / (double)count), tilt = (T)(product / (double)count);
  for (ptrdiff_t i = 0; i < count; i++)
    x_gradient[i] = factor * (g[i] * weight[i] - offset - (x[i] - mean) * factor * tilt);
}

KERNEL void NAME(signed_root)(const T *x, T eps, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    T size = x[i] < 0 ? -x[i] : x[i];
    T root = sizeof(T) == 4 ? (T)sqrtf((float)(size + eps)) : (T)sqrt((double)(size + eps));
    // x / |x| would be NaN at 0; NaN stays NaN.
    y[i] = x[i] > 0 ? root : x[i] < 0 ? -root : x[i];
  }
}

KERNEL void NAME(signed_root_gradient)(const T *x, T eps, const T *g, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    T size = x[i] < 0 ? -x[i] : x[i];
    T root = sizeof(T) == 4 ? (T)sqrtf((float)(size + eps)) : (T)sqrt((double)(size + eps));
    y[i] = x[i] == 0 ? 0 : g[i] / (2 * root);
  }
}

KERNEL void NAME(pad_channels)(const covpool_window *w, const T *x, ptrdiff_t before, ptrdiff_t after, T *y) {
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

KERNEL void NAME(pad_channels_gradient)(const covpool_window *w, const T *gradient, ptrdiff_t before, ptrdiff_t after,
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
