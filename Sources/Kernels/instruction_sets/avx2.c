// AVX2 and fused multiplication, as of Haswell and Zen.

#if defined(__x86_64__)
#include "instruction_sets/kernel_table.h"

#define VECTOR_BYTES 32
#define REGISTERS 16
#define HAS_MASKS 0
#define LEVEL 1
#define TABLE covpool_avx2_kernels

#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "instruction_sets/all_kernels.h"
#pragma clang attribute pop
#endif
