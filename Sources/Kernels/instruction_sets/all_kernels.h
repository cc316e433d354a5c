// The kernels of all rooms and their table TABLE of LEVEL, for the instruction set of the translation unit that
// includes this.

#include "instruction_sets/vectors.h"

#include "gemm/gemm_kernels.h"
#include "gemm/linear_kernels.h"
#include "gemm/symmetric_kernels.h"

#include "convolution/columns_kernels.h"
#include "convolution/strassen_kernels.h"
#include "convolution/weight_gradient_kernels.h"

#include "winograd/transforms.h"
#include "winograd/forward_kernels.h"
#include "winograd/gradient_kernels.h"

#include "eigen/secular_kernels.h"

#define T float
#define NAME(name) name##_f32
#include "instruction_sets/scalar_kernels_of_type.h"
#undef T
#undef NAME
#define T double
#define NAME(name) name##_f64
#include "instruction_sets/scalar_kernels_of_type.h"
#undef T
#undef NAME

#include "depthwise/depthwise_kernels.h"
#include "depthwise/depthwise_gradient_kernels.h"

const kernel_table TABLE = {
    .level = LEVEL,
    .gemm = {.multiply = multiply,
             .multiply_narrow = multiply_narrow,
             .multiply_paneled = multiply_paneled,
             .multiply_paneled_square = multiply_paneled_square,
             .transpose = transpose},
    .linear = {.add_products = add_products},
    .symmetric = {.scale_and_add = scale_and_add, .combine = combine_blocks},
    .convolution = {.make_slab = make_slab,
                    .pack_tile = pack_tile,
                    .gather = gather,
                    .scatter = scatter,
                    .sum_gradients = sum_gradients,
                    .pack_pairs = pack_pairs,
                    .combine_weights = combine_weights,
                    .add_to_both = add_to_both},
    .winograd = {.weights = transform_panel_weights,
                 .inputs = transform_group_inputs,
                 .outputs = transform_group_outputs,
                 .gradients = transform_group_gradients,
                 .transpose = transpose_block,
                 .collect = collect_sums},
#define KERNEL(result, name, parameters, arguments) .name = name,
#include "eigen/list.h"
#undef KERNEL
#define KERNEL(result, name, parameters, arguments) .name##_f32 = name##_f32,
#include "instruction_sets/scalar_list.h"
#undef KERNEL
#define KERNEL(result, name, parameters, arguments) .name##_f64 = name##_f64,
#include "instruction_sets/scalar_list.h"
#undef KERNEL
};
