#include "processor.h"

#include <stdatomic.h>

#include "instruction_sets/kernel_table.h"

static int found_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd"))
    return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return 1;
#endif
  return 0;
}

static _Atomic(const kernel_table *) chosen;

static const kernel_table *choose(int limit) {
  const kernel_table *tables[] = {
      &covpool_portable_kernels,
#if defined(__x86_64__)
      &covpool_avx2_kernels,
      &covpool_avx512_kernels,
#endif
  };
  int found = found_level();
  const kernel_table *table = tables[limit < 0 ? 0 : limit < found ? limit : found];
  atomic_store_explicit(&chosen, table, memory_order_relaxed);
  return table;
}

const kernel_table *covpool_kernels(void) {
  const kernel_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  return table ? table : choose(2);
}

int covpool_processor_level(void) { return covpool_kernels()->level; }

void covpool_limit_processor_level(int level) { choose(level); }
