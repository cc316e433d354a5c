// The innermost loops of convolution and of its weights' gradient, in vectors of VECTOR_BYTES, ACROSS of them side by side:
// sums stay in registers. convolution.c includes this file once for each class of processor.

/// Eight output channels times 32 pixels.
TARGET static void NAMED(multiply)(ptrdiff_t count, const float *a, const float *b, const target *to) {
  typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
  typedef int32_t mask __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
  enum { width = VECTOR_BYTES / 4 };
  for (int column = 0; column < tile; column += width * ACROSS) {
    vector sum[panel][ACROSS];
    float *y = to->y + column;
#pragma clang loop unroll(full)
    for (int i = 0; i < panel; i++)
#pragma clang loop unroll(full)
      for (int j = 0; j < ACROSS; j++)
        sum[i][j] = to->accumulates ? *(const vector *)(y + i * to->stride + j * width) : (vector){0};
    const float *left = a, *right = b + column;
    for (ptrdiff_t k = 0; k < count; k++, left += panel, right += tile) {
      vector x[ACROSS];
#pragma clang loop unroll(full)
      for (int j = 0; j < ACROSS; j++) x[j] = *(const vector *)(right + j * width);
#pragma clang loop unroll(full)
      for (int i = 0; i < panel; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < ACROSS; j++) sum[i][j] += left[i] * x[j];
    }
    const float *residual = to->residual ? to->residual + column : 0;
#pragma clang loop unroll(full)
    for (int i = 0; i < panel; i++)
#pragma clang loop unroll(full)
      for (int j = 0; j < ACROSS; j++) {
        vector v = sum[i][j];
        if (to->bias) v += to->bias[i];
        if (residual) v += *(const vector *)(residual + i * to->stride + j * width);
        if (to->relu) v = (vector)((mask)v & ~(mask)(v < 0));  // NaN stays NaN
        *(vector *)(y + i * to->stride + j * width) = v;
      }
  }
}

/// Adds to sums[i][o] the products of eight rows of the slab and the gradients [pixel][outputs], 16 or 32 outputs.
TARGET static void NAMED(sum_gradients)(const slab_rows *a, const float *gradients, ptrdiff_t outputs, float *sums,
                                        ptrdiff_t stride) {
  typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
  enum { width = VECTOR_BYTES / 4 };
  ptrdiff_t column = 0;
#define SUM(across)                                                                                                    \
  vector sum[panel][across];                                                                                           \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < panel; i++) _Pragma("clang loop unroll(full)") for (          \
      int j = 0; j < across; j++) sum[i][j] = *(const vector *)(sums + i * stride + column + j * width);               \
  for (ptrdiff_t y = 0; y < a->height; y++) {                                                                          \
    const float *g = gradients + y * a->width * outputs + column, *rows[panel];                                        \
    for (int i = 0; i < panel; i++) rows[i] = a->starts[i] + y * a->pitch;                                             \
    for (ptrdiff_t x = 0; x < a->width; x++, g += outputs) {                                                           \
      vector v[across];                                                                                                \
      _Pragma("clang loop unroll(full)") for (int j = 0; j < across; j++) v[j] = *(const vector *)(g + j * width);     \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < panel; i++)                                               \
          _Pragma("clang loop unroll(full)") for (int j = 0; j < across; j++) sum[i][j] += rows[i][x] * v[j];          \
    }                                                                                                                  \
  }                                                                                                                    \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < panel; i++) _Pragma("clang loop unroll(full)") for (          \
      int j = 0; j < across; j++) *(vector *)(sums + i * stride + column + j * width) = sum[i][j];
  for (; column + width * ACROSS <= outputs; column += width * ACROSS) {
    SUM(ACROSS)
  }
#if ACROSS > 1
  for (; column < outputs; column += width) {
    SUM(1)
  }
#endif
#undef SUM
}

/// to[column][row] = from[row][column], rows that are not there as 0 up to to_stride: 16 × 16 at a time, by four rounds of
/// interleaving the first half of the rows with the second.
TARGET static void NAMED(transpose)(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, float *to,
                                    ptrdiff_t to_stride) {
  typedef float sixteen __attribute__((vector_size(64), aligned(4)));
  for (ptrdiff_t r = 0; r < to_stride; r += 16) {
    ptrdiff_t there = least(16, rows - r), c = 0;
    for (; there == 16 && c + 16 <= columns; c += 16) {
      sixteen m[16], n[16];
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) m[i] = *(const sixteen *)(from + (r + i) * stride + c);
#pragma clang loop unroll(full)
      for (int round = 0; round < 4; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 8; i++) {
          n[2 * i] = __builtin_shufflevector(m[i], m[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
          n[2 * i + 1] =
              __builtin_shufflevector(m[i], m[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) m[i] = n[i];
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) *(sixteen *)(to + (c + i) * to_stride + r) = m[i];
    }
    for (; c < columns; c++)
      for (ptrdiff_t i = 0; i < 16; i++) to[c * to_stride + r + i] = i < there ? from[(r + i) * stride + c] : 0;
  }
}

#undef VECTOR_BYTES
#undef ACROSS
#undef TARGET
#undef NAMED
