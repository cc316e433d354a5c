#ifndef COVPOOL_PROCESSOR_H
#define COVPOOL_PROCESSOR_H

/// The vector instructions that kernels use: 2 for AVX-512, 1 for AVX2, 0 for what every processor of its kind has.
int covpool_processor_level(void);

/// Makes kernels use no better instructions than those of `level`, for tests.
void covpool_limit_processor_level(int level);

#endif
