#include "kernels.h"

#include <math.h>
#include <string.h>

#include "dispatch.h"

// Before a loop that may write where it reads, but only the very number it has read.
#if defined(__clang__)
#define IN_PLACE _Pragma("clang loop vectorize(assume_safety)")
#else
#define IN_PLACE
#endif

#define T float
#define NAME(kernel) covpool_##kernel##_f32
#include "kernels_of_type.h"
#undef T
#undef NAME

#define T double
#define NAME(kernel) covpool_##kernel##_f64
#include "kernels_of_type.h"

KERNEL void covpool_center_rows_to_double(const float *x, double *y, ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *in = x + r * columns;
    double *out = y + r * columns;
    double mean = covpool_sum_f32(in, columns) / (double)columns;
    for (ptrdiff_t c = 0; c < columns; c++) out[c] = in[c] - mean;
  }
}

KERNEL void covpool_root_differences(const double *roots, ptrdiff_t n, double *differences) {
  for (ptrdiff_t i = 0; i < n; i++) {
    double root = roots[i], *row = differences + i * n;
    for (ptrdiff_t j = 0; j < n; j++) {
      double sum = root + roots[j];
      row[j] = sum > 0 ? 1 / sum : 0;
    }
  }
}
