// The transforms of F(4×4, 3×3) in one direction, in the terms of Lavin and Gray 2016, in every lane at once.

/// G g, in double precision: the weights are transformed once and used often.
INLINE void transform_weights(const doubles8 g[3], doubles8 u[6]) {
  doubles8 even = (g[0] + g[2]) * (1. / 6), odd = g[1] * (1. / 6);
  doubles8 far = g[0] * (1. / 24) + g[2] * (1. / 6), half = g[1] * (1. / 12);
  u[0] = g[0] * .25;
  u[1] = -even - odd;
  u[2] = odd - even;
  u[3] = far + half;
  u[4] = far - half;
  u[5] = g[2];
}

/// Bᵀ d.
INLINE void transform_inputs(const floats16 d[6], floats16 v[6]) {
  floats16 a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
  v[0] = 4 * d[0] - 5 * d[2] + d[4];
  v[1] = a + b;
  v[2] = a - b;
  v[3] = c + e;
  v[4] = c - e;
  v[5] = 4 * d[1] - 5 * d[3] + d[5];
}

/// Aᵀ m.
INLINE void transform_outputs(const floats16 m[6], floats16 y[4]) {
  floats16 a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  y[0] = m[0] + a + c;
  y[1] = b + 2 * d;
  y[2] = a + 4 * c;
  y[3] = b + 8 * d + m[5];
}

/// A y: the transpose of transform_outputs.
INLINE void transform_gradients(const floats16 y[4], floats16 m[6]) {
  floats16 even = y[0] + y[2], odd = y[1] + y[3], far = y[0] + 4 * y[2], half = 2 * y[1] + 8 * y[3];
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = far + half;
  m[4] = far - half;
  m[5] = y[3];
}

/// Gᵀ u: the transpose of transform_weights.
INLINE void transform_sums(const floats16 u[6], floats16 g[3]) {
  floats16 near = (u[1] + u[2]) * (1.f / 6), far = u[3] + u[4];
  g[0] = u[0] * .25f - near + far * (1.f / 24);
  g[1] = (u[2] - u[1]) * (1.f / 6) + (u[3] - u[4]) * (1.f / 12);
  g[2] = far * (1.f / 6) - near + u[5];
}
