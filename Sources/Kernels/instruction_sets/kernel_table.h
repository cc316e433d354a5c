// The kernels that are compiled once for each instruction set. Rooms declare theirs; this is the table of all of them,
// of which one is chosen.

#ifndef COVPOOL_KERNEL_TABLE_H
#define COVPOOL_KERNEL_TABLE_H

// What kernels need of the C library, before any instructions are switched on.
#include <float.h>
#include <math.h>
#include <string.h>

#include "convolution/columns.h"
#include "eigen.h"
#include "gemm/gemm.h"
#include "scalar_kernels.h"
#include "winograd/tiles.h"

typedef struct {
  /// As covpool_processor_level counts.
  int level;
  gemm_kernels gemm;
  linear_kernels linear;
  symmetric_kernels symmetric;
  convolution_kernels convolution;
  winograd_kernels winograd;
#define KERNEL(result, name, parameters, arguments) result(*name) parameters;
#include "eigen/list.h"
#undef KERNEL
#define T float
#define KERNEL(result, name, parameters, arguments) result(*name##_f32) parameters;
#include "instruction_sets/scalar_list.h"
#undef KERNEL
#undef T
#define T double
#define KERNEL(result, name, parameters, arguments) result(*name##_f64) parameters;
#include "instruction_sets/scalar_list.h"
#undef KERNEL
#undef T
} kernel_table;

extern const kernel_table covpool_portable_kernels;
#if defined(__x86_64__)
extern const kernel_table covpool_avx2_kernels, covpool_avx512_kernels;
#endif

/// Those for this processor, or of the level that it is limited to.
const kernel_table *covpool_kernels(void);

#endif
