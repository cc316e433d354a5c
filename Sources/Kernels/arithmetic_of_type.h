// The kernels of arithmetic.h for one type T; arithmetic.c includes this file once for each type.

KERNEL void NAME(subtract)(const T *a, const T *b, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = a[i] - b[i];
}

KERNEL void NAME(multiply)(const T *a, const T *b, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = a[i] * b[i];
}

KERNEL void NAME(drop)(const T *x, const T *random, T rate, T factor, T *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = random[i] >= rate ? x[i] * factor : 0;
}

KERNEL void NAME(sum_rows)(const T *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, double *sums) {
  if (columns == 1 && stride == 1) {
    // Independent lanes, so that the compiler may vectorise without reordering anything.
    double lanes[16] = {0};
    ptrdiff_t i = 0;
    for (; i + 16 <= rows; i += 16)
      for (int lane = 0; lane < 16; lane++) lanes[lane] += x[i + lane];
    for (; i < rows; i++) lanes[0] += x[i];
    for (int half = 8; half > 0; half /= 2)
      for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    sums[0] = lanes[0];
    return;
  }
  for (ptrdiff_t c = 0; c < columns; c++) sums[c] = 0;
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) sums[c] += x[r * stride + c];
}

KERNEL void NAME(transpose_strided)(const T *x, ptrdiff_t x_stride, ptrdiff_t rows, ptrdiff_t columns, T *y,
                                    ptrdiff_t y_stride) {
  // In blocks, so that the lines that are read in part stay in cache.
  for (ptrdiff_t r = 0; r < rows; r += 16)
    for (ptrdiff_t c = 0; c < columns; c += 16) {
      ptrdiff_t bottom = least(r + 16, rows), right = least(c + 16, columns);
      for (ptrdiff_t i = c; i < right; i++)
        for (ptrdiff_t j = r; j < bottom; j++) y[i * y_stride + j] = x[j * x_stride + i];
    }
}
