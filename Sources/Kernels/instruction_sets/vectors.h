// What an instruction set is to the kernels. A translation unit that compiles them says
//
//     VECTOR_BYTES   how wide a register is,
//     REGISTERS      how many there are,
//     HAS_MASKS      whether single lanes can be loaded and stored,
//
// and includes this file and all kernels with its instructions switched on. Vectors are the compiler's: those that are
// wider than a register become several.

#ifndef COVPOOL_VECTORS_H
#define COVPOOL_VECTORS_H

#include <stdint.h>
#include <string.h>

#include "activation.h"

/// One register of floats, and what comparing two of them yields.
typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
typedef int32_t vector_mask __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
enum { vector_width = VECTOR_BYTES / 4 };

/// Vectors whose width is part of an algorithm.
typedef float floats16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float floats8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float floats4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t mask16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t mask8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t mask4 __attribute__((vector_size(16), aligned(4)));
typedef double doubles8 __attribute__((vector_size(64)));

// Vectors are passed between inlined functions only, where there is no calling convention to be wrong about.
#pragma clang diagnostic ignored "-Wpsabi"

#define INLINE static inline __attribute__((always_inline))

/// Before a loop whose number of rounds is a constant once its function has been inlined.
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_FOR(i, count) UNROLL for (int i = 0; i < (count); i++)

/// Before a loop that may write where it reads, but only the very number it has read.
#define IN_PLACE _Pragma("clang loop vectorize(assume_safety)")

/// v = its activation; comparing vectors of `type` gives those of `mask`. NaN stays NaN.
#define ACTIVATE(type, mask, v, activation)                                                                            \
  if ((activation) != COVPOOL_IDENTITY) v = (type)((mask)v & ~(mask)(v < 0));                                          \
  if ((activation) == COVPOOL_RELU6) v = (type)(((mask)v & ~(mask)(v > 6)) | ((mask)((type){0} + 6) & (mask)(v > 6)));

// Shuffles of two vectors of 16: every other number, and numbers in turn.
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b)                                                                                          \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/// Transposes 16 × 16 numbers by four rounds of interleaving the first half of the rows with the second.
INLINE void transpose16(floats16 m[16]) {
  floats16 n[16];
  UNROLL_FOR (round, 4) {
    UNROLL_FOR (i, 8) {
      n[2 * i] = INTERLEAVE_LOW(m[i], m[i + 8]);
      n[2 * i + 1] = INTERLEAVE_HIGH(m[i], m[i + 8]);
    }
    UNROLL_FOR (i, 16) m[i] = n[i];
  }
}

/// Copies `count` numbers, up to 16, and touches no others.
INLINE void copy_few(const float *from, ptrdiff_t count, float *to) {
#if HAS_MASKS
  __mmask16 mask = (__mmask16)((1u << count) - 1);
  _mm512_mask_storeu_ps(to, mask, _mm512_maskz_loadu_ps(mask, from));
#else
  memcpy(to, from, (size_t)count * sizeof(float));
#endif
}

/// The lanes of the mask from p, 0 in the others; nothing else is read.
INLINE void load_lanes(const float *p, unsigned mask, floats16 *to) {
  if (mask == 0xffff) {
    *to = *(const floats16 *)p;
    return;
  }
#if HAS_MASKS
  *to = (floats16)_mm512_maskz_loadu_ps((__mmask16)mask, p);
#else
  float lane[16] __attribute__((aligned(64))) = {0};
  for (int k = 0; k < 16; k++)
    if (mask >> k & 1) lane[k] = p[k];
  *to = *(const floats16 *)lane;
#endif
}

/// Overwrites the lanes of `to` where the mask's bits are set.
INLINE void replace_lanes(const int32_t *mask, const floats16 *by, floats16 *to) {
  mask16 m = *(const mask16 *)mask;
  *to = (floats16)(((mask16)*by & m) | ((mask16)*to & ~m));
}

#endif
