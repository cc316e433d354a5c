// Loops over plain memory. Nothing here allocates, chooses an algorithm or knows what a tensor is.
//
// Every kernel exists for float (`_f32`) and double (`_f64`); the rooms' lists say what each does.

#ifndef COVPOOL_SCALAR_KERNELS_H
#define COVPOOL_SCALAR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "activation.h"
#include "window.h"

/// Images that are image_size numbers apart, and in each of them rows of pixels for some channels.
typedef struct {
  ptrdiff_t images, image_size, channels, pixels;
} covpool_batch;

#define T float
#define KERNEL(result, name, parameters, arguments) result covpool_##name##_f32 parameters;
#include "../instruction_sets/scalar_list.h"
#undef KERNEL
#undef T

#define T double
#define KERNEL(result, name, parameters, arguments) result covpool_##name##_f64 parameters;
#include "../instruction_sets/scalar_list.h"
#undef KERNEL
#undef T

/// y[i] = deviation * standard normal (Box-Muller), a function of seed and first + i: the same bits on every processor.
void covpool_normal_f32(uint64_t seed, uint64_t first, float deviation, float *y, ptrdiff_t count);
void covpool_normal_f64(uint64_t seed, uint64_t first, double deviation, double *y, ptrdiff_t count);

#endif
