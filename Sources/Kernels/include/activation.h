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

#endif
