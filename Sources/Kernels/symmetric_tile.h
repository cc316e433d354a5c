// Steps on blocks of 32 × 32. symmetric.c includes this file once for each class of processor.

/// block = scale * block + alpha * x; x may be NULL, for 0.
TARGET static void NAMED(finish)(float *block, float scale, float alpha, const float *x) {
  if (!x) {
    for (int i = 0; i < tile * tile; i++) block[i] *= scale;
    return;
  }
  for (int i = 0; i < tile * tile; i++) block[i] = scale * block[i] + alpha * x[i];
}

/// z = alpha x + beta y + gamma t.
TARGET static void NAMED(combine)(float alpha, const float *x, float beta, const float *y, float gamma, const float *t,
                                  float *z) {
  for (int i = 0; i < tile * tile; i++) z[i] = alpha * x[i] + beta * y[i] + gamma * t[i];
}

#undef TARGET
#undef NAMED
