// Steps on blocks of 32 × 32. symmetric.c includes this file once for each class of processor.

TARGET static void NAMED(scale)(float *block, float factor) {
  for (int i = 0; i < tile * tile; i++) block[i] *= factor;
}

/// z = alpha x + beta y + gamma t.
TARGET static void NAMED(combine)(float alpha, const float *x, float beta, const float *y, float gamma, const float *t,
                                  float *z) {
  for (int i = 0; i < tile * tile; i++) z[i] = alpha * x[i] + beta * y[i] + gamma * t[i];
}

#undef TARGET
#undef NAMED
