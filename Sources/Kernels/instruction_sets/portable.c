// What every processor of its kind has: SSE2, or NEON, whose vectors are as wide and twice as many.

#include "instruction_sets/kernel_table.h"

#define VECTOR_BYTES 16
#if defined(__x86_64__) || defined(__i386__)
#define REGISTERS 16
#else
#define REGISTERS 32
#endif
#define HAS_MASKS 0
#define LEVEL 0
#define TABLE covpool_portable_kernels

#include "instruction_sets/all_kernels.h"
