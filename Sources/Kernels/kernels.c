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

#define CENTER covpool_center_f32
#define FROM float
#define TO float
#include "center.h"

#define CENTER covpool_center_f64
#define FROM double
#define TO double
#include "center.h"

#define CENTER covpool_center_to_double
#define FROM float
#define TO double
#include "center.h"

KERNEL void covpool_root_differences(const double *roots, ptrdiff_t n, double *differences) {
  for (ptrdiff_t i = 0; i < n; i++) {
    double root = roots[i], *row = differences + i * n;
    for (ptrdiff_t j = 0; j < n; j++) {
      double sum = root + roots[j];
      row[j] = sum > 0 ? 1 / sum : 0;
    }
  }
}
