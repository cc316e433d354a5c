// The inner loops of convolution and of its weights' gradient, in vectors of VECTOR_BYTES. Sums stay in registers:
// those of ROWS rows and ACROSS vectors, or NARROW_ROWS and NARROW_ACROSS in narrow tiles. convolution_columns.c
// includes this file once for each class of processor.

/// Sixteen neighbouring floats.
typedef float NAMED(chunk) __attribute__((vector_size(64), aligned(4), may_alias));

/// One row of the slab: input columns column, column + stride, ..., 0 where they are in the padding. May write up to 16
/// floats past the row, which the next row overwrites, and reads nothing from `limit` on.
TARGET static inline void NAMED(copy_row)(const float *row, ptrdiff_t width, ptrdiff_t stride, ptrdiff_t column,
                                          ptrdiff_t count, const float *limit, float *out) {
  ptrdiff_t before = column < 0 ? -column : 0, inside = width > column ? width - column : 0;
  if (stride > 1) {
    before = (before + stride - 1) / stride;
    inside = (inside + stride - 1) / stride;
  }
  before = least(before, count);
  inside = least(inside, count);
  for (ptrdiff_t i = 0; i < before; i += lanes) *(NAMED(chunk) *)(out + i) = (NAMED(chunk)){0};
  ptrdiff_t i = before;
  if (stride == 1) {
    const float *from = row + column;
    for (; i < inside && from + i + lanes <= limit; i += lanes)
      *(NAMED(chunk) *)(out + i) = *(const NAMED(chunk) *)(from + i);
    for (; i < inside; i++) out[i] = from[i];
  } else {
    const float *from = row + column;
    if (stride == 2)
      for (; i < inside && from + 2 * (i + lanes) <= limit; i += lanes) {
        NAMED(chunk) a = *(const NAMED(chunk) *)(from + 2 * i), b = *(const NAMED(chunk) *)(from + 2 * i + lanes);
        *(NAMED(chunk) *)(out + i) =
            __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
      }
    for (; i < inside; i++) out[i] = from[i * stride];
  }
  for (i = inside > before ? inside : before; i < count; i += lanes) *(NAMED(chunk) *)(out + i) = (NAMED(chunk)){0};
}

TARGET static slab NAMED(make_slab)(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t c0,
                                    ptrdiff_t c1, float *out) {
  const covpool_window *w = &job->window;
  ptrdiff_t s = w->stride, pixels = w->out_height * w->out_width;
  slab result = slab_shape(w, first, last);
  const float *limit = job->x + job->batch * w->channels * w->height * w->width;
  result.data = out;
  for (ptrdiff_t c = c0; c < c1; c++) {
    for (ptrdiff_t ry = 0; ry < least(s, w->kernel_height); ry++) {
      for (ptrdiff_t image = first / pixels; image * pixels < last; image++) {
        const float *plane = job->x + (image * w->channels + c) * w->height * w->width;
        ptrdiff_t from, to;
        rows_of(w, image, first, last, &from, &to);
        for (ptrdiff_t q = from; q < to + (w->kernel_height - 1) / s; q++) {
          ptrdiff_t y = q * s + ry - w->pad_top;
          if (y >= 0 && y < w->height)
            for (ptrdiff_t i = 0; i < w->width; i += lanes)
              __builtin_prefetch(plane + (w->height + y) * w->width + i);  // of the next channel
          for (ptrdiff_t rx = 0; rx < least(s, w->kernel_width); rx++, out += result.pitch) {
            if (y < 0 || y >= w->height) {
              for (ptrdiff_t i = 0; i < result.pitch; i += lanes) *(NAMED(chunk) *)(out + i) = (NAMED(chunk)){0};
            } else {
              NAMED(copy_row)(plane + y * w->width, w->width, s, rx - w->pad_left, result.pitch, limit, out);
            }
          }
        }
      }
    }
  }
  return result;
}

/// Copies up to 16 numbers and touches no others.
TARGET static inline void NAMED(copy_few)(const float *from, ptrdiff_t count, float *to) {
#if VECTOR_BYTES == 64
  __mmask16 mask = (__mmask16)((1u << count) - 1);
  _mm512_mask_storeu_ps(to, mask, _mm512_maskz_loadu_ps(mask, from));
#else
  memcpy(to, from, (size_t)count * sizeof(float));
#endif
}

/// Rows (channel, tap) of `width` pixels, 32 or 16. A run is copied 16 wide; what is too much is overwritten by the run
/// after it.
TARGET static void NAMED(pack_tile)(const covpool_window *w, const slab *from, ptrdiff_t channels, const run *runs,
                                    int count, ptrdiff_t width, float *out) {
  int exact = 0;
  for (int i = 0; i < count; i++) exact |= runs[i].is_exact;
  ptrdiff_t taps = taps_of(w);
  for (ptrdiff_t c = 0; c < channels; c++) {
    const float *plane = from->data + c * from->channel_stride;
    if (exact) {
      for (ptrdiff_t t = 0; t < taps; t++, out += width)
        for (int i = 0; i < count; i++)
          NAMED(copy_few)(plane + from->taps[t] + runs[i].source, runs[i].count, out + runs[i].start);
    } else if (count == 2) {
      const float *one = plane + runs[0].source, *two = plane + runs[1].source;
      ptrdiff_t second = runs[1].start;
      for (ptrdiff_t t = 0; t < taps; t++, out += width) {
        __builtin_prefetch(one + from->taps[t] + tile, 0, 2);  // for the tile after this one
        __builtin_prefetch(two + from->taps[t] + tile, 0, 2);
        *(NAMED(chunk) *)out = *(const NAMED(chunk) *)(one + from->taps[t]);
        *(NAMED(chunk) *)(out + second) = *(const NAMED(chunk) *)(two + from->taps[t]);
      }
    } else {
      for (ptrdiff_t t = 0; t < taps; t++, out += width)
        for (int i = 0; i < count; i++)
          *(NAMED(chunk) *)(out + runs[i].start) = *(const NAMED(chunk) *)(plane + from->taps[t] + runs[i].source);
    }
  }
}

TARGET static void NAMED(pack_pairs)(const float *x, ptrdiff_t pixels, ptrdiff_t half, ptrdiff_t channels,
                                     const run *runs, int count, ptrdiff_t width, ptrdiff_t distance, float *out) {
  typedef NAMED(chunk) chunk;
  for (ptrdiff_t k = 0; k < channels; k++, out += width) {
    const float *low = x + k * pixels, *high = low + channels * pixels;
    for (int i = 0; i < count; i++) {
      const float *rows[4] = {low + runs[i].source, low + runs[i].source + half, high + runs[i].source,
                              high + runs[i].source + half};
      float copies[4][lanes] __attribute__((aligned(64)));
      if (runs[i].is_exact)
        UNROLL_FOR (q, 4) {
          NAMED(copy_few)(rows[q], runs[i].count, copies[q]);
          rows[q] = copies[q];
        }
      chunk b11 = *(const chunk *)rows[0], b12 = *(const chunk *)rows[1];
      chunk b21 = *(const chunk *)rows[2], b22 = *(const chunk *)rows[3];
      chunk t1 = b12 - b11, t2 = b22 - t1;
      float *to = out + runs[i].start;
      *(chunk *)to = b11;
      *(chunk *)(to + distance) = b21;
      *(chunk *)(to + 2 * distance) = t2;
      *(chunk *)(to + 3 * distance) = b22 - b12;
      *(chunk *)(to + 4 * distance) = b21 - t2;
      *(chunk *)(to + 5 * distance) = t1;
      *(chunk *)(to + 6 * distance) = b22;
    }
  }
}

TARGET static void NAMED(combine_weights)(const float *a11, const float *a12, const float *a21, const float *a22,
                                          ptrdiff_t count, float *out) {
  typedef NAMED(chunk) chunk;
  for (ptrdiff_t i = 0; i < count; i += lanes) {
    chunk top = *(const chunk *)(a11 + i), below = *(const chunk *)(a21 + i);
    chunk s1 = below + *(const chunk *)(a22 + i), s2 = s1 - top;
    *(chunk *)(out + i) = s2;
    *(chunk *)(out + count + i) = top - below;
    *(chunk *)(out + 2 * count + i) = s1;
    *(chunk *)(out + 3 * count + i) = *(const chunk *)(a12 + i) - s2;
  }
}

TARGET static void NAMED(add_to_both)(const float *c, float *a, float *b, ptrdiff_t count) {
  typedef NAMED(chunk) chunk;
  for (ptrdiff_t i = 0; i < count; i += lanes) {
    *(chunk *)(a + i) += *(const chunk *)(c + i);
    *(chunk *)(b + i) += *(const chunk *)(c + i);
  }
}

TARGET static void NAMED(gather)(const float *tensor, ptrdiff_t pixels, const ptrdiff_t *starts, const run *runs,
                                 int count, ptrdiff_t rows, ptrdiff_t width, float *out) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int i = 0; i < count; i++)
      NAMED(copy_few)(tensor + starts[i] + r * pixels, runs[i].count, out + r * width + runs[i].start);
}

TARGET static void NAMED(scatter)(const float *from, ptrdiff_t width, ptrdiff_t pixels, const ptrdiff_t *starts,
                                  const run *runs, int count, ptrdiff_t rows, float *tensor) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int i = 0; i < count; i++)
      NAMED(copy_few)(from + r * width + runs[i].start, runs[i].count, tensor + starts[i] + r * pixels);
}

/// Asks for one of eight parts of the rows, to the second-level cache: the first has no room to spare.
TARGET static inline __attribute__((always_inline)) void NAMED(prefetch_part)(const tile_rows *next, int part,
                                                                              int columns) {
  for (ptrdiff_t r = next->rows * part / panel, end = next->rows * (part + 1) / panel; r < end; r++) {
    const float *row = next->start + r * next->stride;
    UNROLL_FOR (i, columns / lanes) __builtin_prefetch(row + i * lanes, 0, 2);
    __builtin_prefetch(row + columns - 1, 0, 2);
  }
}

/// One block of the products: `rows` output channels from `row`, at most 8 or else two panels of 8, and `across`
/// vectors from `column`. If `fetches`, what the target looks ahead to is asked for meanwhile.
TARGET static inline __attribute__((always_inline)) void
NAMED(block)(int rows, int across, int columns, int fetches, ptrdiff_t count, const float *a, int step,
             ptrdiff_t distance, const float *b, int b_step, ptrdiff_t row, ptrdiff_t column, const target *to) {
  typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
  typedef int32_t mask __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
  enum { width = VECTOR_BYTES / 4 };
  vector sum[2 * panel][ACROSS];
  float *y = to->y + row * to->stride + column;
  UNROLL_FOR (i, rows)
    UNROLL_FOR (j, across)
      sum[i][j] = to->accumulates ? *(const vector *)(y + i * to->stride + j * width) : (vector){0};
  if (to->start)
    UNROLL_FOR (i, rows)
      UNROLL_FOR (j, across) sum[i][j] += *(const vector *)(to->start + (row + i) * columns + column + j * width);
  const float *left = a + row, *right = b + column;
  ptrdiff_t k = 0;
  // A few lines at a time, between the products: all at once they would fill the queue of misses and hold them up.
  for (int part = 0; part < panel; part++) {
    if (fetches)
      for (int i = 0; i < 3; i++) NAMED(prefetch_part)(&to->ahead[i], part, columns);
    for (ptrdiff_t end = count * (part + 1) / panel; k < end; k++, left += step, right += b_step) {
      __builtin_prefetch(left + 64 * step);
      if (rows > panel) __builtin_prefetch(left + distance + 64 * step);
      // What there are fewer of waits in registers for the others, which come one by one.
      if (rows < across) {
        vector x[ACROSS];
        UNROLL_FOR (i, rows) x[i] = left[i] - (vector){0};
        UNROLL_FOR (j, across) {
          vector v = *(const vector *)(right + j * width);
          UNROLL_FOR (i, rows) sum[i][j] += x[i] * v;
        }
      } else {
        vector x[ACROSS];
        UNROLL_FOR (j, across) x[j] = *(const vector *)(right + j * width);
        UNROLL_FOR (i, rows)
          UNROLL_FOR (j, across) sum[i][j] += left[i < panel ? i : distance + i - panel] * x[j];
      }
    }
  }
  const float *residual = to->residual ? to->residual + row * to->stride + column : 0;
  UNROLL_FOR (i, rows)
    UNROLL_FOR (j, across) {
      vector v = sum[i][j];
      if (to->scale) v *= to->scale[row + i];
      if (to->bias) v += to->bias[row + i];
      if (residual) v += *(const vector *)(residual + i * to->stride + j * width);
      ACTIVATE(vector, mask, v, to->activation)
      *(vector *)(y + i * to->stride + j * width) = v;
    }
}

/// `rows` output channels, 8 or 16, times `columns` pixels, `together` rows and `across` vectors at a time; from one k
/// to the next a moves by `step` and b by `b_step`.
TARGET static inline __attribute__((always_inline)) void NAMED(products)(int rows, int together, int across,
                                                                         int columns, ptrdiff_t count, const float *a,
                                                                         int step, ptrdiff_t distance, const float *b,
                                                                         int b_step, const target *to) {
  // What is read and written at the end is on its way while the products are summed.
  UNROLL_FOR (i, rows) {
    __builtin_prefetch(to->y + i * to->stride, 1);
    __builtin_prefetch(to->y + i * to->stride + columns - 1, 1);
  }
  if (to->residual)
    UNROLL_FOR (i, rows) {
      __builtin_prefetch(to->residual + i * to->stride);
      __builtin_prefetch(to->residual + i * to->stride + lanes);
      __builtin_prefetch(to->residual + i * to->stride + columns - 1);
    }
  for (int column = 0; column < columns; column += VECTOR_BYTES / 4 * across) {
    int row = 0;
    for (; row + together <= rows; row += together)
      NAMED(block)(together, across, columns, row + column == 0, count, a, step, distance, b, b_step, row, column, to);
    if (row < rows)
      NAMED(block)(rows % together, across, columns, 0, count, a, step, distance, b, b_step, row, column, to);
  }
}

TARGET static void NAMED(multiply)(ptrdiff_t count, const float *a, const float *b, const target *to) {
  NAMED(products)(panel, ROWS, ACROSS, tile, count, a, panel, 0, b, tile, to);
}

TARGET static void NAMED(multiply_paneled)(ptrdiff_t count, const float *a, const float *b, const target *to) {
  NAMED(products)(panel, ROWS, ACROSS, tile, count, a, tile, 0, b, tile, to);
}

TARGET static void NAMED(multiply_paneled_square)(ptrdiff_t count, const float *a, const float *b, const target *to) {
#if VECTOR_BYTES == 64
  NAMED(products)(2 * panel, 2 * panel, 1, lanes, count, a, tile, panel, b, tile, to);
#else
  target below = *to;
  below.y += panel * to->stride;
  NAMED(products)(panel, NARROW_ROWS, NARROW_ACROSS, lanes, count, a, tile, 0, b, tile, to);
  NAMED(products)(panel, NARROW_ROWS, NARROW_ACROSS, lanes, count, a + panel, tile, 0, b, tile, &below);
#endif
}

TARGET static void NAMED(multiply_narrow)(ptrdiff_t count, int panels, const float *a, ptrdiff_t distance,
                                          const float *b, const target *to) {
#if VECTOR_BYTES == 64
  if (panels == 2) return NAMED(products)(2 * panel, 2 * panel, 1, lanes, count, a, panel, distance, b, lanes, to);
  NAMED(products)(panel, panel, 1, lanes, count, a, panel, 0, b, lanes, to);
#else
  target part = *to;
  for (int p = 0; p < panels; p++, part.y += panel * part.stride) {
    NAMED(products)(panel, NARROW_ROWS, NARROW_ACROSS, lanes, count, a + p * distance, panel, 0, b, lanes, &part);
    if (part.start) part.start += panel * lanes;
    if (part.scale) part.scale += panel;
    if (part.bias) part.bias += panel;
    if (part.residual) part.residual += panel * part.stride;
  }
#endif
}

/// Adds to sums[i][o] the products of eight rows of the slab and the gradients [pixel][outputs], 16 or 32 outputs.
TARGET static void NAMED(sum_gradients)(const slab_rows *a, const float *gradients, ptrdiff_t outputs, float *sums,
                                        ptrdiff_t stride) {
  typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
  enum { width = VECTOR_BYTES / 4 };
  ptrdiff_t column = 0;
  // With one vector across, two pixels at a time where there are registers: eight sums alone would wait for each other.
#define SUM(across, pixels)                                                                                            \
  vector sum[pixels][panel][across];                                                                                   \
  UNROLL_FOR (i, panel)                                                                                                \
    UNROLL_FOR (j, across) {                                                                                           \
      sum[0][i][j] = *(const vector *)(sums + i * stride + column + j * width);                                        \
      UNROLL for (int p = 1; p < pixels; p++) sum[p][i][j] = (vector){0};                                              \
    }                                                                                                                  \
  for (ptrdiff_t y = 0; y < a->height; y++) {                                                                          \
    const float *g = gradients + y * a->width * outputs + column, *rows[panel];                                        \
    UNROLL_FOR (i, panel) rows[i] = a->starts[i] + y * a->pitch;                                                       \
    ptrdiff_t x = 0;                                                                                                   \
    for (; x + pixels <= a->width; x += pixels, g += pixels * outputs) {                                               \
      UNROLL_FOR (p, pixels) {                                                                                         \
        vector v[across];                                                                                              \
        UNROLL_FOR (j, across) v[j] = *(const vector *)(g + p * outputs + j * width);                                  \
        UNROLL_FOR (i, panel)                                                                                          \
          UNROLL_FOR (j, across) sum[p][i][j] += rows[i][x + p] * v[j];                                                \
      }                                                                                                                \
    }                                                                                                                  \
    for (; x < a->width; x++, g += outputs)                                                                            \
      UNROLL_FOR (i, panel)                                                                                            \
        UNROLL_FOR (j, across) sum[0][i][j] += rows[i][x] * *(const vector *)(g + j * width);                          \
  }                                                                                                                    \
  UNROLL_FOR (i, panel)                                                                                                \
    UNROLL_FOR (j, across) {                                                                                           \
      UNROLL for (int p = 1; p < pixels; p++) sum[0][i][j] += sum[p][i][j];                                            \
      *(vector *)(sums + i * stride + column + j * width) = sum[0][i][j];                                              \
    }
#if REGISTERS == 32
  for (; column + width * ACROSS <= outputs; column += width * ACROSS) {
    SUM(ACROSS, 1)
  }
  for (; column < outputs; column += width) {
    SUM(1, 2)
  }
#else
  for (; column < outputs; column += width) {
    SUM(1, 1)
  }
#endif
#undef SUM
}

/// to[column][row] = from[row][column], rows that are not there as 0 up to to_stride: 16 × 16 at a time, by four
/// rounds of interleaving the first half of the rows with the second.
TARGET static void NAMED(transpose)(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, float *to,
                                    ptrdiff_t to_stride) {
  typedef float sixteen __attribute__((vector_size(64), aligned(4)));
  for (ptrdiff_t r = 0; r < to_stride; r += 16) {
    ptrdiff_t there = least(16, rows - r), c = 0;
    for (; there == 16 && c + 16 <= columns; c += 16) {
      sixteen m[16], n[16];
      UNROLL_FOR (i, 16) m[i] = *(const sixteen *)(from + (r + i) * stride + c);
      UNROLL_FOR (round, 4) {
        UNROLL_FOR (i, 8) {
          n[2 * i] = __builtin_shufflevector(m[i], m[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
          n[2 * i + 1] =
              __builtin_shufflevector(m[i], m[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        UNROLL_FOR (i, 16) m[i] = n[i];
      }
      UNROLL_FOR (i, 16) *(sixteen *)(to + (c + i) * to_stride + r) = m[i];
    }
    for (; c < columns; c++)
      for (ptrdiff_t i = 0; i < 16; i++) to[c * to_stride + r + i] = i < there ? from[(r + i) * stride + c] : 0;
  }
}

#undef VECTOR_BYTES
#undef REGISTERS
#undef ROWS
#undef NARROW_ROWS
#undef NARROW_ACROSS
#undef ACROSS
#undef TARGET
#undef NAMED
