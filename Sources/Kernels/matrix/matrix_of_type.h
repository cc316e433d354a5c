// Kernels on matrices of one scalar type T.

static void NAME(upper_triangle)(const T *x, T *y, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    memcpy(y, x + i * n + i, (size_t)(n - i) * sizeof(T));
    y += n - i;
  }
}

static void NAME(from_upper_triangle)(const T *triangle, T *matrix, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    memset(matrix + i * n, 0, (size_t)i * sizeof(T));
    memcpy(matrix + i * n + i, triangle, (size_t)(n - i) * sizeof(T));
    triangle += n - i;
  }
}

// In blocks of 16, which keep the strided side in cache; the compiler knows which triangle is copied.
INLINE void NAME(mirror)(T *x, ptrdiff_t n, int from_lower) {
  for (ptrdiff_t bi = 0; bi < n; bi += 16)
    for (ptrdiff_t bj = 0; bj <= bi; bj += 16)
      for (ptrdiff_t i = bi; i < least(bi + 16, n); i++)
        for (ptrdiff_t j = bj; j < least(bj + 16, i); j++) {
          if (from_lower)
            x[j * n + i] = x[i * n + j];
          else
            x[i * n + j] = x[j * n + i];
        }
}

static void NAME(mirror_upper)(T *x, ptrdiff_t n) { NAME(mirror)(x, n, 0); }

static void NAME(mirror_lower)(T *x, ptrdiff_t n) { NAME(mirror)(x, n, 1); }

static void NAME(transpose)(const T *x, ptrdiff_t x_stride, ptrdiff_t rows, ptrdiff_t columns, T *y,
                            ptrdiff_t y_stride) {
  // In blocks, so that the lines that are read in part stay in cache.
  for (ptrdiff_t r = 0; r < rows; r += 16)
    for (ptrdiff_t c = 0; c < columns; c += 16) {
      ptrdiff_t bottom = least(r + 16, rows), right = least(c + 16, columns);
      for (ptrdiff_t i = c; i < right; i++)
        for (ptrdiff_t j = r; j < bottom; j++) y[i * y_stride + j] = x[j * x_stride + i];
    }
}

static void NAME(plus_transpose)(const T *x, T *y, ptrdiff_t n) {
  for (ptrdiff_t bi = 0; bi < n; bi += 16) {
    for (ptrdiff_t bj = 0; bj < n; bj += 16) {
      ptrdiff_t ie = bi + 16 < n ? bi + 16 : n, je = bj + 16 < n ? bj + 16 : n;
      for (ptrdiff_t i = bi; i < ie; i++)
        for (ptrdiff_t j = bj; j < je; j++) y[i * n + j] = x[i * n + j] + x[j * n + i];
    }
  }
}

static void NAME(combine)(T alpha, const T *x, T beta, const T *y, T gamma, T *z, ptrdiff_t n) {
  // In blocks of 16 columns, so that what is read down the columns stays in cache.
  for (ptrdiff_t j0 = 0; j0 < n; j0 += 16)
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t j = j0; j < n && j < j0 + 16; j++)
        z[i * n + j] = alpha * x[i * n + j] + beta * y[i * n + j] + gamma * y[j * n + i];
}

static void NAME(symmetrize)(T alpha, const T *x, T beta, T *c, ptrdiff_t n) {
  for (ptrdiff_t j0 = 0; j0 < n; j0 += 16)
    for (ptrdiff_t i = 0; i < n; i++)
      for (ptrdiff_t j = j0 > i ? j0 : i; j < n && j < j0 + 16; j++) {
        T sum = alpha * x[i * n + j] + beta * (c[i * n + j] + c[j * n + i]);
        c[i * n + j] = sum;
        c[j * n + i] = sum;
      }
}

#define CENTER NAME(center)
#define RESULT T
#include "matrix/center_of_types.h"

#define CENTER NAME(center_to_double)
#define RESULT double
#include "matrix/center_of_types.h"
