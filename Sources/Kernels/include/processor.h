#ifndef COVPOOL_PROCESSOR_H
#define COVPOOL_PROCESSOR_H

/// The vector instructions that kernels use: 2 for AVX-512, 1 for AVX2, 0 for what every processor of its kind has.
int covpool_processor_level(void);

/// Makes all kernels use no better instructions than those of `level`, for tests.
void covpool_limit_processor_level(int level);

/// A hint to the processor that the thread is spinning.
static inline void covpool_spin_hint(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
