// Counts the allocations of the process that links this, by taking the C library's place in front of it (glibc only).

#ifndef COVPOOL_ALLOCATION_COUNTING_H
#define COVPOOL_ALLOCATION_COUNTING_H

#include <stddef.h>

/// Whether allocations are counted here.
int allocation_counting_works(void);

/// Calls that asked for memory so far, in all threads, but for those that the BLAS library makes itself.
ptrdiff_t allocation_count(void);

/// Those of the BLAS library: OpenBLAS allocates in its kernels for small products on AVX-512, whoever calls them.
ptrdiff_t blas_allocation_count(void);

/// Bytes in use, as the C library rounds them.
ptrdiff_t allocation_bytes(void);

#endif
