// Eight output channels times 32 pixels, in vectors of VECTOR_BYTES, ACROSS of them side by side: sums stay in registers.
// convolution.c includes this file once for each class of processor.

MICRO_KERNEL(ptrdiff_t count, const float *a, const float *b, const target *to) {
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

#undef VECTOR_BYTES
#undef ACROSS
#undef MICRO_KERNEL
