// The scalar kernels' public names: each calls the chosen table's.

#include "instruction_sets/kernel_table.h"

#define KERNEL(result, name, parameters, arguments)                                                                    \
  result covpool_##name parameters { return covpool_kernels()->name arguments; }
#include "eigen/list.h"
#undef KERNEL

#define T float
#define KERNEL(result, name, parameters, arguments)                                                                    \
  result covpool_##name##_f32 parameters { return covpool_kernels()->name##_f32 arguments; }
#include "instruction_sets/scalar_list.h"
#undef KERNEL
#undef T

#define T double
#define KERNEL(result, name, parameters, arguments)                                                                    \
  result covpool_##name##_f64 parameters { return covpool_kernels()->name##_f64 arguments; }
#include "instruction_sets/scalar_list.h"
