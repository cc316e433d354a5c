#include "depthwise.h"

#include <string.h>

#include "processor.h"

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
static inline ptrdiff_t round_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b * b; }

#define T float
#define NAME(name) name##_f32
#define JOB covpool_depthwise_f32
#include "depthwise_of_type.h"
#undef T
#undef NAME
#undef JOB

#define T double
#define NAME(name) name##_f64
#define JOB covpool_depthwise_f64
#include "depthwise_of_type.h"
#undef T
#undef NAME
#undef JOB

// Kernels of 3 × 3 with stride 1 or 2 in single precision: vectors of neighbouring outputs of a row, several rows at a
// time, so that a vector of input is read once for all the rows that it is a part of. Vectors are read where they lie in
// the plane, beyond the ends of rows too, and masked. Of planes that are narrower than half a vector two share one.

/// Output rows at a time: a divisor of 7, 14, 28, 56 and 112.
enum { MOST_ROWS = 7, most_lanes = 16 };

static int has_vectors(const covpool_window *w) {
  return w->kernel_height == 3 && w->kernel_width == 3 && w->dilation == 1 && w->stride <= 2;
}

/// One plane, or two that share vectors, while they are convolved.
typedef struct {
  const covpool_window *window;
  int planes;
  /// The activation's bounds.
  float lower, upper;
  /// Vectors of a row of outputs.
  ptrdiff_t vectors;
  /// For each of them and each tap, what is kept of what was read.
  const int32_t *masks;
  /// Each tap's weights and the bias, as vectors.
  float *weights, *bias;
  /// A row in the padding.
  const float *zeros;
  /// Where the planes begin.
  const float *x[2], *residual[2];
  float *y[2];
  /// Planes [begin, end) may be read; vectors reach so far before and after a plane.
  const float *all, *begin, *end;
  ptrdiff_t size, before, after;
  /// Room for copies of planes that vectors would reach beyond.
  float *copies[2];
} strip;

static ptrdiff_t reach_of_row(const covpool_window *w, ptrdiff_t lanes) {
  return most(w->width, round_up(w->out_width, lanes) * w->stride + 2 - w->pad_left);
}

/// Lays out scratch for planes [first, last) of such a size from `all` on.
/// Returns what is left of it.
static float *prepare(strip *s, const covpool_window *w, ptrdiff_t lanes, const float *all, ptrdiff_t first,
                      ptrdiff_t last, float *scratch) {
  *s = (strip){.window = w, .planes = w->out_width <= lanes / 2 ? 2 : 1, .size = w->height * w->width};
  s->all = all;
  s->begin = all + first * s->size;
  s->end = all + last * s->size;
  s->before = w->pad_left;
  s->after = reach_of_row(w, lanes) - w->width;
  s->weights = scratch;
  s->bias = s->weights + 9 * lanes;
  float *zeros = s->bias + lanes;
  s->zeros = zeros + s->before;
  ptrdiff_t row = s->before + w->width + s->after;
  memset(zeros, 0, (size_t)row * sizeof(float));
  s->copies[0] = zeros + row;
  s->copies[1] = s->copies[0] + s->before + s->size + s->after;
  return s->copies[1] + s->before + s->size + s->after;
}

/// Where to read a plane from: a copy if vectors would otherwise reach beyond all planes.
static const float *reachable(const strip *s, int i, ptrdiff_t plane) {
  const float *x = s->all + plane * s->size;
  if (x - s->begin >= s->before && s->end - (x + s->size) >= s->after) return x;
  return memcpy(s->copies[i] + s->before, x, (size_t)s->size * sizeof(float));
}

/// Where the input rows of output rows from y on are read from column -pad_left on, in one plane or both.
static inline void find_rows(const strip *s, ptrdiff_t y, ptrdiff_t count, const float **a, const float **b) {
  const covpool_window *w = s->window;
  for (ptrdiff_t i = 0; i < count; i++) {
    ptrdiff_t iy = y * w->stride + i - w->pad_top;
    int is_inside = iy >= 0 && iy < w->height;
    a[i] = (is_inside ? s->x[0] + iy * w->width : s->zeros) - w->pad_left;
    b[i] = is_inside && s->planes == 2 ? s->x[1] + iy * w->width - w->pad_left : a[i];
  }
}

/// A plane that is read as it is.
static inline covpool_window plane_of(ptrdiff_t height, ptrdiff_t width) {
  return (covpool_window){.height = height, .width = width, .stride = 1, .out_height = height, .out_width = width};
}

/// Before a loop whose number of rounds is a constant when the compiler comes to it.
#define UNROLL_FOR(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)

#if defined(__x86_64__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define ALL 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define NAMED(kernel) kernel##_avx512
#include "depthwise_tile.h"
#define VECTOR_BYTES 32
#define ALL 0, 1, 2, 3, 4, 5, 6, 7
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define NAMED(kernel) kernel##_avx2
#include "depthwise_tile.h"
#endif
#define VECTOR_BYTES 16
#define ALL 0, 1, 2, 3
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#define TARGET
#define NAMED(kernel) kernel##_baseline
#include "depthwise_tile.h"

typedef struct {
  void (*convolve)(const covpool_depthwise_f32 *job, const covpool_window *window, int flipped, const float *x,
                   ptrdiff_t first, ptrdiff_t last, float *scratch, float *y);
  void (*scatter)(const covpool_depthwise_f32 *job, const float *gradient, ptrdiff_t first, ptrdiff_t last,
                  float *scratch, float *x_gradient);
  void (*sum_weights)(const covpool_depthwise_f32 *job, const float *x, const float *gradient, ptrdiff_t first,
                      ptrdiff_t last, float *scratch, double *sums);
} depthwise_kernels;

#define KERNELS(name)                                                                                                  \
  ((depthwise_kernels){.convolve = convolve_##name, .scatter = scatter_##name, .sum_weights = sum_weights_##name})

static depthwise_kernels kernels(void) {
#if defined(__x86_64__)
  switch (covpool_processor_level()) {
  case 2: return KERNELS(avx512);
  case 1: return KERNELS(avx2);
  }
#endif
  return KERNELS(baseline);
}

/// The convolution of stride 1 that takes the gradient of y to that of x, with the taps reversed.
static covpool_window transposed(const covpool_window *w) {
  covpool_window t = *w;
  t.pad_top = w->kernel_height - 1 - w->pad_top;
  t.pad_left = w->kernel_width - 1 - w->pad_left;
  t.height = w->out_height;
  t.width = w->out_width;
  t.out_height = w->height;
  t.out_width = w->width;
  return t;
}

/// Whether that convolution has vectors.
static int is_transposable(const covpool_window *w) {
  return has_vectors(w) && w->stride == 1 && w->pad_top <= 2 && w->pad_left <= 2;
}

/// Whether the gradient of x is scattered by vectors: from as many rows and columns as come from it, halved.
static int is_scattered(const covpool_window *w) {
  return has_vectors(w) && w->stride == 2 && w->pad_top == 1 && w->pad_left == 1 &&
         w->out_height == (w->height + 1) / 2 && w->out_width == (w->width + 1) / 2;
}

static ptrdiff_t scratch_of(const covpool_window *w) {
  ptrdiff_t row = w->pad_left + reach_of_row(w, most_lanes), masks = 4 * round_up(w->out_width, most_lanes);
  return 10 * most_lanes + 3 * row + 2 * w->height * w->width + masks;
}

ptrdiff_t covpool_depthwise_scratch_f32(const covpool_window *w) {
  if (!has_vectors(w)) return 0;
  covpool_window t = transposed(w), ofGradient = plane_of(w->out_height, w->out_width);
  return most(scratch_of(w) + scratch_of(&ofGradient), is_transposable(w) ? scratch_of(&t) : 0);
}

void covpool_depthwise_convolve_f32(const covpool_depthwise_f32 *job, const float *x, ptrdiff_t first, ptrdiff_t last,
                                    float *scratch, float *y) {
  if (!has_vectors(&job->window)) return convolve_f32(job, x, first, last, y);
  kernels().convolve(job, &job->window, 0, x, first, last, scratch, y);
}

void covpool_depthwise_input_gradient_f32(const covpool_depthwise_f32 *job, const float *gradient, ptrdiff_t first,
                                          ptrdiff_t last, float *scratch, float *x_gradient) {
  if (is_transposable(&job->window)) {
    covpool_window t = transposed(&job->window);
    kernels().convolve(job, &t, 1, gradient, first, last, scratch, x_gradient);
  } else if (is_scattered(&job->window)) {
    kernels().scatter(job, gradient, first, last, scratch, x_gradient);
  } else {
    input_gradient_f32(job, gradient, first, last, x_gradient);
  }
}

void covpool_depthwise_weight_gradient_f32(const covpool_depthwise_f32 *job, const float *x, const float *gradient,
                                           ptrdiff_t first, ptrdiff_t last, float *scratch, double *sums) {
  if (!has_vectors(&job->window)) return weight_gradient_f32(job, x, gradient, first, last, sums);
  kernels().sum_weights(job, x, gradient, first, last, scratch, sums);
}

// Double precision checks the above.

ptrdiff_t covpool_depthwise_scratch_f64(const covpool_window *w) {
  (void)w;
  return 0;
}

void covpool_depthwise_convolve_f64(const covpool_depthwise_f64 *job, const double *x, ptrdiff_t first, ptrdiff_t last,
                                    double *scratch, double *y) {
  (void)scratch;
  convolve_f64(job, x, first, last, y);
}

void covpool_depthwise_input_gradient_f64(const covpool_depthwise_f64 *job, const double *gradient, ptrdiff_t first,
                                          ptrdiff_t last, double *scratch, double *x_gradient) {
  (void)scratch;
  input_gradient_f64(job, gradient, first, last, x_gradient);
}

void covpool_depthwise_weight_gradient_f64(const covpool_depthwise_f64 *job, const double *x, const double *gradient,
                                           ptrdiff_t first, ptrdiff_t last, double *scratch, double *sums) {
  (void)scratch;
  weight_gradient_f64(job, x, gradient, first, last, sums);
}
