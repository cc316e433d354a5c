// Steps on blocks of 32 × 32 of symmetric products.

static void scale_and_add(float *block, float scale, float alpha, const float *x) {
  if (!x) {
    for (int i = 0; i < tile_width * tile_width; i++) block[i] *= scale;
    return;
  }
  for (int i = 0; i < tile_width * tile_width; i++) block[i] = scale * block[i] + alpha * x[i];
}

static void combine_blocks(float alpha, const float *x, float beta, const float *y, float gamma, const float *t,
                           float *z) {
  for (int i = 0; i < tile_width * tile_width; i++) z[i] = alpha * x[i] + beta * y[i] + gamma * t[i];
}
