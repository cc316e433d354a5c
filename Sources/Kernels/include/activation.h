// What is done to the result of a convolution or a normalisation while it is in registers.

#ifndef COVPOOL_ACTIVATION_H
#define COVPOOL_ACTIVATION_H

typedef enum {
  /// Nothing.
  COVPOOL_IDENTITY = 0,
  /// max(x, 0); NaN stays NaN.
  COVPOOL_RELU = 1,
  /// min(max(x, 0), 6); NaN stays NaN.
  COVPOOL_RELU6 = 2,
} covpool_activation;

/// The activation is min(max(x, lower), upper).
static inline float covpool_activation_lower(covpool_activation activation) {
  return activation == COVPOOL_IDENTITY ? -__builtin_inff() : 0;
}
static inline float covpool_activation_upper(covpool_activation activation) {
  return activation == COVPOOL_RELU6 ? 6 : __builtin_inff();
}

#endif
