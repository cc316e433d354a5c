// AVX-512 as of Skylake-X and Zen 4.

#if defined(__x86_64__)
#include <immintrin.h>

#include "instruction_sets/kernel_table.h"

#define VECTOR_BYTES 64
#define REGISTERS 32
#define HAS_MASKS 1
#define LEVEL 2
#define TABLE covpool_avx512_kernels

#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#include "instruction_sets/all_kernels.h"
#pragma clang attribute pop
#endif
