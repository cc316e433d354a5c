// Depthwise convolution by kernels of 3 × 3 with stride 1 or 2 in single precision: vectors of neighbouring outputs of
// a row, several rows at a time, so that a vector of input is read once for all the rows that it is a part of. Vectors
// are read where they lie in the plane, beyond the ends of rows too, and masked. Of planes that are narrower than half
// a vector two share one.

typedef float half_vector __attribute__((vector_size(VECTOR_BYTES / 2), aligned(4)));

// Shuffles of two vectors: both in turn, every other number, numbers in turn, and those from the second or third on.
#if VECTOR_BYTES == 64
#define ALL_LANES 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define AFTER_ONE 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#define AFTER_TWO 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
#define LOW_LANES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_LANES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VECTOR_BYTES == 32
#define ALL_LANES 0, 1, 2, 3, 4, 5, 6, 7
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15
#define AFTER_ONE 1, 2, 3, 4, 5, 6, 7, 8
#define AFTER_TWO 2, 3, 4, 5, 6, 7, 8, 9
#define LOW_LANES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_LANES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ALL_LANES 0, 1, 2, 3
#define EVEN_LANES 0, 2, 4, 6
#define ODD_LANES 1, 3, 5, 7
#define AFTER_ONE 1, 2, 3, 4
#define AFTER_TWO 2, 3, 4, 5
#define LOW_LANES 0, 4, 1, 5
#define HIGH_LANES 2, 6, 3, 7
#endif

/// Output rows at a time: a divisor of 7, 14, 28, 56 and 112.
enum { most_rows = 7 };

static int has_vectors(const covpool_window *w) {
  return w->kernel_height == 3 && w->kernel_width == 3 && w->dilation == 1 && w->stride <= 2;
}

/// One plane, or two that share vectors, while they are convolved.
typedef struct {
  const covpool_window *window;
  int planes;
  covpool_activation activation;
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
  return greatest(w->width, round_up(w->out_width, lanes) * w->stride + 2 - w->pad_left);
}

/// Whether two planes fit into a vector: then the first's taps may read numbers of the second only where those are
/// masked, in columns beyond its row.
static int is_paired(const covpool_window *w) {
  ptrdiff_t half = vector_width / 2;
  if (w->stride == 2) return w->out_width < half;
  return w->out_width + 2 <= half || (w->out_width < half && w->out_width + 1 - w->pad_left >= w->width);
}

/// Lays out scratch for planes [first, last) of such a size from `all` on.
/// Returns what is left of it.
static float *prepare(strip *s, const covpool_window *w, const float *all, ptrdiff_t first, ptrdiff_t last,
                      float *scratch) {
  *s = (strip){.window = w, .planes = is_paired(w) ? 2 : 1, .size = w->height * w->width};
  s->all = all;
  s->begin = all + first * s->size;
  s->end = all + last * s->size;
  s->before = w->pad_left;
  s->after = reach_of_row(w, vector_width) - w->width;
  s->weights = scratch;
  s->bias = s->weights + 9 * vector_width;
  float *zeros = s->bias + vector_width;
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

#if HAS_MASKS
/// Stores lanes [first, first + count).
INLINE void store_lanes(vector v, float *to, ptrdiff_t first, ptrdiff_t count) {
  _mm512_mask_storeu_ps(to - first, (__mmask16)(((1 << count) - 1) << first), (__m512)v);
}
#else
/// Copies fewer numbers than a vector has.
INLINE void copy_line(const float *from, float *to, ptrdiff_t count) {
  if (count >= 4) {
    floats4 a = *(const floats4 *)from, b = *(const floats4 *)(from + count - 4);
    *(floats4 *)to = a;
    *(floats4 *)(to + count - 4) = b;
    return;
  }
  for (ptrdiff_t i = 0; i < count; i++) to[i] = from[i];
}

/// Stores lanes [first, first + count).
INLINE void store_lanes(vector v, float *to, ptrdiff_t first, ptrdiff_t count) {
  float line[vector_width];
  *(vector *)line = v;
  copy_line(line + first, to, count);
}
#endif

/// Adds the residual to sums of rows from y on, at column x, applies the activation, and stores them or as much as
/// there is of them.
INLINE void finish_planes(int rows, const strip *s, ptrdiff_t y, ptrdiff_t x, vector *sum) {
  ptrdiff_t out_width = s->window->out_width, at = y * out_width + x;
  if (s->residual[0])
    UNROLL_FOR (r, rows) {
      float line[vector_width];
      *(vector *)line = (vector){0};
      for (int plane = 0; plane < s->planes; plane++)
        memcpy(line + plane * vector_width / 2, s->residual[plane] + at + r * out_width,
               (size_t)least(out_width, vector_width) * sizeof(float));
      sum[r] += *(vector *)line;
    }
  UNROLL_FOR (r, rows) {
    ACTIVATE(vector, vector_mask, sum[r], s->activation)
  }
  if (out_width >= vector_width) {
    UNROLL_FOR (r, rows) *(vector *)(s->y[0] + at + r * out_width) = sum[r];
  } else {
    for (int plane = 0; plane < s->planes; plane++)
      UNROLL_FOR (r, rows) store_lanes(sum[r], s->y[plane] + at + r * out_width, plane * vector_width / 2, out_width);
  }
}

INLINE vector load_planes(int planes, const float *a, const float *b) {
  if (planes == 1) return *(const vector *)a;
  half_vector low = *(const half_vector *)a, high = *(const half_vector *)b;
  return __builtin_shufflevector(low, high, ALL_LANES);
}

INLINE vector spread_planes(float a, float b) {
  return __builtin_shufflevector(a - (half_vector){0}, b - (half_vector){0}, ALL_LANES);
}

/// What the three taps of an input row read for the outputs from column x on, 0 for what is not of the row.
INLINE void load_taps(int planes, int stride, int is_masked, const float *a, const float *b, ptrdiff_t x,
                      const int32_t *masks, vector *taps) {
  // A load as long as a cache line that does not begin with one touches two. So with such vectors, or planes that share
  // one, each number is loaded once and moves within registers.
  if (planes == 2) {
    vector v = stride == 1 ? load_planes(2, a, b) : *(const vector *)a, other = v;
    if (stride == 2) {
      other = *(const vector *)b;
      taps[1] = __builtin_shufflevector(v, other, ODD_LANES);
      v = __builtin_shufflevector(v, other, EVEN_LANES);
    } else {
      taps[1] = __builtin_shufflevector(v, v, AFTER_ONE);
    }
    taps[0] = v;
    taps[2] = stride == 1 ? __builtin_shufflevector(v, v, AFTER_TWO) : __builtin_shufflevector(v, v, AFTER_ONE);
  } else if (vector_width == 16) {
    vector v = *(const vector *)(a + stride * x), next;
    if (stride == 1) {
      memcpy(&next, a + x + vector_width, 2 * sizeof(float));
      taps[0] = v;
      taps[1] = __builtin_shufflevector(v, next, AFTER_ONE);
      taps[2] = __builtin_shufflevector(v, next, AFTER_TWO);
    } else {
      next = *(const vector *)(a + 2 * x + vector_width);
      taps[0] = __builtin_shufflevector(v, next, EVEN_LANES);
      taps[1] = __builtin_shufflevector(v, next, ODD_LANES);
      taps[2] = __builtin_shufflevector(taps[0], a[2 * x + 2 * vector_width] - (vector){0}, AFTER_ONE);
    }
  } else if (stride == 1) {
    UNROLL_FOR (kx, 3) taps[kx] = *(const vector *)(a + x + kx);
  } else {
    vector v[4];
    UNROLL_FOR (i, 4) v[i] = *(const vector *)(a + 2 * x + i / 2 * 2 + i % 2 * vector_width);
    taps[0] = __builtin_shufflevector(v[0], v[1], EVEN_LANES);
    taps[1] = __builtin_shufflevector(v[0], v[1], ODD_LANES);
    taps[2] = __builtin_shufflevector(v[2], v[3], EVEN_LANES);
  }
  if (is_masked)
    UNROLL_FOR (kx, 3) taps[kx] = (vector)((vector_mask)taps[kx] & *(const vector_mask *)(masks + kx * vector_width));
}

/// `rows` output rows from row y on, for one vector of columns.
INLINE void convolve_block(int planes, int rows, int stride, int is_masked, const strip *s, const float *const *a,
                           const float *const *b, ptrdiff_t y, ptrdiff_t x, const int32_t *masks) {
  vector sum[most_rows], taps[3];
  UNROLL_FOR (r, rows) sum[r] = *(const vector *)s->bias;
  // Each row of input is read once for all rows of output that it is a part of.
  UNROLL_FOR (i, (rows - 1) * stride + 3) {
    load_taps(planes, stride, is_masked, a[i], b[i], x, masks, taps);
    UNROLL_FOR (kx, 3)
      UNROLL_FOR (ky, 3)
        if (i >= ky && (i - ky) % stride == 0 && (i - ky) / stride < rows)
          sum[(i - ky) / stride] += *(const vector *)(s->weights + (3 * ky + kx) * vector_width) * taps[kx];
  }
  finish_planes(rows, s, y, x, sum);
}

/// `rows` output rows from row y on, 3 × 3 taps.
INLINE void convolve_rows(int planes, int rows, int stride, const strip *s, ptrdiff_t y) {
  const float *a[2 * most_rows + 1], *b[2 * most_rows + 1];
  find_rows(s, y, (rows - 1) * stride + 3, a, b);
  const int32_t *masks = s->masks;
  for (ptrdiff_t x = 0, i = 0; i < s->vectors; i++, x += vector_width, masks += 3 * vector_width) {
    if (i > 0) x = least(x, s->window->out_width - vector_width);
    if (planes == 1 && i > 0 && i + 1 < s->vectors)
      convolve_block(planes, rows, stride, 0, s, a, b, y, x, masks);
    else
      convolve_block(planes, rows, stride, 1, s, a, b, y, x, masks);
  }
}

INLINE void convolve_strip(int planes, int stride, const strip *s) {
  ptrdiff_t y = 0, height = s->window->out_height;
  for (; y + most_rows <= height; y += most_rows) convolve_rows(planes, most_rows, stride, s, y);
  for (; y + 4 <= height; y += 4) convolve_rows(planes, 4, stride, s, y);
  for (; y < height; y++) convolve_rows(planes, 1, stride, s, y);
}

/// For each vector of columns and each of `taps` taps of a row, which lanes read a number of the row; for a fourth tap,
/// whose output counts. The last vector may overlap the one before.
INLINE void find_masks(strip *s, int taps, int overlaps, int32_t *masks) {
  const covpool_window *w = s->window;
  s->masks = masks;
  s->vectors = (w->out_width + vector_width - 1) / vector_width;
  for (ptrdiff_t i = 0; i < s->vectors; i++) {
    ptrdiff_t x = i * vector_width;
    if (overlaps && i > 0) x = least(x, w->out_width - vector_width);
    for (ptrdiff_t tap = 0; tap < taps; tap++)
      for (ptrdiff_t lane = 0; lane < vector_width; lane++) {
        ptrdiff_t at = s->planes == 2 ? lane % (vector_width / 2) : lane,
                  column = (x + at) * w->stride + tap - w->pad_left;
        *masks++ = (tap < 3 ? column >= 0 && column < w->width : x + at < w->out_width) ? -1 : 0;
      }
  }
}

static void convolve_planes(const covpool_window *w, const float *x, const float *kernels, int flipped,
                            const float *biases, const float *residual, covpool_activation activation, ptrdiff_t first,
                            ptrdiff_t last, float *scratch, float *y) {
  strip s;
  float *rest = prepare(&s, w, x, first, last, scratch);
  find_masks(&s, 3, 1, (int32_t *)rest);
  s.activation = activation;
  ptrdiff_t pixels = w->out_height * w->out_width, next = first % w->channels;
  for (ptrdiff_t plane = first; plane < last; plane += s.planes) {
    const float *weights[2];
    float bias[2];
    ptrdiff_t channel = next;
    for (int i = 0; i < s.planes; i++) {
      // The last of an odd number of planes is its own neighbour.
      ptrdiff_t at = least(plane + i, last - 1);
      if (at > plane) channel = channel + 1 < w->channels ? channel + 1 : 0;
      s.x[i] = reachable(&s, i, at);
      s.y[i] = y + at * pixels;
      s.residual[i] = residual ? residual + at * pixels : 0;
      weights[i] = kernels + 9 * channel;
      bias[i] = biases ? biases[channel] : 0;
    }
    for (int tap = 0; tap < 9; tap++) {
      int from = flipped ? 8 - tap : tap;
      *(vector *)(s.weights + tap * vector_width) = spread_planes(weights[0][from], weights[s.planes - 1][from]);
    }
    next = channel + 1 < w->channels ? channel + 1 : 0;
    *(vector *)s.bias = spread_planes(bias[0], bias[s.planes - 1]);
    if (s.planes == 1 && w->stride == 1) convolve_strip(1, 1, &s);
    if (s.planes == 1 && w->stride == 2) convolve_strip(1, 2, &s);
    if (s.planes == 2 && w->stride == 1) convolve_strip(2, 1, &s);
    if (s.planes == 2 && w->stride == 2) convolve_strip(2, 2, &s);
  }
}

static void depthwise_convolve_f32(const covpool_window *w, const float *x, const float *weights, const float *bias,
                                   const float *residual, covpool_activation activation, ptrdiff_t first,
                                   ptrdiff_t last, float *scratch, float *y) {
  if (!has_vectors(w)) return general_depthwise_f32(w, x, weights, bias, residual, activation, first, last, y);
  convolve_planes(w, x, weights, 0, bias, residual, activation, first, last, scratch, y);
}
