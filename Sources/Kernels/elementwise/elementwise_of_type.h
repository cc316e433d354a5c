// Kernels that treat numbers one by one or sum them, for one scalar type T.

#include "elementwise/random.h"

// NaN stays NaN.
INLINE T NAME(activated)(T v, T lower, T upper) {
  v = v < lower ? lower : v;
  return v > upper ? upper : v;
}

static void NAME(activate)(covpool_activation activation, const T *x, T *y, ptrdiff_t count) {
  T lower = covpool_activation_lower(activation), upper = covpool_activation_upper(activation);
  for (ptrdiff_t i = 0; i < count; i++) y[i] = NAME(activated)(x[i], lower, upper);
}

// Whether the gradient passes to where the activation has made y; the compiler knows which it is.
INLINE int NAME(passes)(covpool_activation activation, T y) {
  if (activation == COVPOOL_RELU6) return (y > 0) & (y < 6);
  return activation == COVPOOL_IDENTITY || y > 0;
}

static void NAME(activation_gradient)(covpool_activation activation, const T *result, const T *gradient, T *y,
                                      ptrdiff_t count) {
  if (activation == COVPOOL_RELU6)
    for (ptrdiff_t i = 0; i < count; i++) y[i] = NAME(passes)(COVPOOL_RELU6, result[i]) ? gradient[i] : 0;
  else if (activation == COVPOOL_RELU)
    for (ptrdiff_t i = 0; i < count; i++) y[i] = NAME(passes)(COVPOOL_RELU, result[i]) ? gradient[i] : 0;
  else
    memcpy(y, gradient, (size_t)count * sizeof(T));
}

static void NAME(add)(const T *a, const T *b, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

static void NAME(subtract)(const T *a, const T *b, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = a[i] - b[i];
}

static void NAME(multiply)(const T *a, const T *b, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = a[i] * b[i];
}

static void NAME(scale)(const T *x, T factor, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = x[i] * factor;
}

static void NAME(accumulate)(T factor, const T *x, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] += factor * x[i];
}

static void NAME(blend)(const T *x, T keep, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = keep * y[i] + (1 - keep) * x[i];
}

// Sums over a run of numbers in independent lanes, so that the compiler may vectorise without reordering anything.
#ifndef COVPOOL_SUMS
#define COVPOOL_SUMS
enum { SUM_LANES = 16 };

INLINE double total(double *lanes) {
  for (int half = SUM_LANES / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  return lanes[0];
}
#endif

INLINE double NAME(sum)(const T *x, ptrdiff_t count) {
  double lanes[SUM_LANES] = {0};
  ptrdiff_t i = 0;
  for (; i + SUM_LANES <= count; i += SUM_LANES)
    for (int lane = 0; lane < SUM_LANES; lane++) lanes[lane] += x[i + lane];
  for (; i < count; i++) lanes[0] += x[i];
  return total(lanes);
}

static void NAME(drop)(const T *x, const T *random, T rate, T factor, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = random[i] >= rate ? x[i] * factor : 0;
}

static void NAME(sum_rows)(const T *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, double *sums) {
  if (columns == 1 && stride == 1) {
    sums[0] = NAME(sum)(x, rows);
    return;
  }
  for (ptrdiff_t c = 0; c < columns; c++) sums[c] = 0;
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) sums[c] += x[r * stride + c];
}

static double NAME(dot)(const T *a, const T *b, ptrdiff_t count) {
  double lanes[SUM_LANES] = {0};
  ptrdiff_t i = 0;
  for (; i + SUM_LANES <= count; i += SUM_LANES)
    for (int lane = 0; lane < SUM_LANES; lane++) lanes[lane] += (double)a[i + lane] * (double)b[i + lane];
  for (; i < count; i++) lanes[0] += (double)a[i] * (double)b[i];
  return total(lanes);
}

static int NAME(all_finite)(const T *x, ptrdiff_t count) {
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

static void NAME(to_double)(const T *x, double *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (double)x[i];
}

static void NAME(from_double)(const double *x, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (T)x[i];
}

static void NAME(multiply_by_double)(const double *factors, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (T)((double)y[i] * factors[i]);
}

static void NAME(signed_root)(const T *x, T eps, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    T size = x[i] < 0 ? -x[i] : x[i];
    T root = sizeof(T) == 4 ? (T)sqrtf((float)(size + eps)) : (T)sqrt((double)(size + eps));
    // x / |x| would be NaN at 0; NaN stays NaN.
    y[i] = x[i] > 0 ? root : x[i] < 0 ? -root : x[i];
  }
}

static void NAME(signed_root_gradient)(const T *x, T eps, const T *g, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    T size = x[i] < 0 ? -x[i] : x[i];
    T root = sizeof(T) == 4 ? (T)sqrtf((float)(size + eps)) : (T)sqrt((double)(size + eps));
    y[i] = x[i] == 0 ? 0 : g[i] / (2 * root);
  }
}

static void NAME(uniform)(uint64_t seed, uint64_t first, T low, T high, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++)
    y[i] = (T)(low + ((double)high - low) * unit_interval(seed, first + (uint64_t)i));
}

static void NAME(sgd_step)(T *w, const T *g, T *v, T rate, T momentum, T decay, int nesterov, ptrdiff_t count) {
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

static void NAME(adamw_step)(T *w, const T *g, T *m, T *v, T shrink, T beta1, T beta2, T step, T root, T eps,
                             ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    T deviation = sizeof(T) == 4 ? (T)sqrtf((float)v[i]) : (T)sqrt((double)v[i]);
    w[i] = shrink * w[i] - step * m[i] / (deviation * root + eps);
  }
}
