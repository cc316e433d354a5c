// Normal random numbers, compiled once: what fused multiplication rounds otherwise would be other numbers on another
// processor, and the C library's functions take the time.

#include "elementwise/random.h"

#include <math.h>

#include "scalar_kernels.h"

static double normal(uint64_t seed, uint64_t counter) {
  uint64_t pair = counter & ~(uint64_t)1;
  double radius = sqrt(-2 * log(1 - unit_interval(seed, pair)));
  double angle = 6.283185307179586 * unit_interval(seed, pair + 1);
  return radius * (counter & 1 ? sin(angle) : cos(angle));
}

void covpool_normal_f32(uint64_t seed, uint64_t first, float deviation, float *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = (float)(deviation * normal(seed, first + (uint64_t)i));
}

void covpool_normal_f64(uint64_t seed, uint64_t first, double deviation, double *y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) y[i] = deviation * normal(seed, first + (uint64_t)i);
}
