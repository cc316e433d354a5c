// The transforms of up to 16 tiles, a tile in each lane. winograd.c includes this file once for each class of
// processor.

typedef float NAMED(sixteen) __attribute__((vector_size(64), aligned(4), may_alias));

/// G g, in double precision: the weights are transformed once and used often.
typedef double NAMED(eight) __attribute__((vector_size(64)));

TARGET static inline __attribute__((always_inline)) void NAMED(transform_weights)(const NAMED(eight) g[3],
                                                                                  NAMED(eight) u[6]) {
  NAMED(eight) even = (g[0] + g[2]) * (1. / 6), odd = g[1] * (1. / 6);
  NAMED(eight) far = g[0] * (1. / 24) + g[2] * (1. / 6), half = g[1] * (1. / 12);
  u[0] = g[0] * .25;
  u[1] = -even - odd;
  u[2] = odd - even;
  u[3] = far + half;
  u[4] = far - half;
  u[5] = g[2];
}

/// The 3×3 weights of one input channel for a panel of output channels, of which `there` are, at to[point * stride].
TARGET static void NAMED(panel_weights)(const float *from, ptrdiff_t out_stride, ptrdiff_t there, int flipped,
                                        const float *scale, ptrdiff_t stride, float *to) {
  typedef float floats __attribute__((vector_size(32), aligned(4), may_alias));
  float taps[9][panel] __attribute__((aligned(32))) = {{0}}, factors[panel] __attribute__((aligned(32))) = {0};
  for (ptrdiff_t o = 0; o < there; o++) {
    const float *filter = from + o * out_stride;
    factors[o] = scale ? scale[o] : 1;
    UNROLL_FOR (t, 9) taps[flipped ? 8 - t : t][o] = filter[t];
  }
  NAMED(eight) down[3][6];
  UNROLL_FOR (x, 3) {
    NAMED(eight) g[3];
    UNROLL_FOR (y, 3)
      g[y] = __builtin_convertvector(*(const floats *)taps[3 * y + x] * *(const floats *)factors, NAMED(eight));
    NAMED(transform_weights)(g, down[x]);
  }
  UNROLL_FOR (y, 6) {
    NAMED(eight) g[3] = {down[0][y], down[1][y], down[2][y]}, u[6];
    NAMED(transform_weights)(g, u);
    UNROLL_FOR (x, 6) *(floats *)(to + (6 * y + x) * stride) = __builtin_convertvector(u[x], floats);
  }
}

/// Bᵀ d.
TARGET static inline __attribute__((always_inline)) void NAMED(transform_inputs)(const NAMED(sixteen) d[6],
                                                                                 NAMED(sixteen) v[6]) {
  NAMED(sixteen) a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
  v[0] = 4 * d[0] - 5 * d[2] + d[4];
  v[1] = a + b;
  v[2] = a - b;
  v[3] = c + e;
  v[4] = c - e;
  v[5] = 4 * d[1] - 5 * d[3] + d[5];
}

/// Aᵀ m.
TARGET static inline __attribute__((always_inline)) void NAMED(transform_outputs)(const NAMED(sixteen) m[6],
                                                                                  NAMED(sixteen) y[4]) {
  NAMED(sixteen) a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  y[0] = m[0] + a + c;
  y[1] = b + 2 * d;
  y[2] = a + 4 * c;
  y[3] = b + 8 * d + m[5];
}

/// The lanes of the mask from p, 0 in the others; nothing else is read.
TARGET static inline __attribute__((always_inline)) void NAMED(load_lanes)(const float *p, unsigned mask,
                                                                           NAMED(sixteen) * to) {
  if (mask == 0xffff) {
    *to = *(const NAMED(sixteen) *)p;
    return;
  }
#if LEVEL == 2
  *to = (NAMED(sixteen))_mm512_maskz_loadu_ps((__mmask16)mask, p);
#else
  float lane[lanes] __attribute__((aligned(64))) = {0};
  for (int k = 0; k < lanes; k++)
    if (mask >> k & 1) lane[k] = p[k];
  *to = *(const NAMED(sixteen) *)lane;
#endif
}

/// Four vectors of neighbouring columns to four columns of each tile: lane t of d[j] is column 4 t + j.
TARGET static inline __attribute__((always_inline)) void NAMED(sort_columns)(const NAMED(sixteen) * r,
                                                                             NAMED(sixteen) * d) {
  NAMED(sixteen) even01 = EVEN(r[0], r[1]), odd01 = ODD(r[0], r[1]), even23 = EVEN(r[2], r[3]), odd23 = ODD(r[2], r[3]);
  d[0] = EVEN(even01, even23);
  d[2] = ODD(even01, even23);
  d[1] = EVEN(odd01, odd23);
  d[3] = ODD(odd01, odd23);
}

/// Overwrites the lanes of `to` where the mask's bits are set.
TARGET static inline __attribute__((always_inline)) void NAMED(replace)(const int32_t *mask, const NAMED(sixteen) * by,
                                                                        NAMED(sixteen) * to) {
  typedef int32_t bits __attribute__((vector_size(64), aligned(4), may_alias));
  bits m = *(const bits *)mask;
  *to = (NAMED(sixteen))(((bits)*by & m) | ((bits)*to & ~m));
}

/// Inputs of F(2, 3) for the lanes of tiles that take it: with the first four as 0, 1, 2, 1, 2, 3, Bᵀ d is 0 at the
/// points 2 and -2 and elsewhere what the weights of F(4, 3) want.
TARGET static inline __attribute__((always_inline)) void NAMED(fold_inputs)(const int32_t *mask, NAMED(sixteen) d[6]) {
  NAMED(replace)(mask, &d[3], &d[5]);
  NAMED(replace)(mask, &d[2], &d[4]);
  NAMED(replace)(mask, &d[1], &d[3]);
}

/// The lanes of a kind's members, side by side to their places among a run's columns.
TARGET static inline __attribute__((always_inline)) void
NAMED(store_members)(const NAMED(sixteen) * v, const placement *at, ptrdiff_t channel, float *columns) {
  float *one = columns + at->starts[0] + channel * at->widths[0];
  float *two = columns + at->starts[1] + channel * at->widths[1];
  if (at->members == every_lane) {
    *(NAMED(sixteen) *)one = *v;
    return;
  }
#if LEVEL == 2
  __m512 members = _mm512_maskz_compress_ps(at->members, (__m512)*v);
  _mm512_mask_storeu_ps(one, at->masks[0], members);
  if (at->masks[1]) _mm512_mask_storeu_ps(two, at->masks[1], members);
#else
  float lane[lanes] __attribute__((aligned(64)));
  *(NAMED(sixteen) *)lane = *v;
  int k = 0;
  for (; at->masks[0] >> k & 1; k++) one[k] = lane[at->lanes_of[k]];
  for (; at->masks[1] >> k & 1; k++) two[k] = lane[at->lanes_of[k]];
#endif
}

/// Back from side by side to their lanes; 0 in the others.
TARGET static inline __attribute__((always_inline)) void NAMED(load_members)(const float *from, const placement *at,
                                                                             NAMED(sixteen) * v) {
  if (at->members == every_lane) {
    *v = *(const NAMED(sixteen) *)from;
    return;
  }
#if LEVEL == 2
  *v = (NAMED(sixteen))_mm512_maskz_expand_ps(at->members, _mm512_loadu_ps(from));
#else
  float lane[lanes] __attribute__((aligned(64))), members[lanes + 1];
  memcpy(members, from, lanes * sizeof(float));
  members[lanes] = 0;
  UNROLL_FOR (i, lanes) lane[i] = members[at->numbers[i]];
  *v = *(const NAMED(sixteen) *)lane;
#endif
}

/// The 36 products' inputs of a group in one channel, at columns[point * stride] and on where the group is placed.
TARGET static inline __attribute__((always_inline)) void NAMED(find_inputs)(const covpool_convolution *job,
                                                                            const tile_group *group, int has_edges,
                                                                            ptrdiff_t channel, ptrdiff_t stride,
                                                                            float *columns) {
  typedef NAMED(sixteen) sixteen;
  typedef int32_t mask __attribute__((vector_size(64), aligned(4)));
  const covpool_window *w = &job->window;
  ptrdiff_t size = w->height * w->width;
  const float *planes = job->x + channel * size;
  // For a segment's last tile, the two columns right of those that belong to it.
  float right[6][2][lanes] __attribute__((aligned(64))) = {{{0}}};
  for (int s = 0; s < group->count; s++) {
    const segment *at = &group->segments[s];
    ptrdiff_t column = at->x - w->pad_left + side * at->count, y = at->y - w->pad_top, last = at->lane + at->count - 1;
    const float *from = planes + (at->image * w->channels * w->height + y) * w->width + column;
    for (int i = 0; i < 6; i++, from += w->width)
      for (int j = 0; j < 2; j++)
        right[i][j][last] = y + i >= 0 && y + i < w->height && column + j < w->width ? from[j] : 0;
  }
  // Down the columns first, as they lie.
  sixteen down[6][6];
  UNROLL_FOR (v, 4) {
    sixteen d[6], t[6];
    const piece *at = &group->pieces[group->starts[v]], *end = &group->pieces[group->starts[v + 1]];
    UNROLL_FOR (i, 6) {
      d[i] = (sixteen){0};
      if (at < end) NAMED(load_lanes)(planes + at->offset + i * w->width, at->masks[i], &d[i]);
    }
    if (at < end)
      UNROLL_FOR (i, 6)
        __builtin_prefetch(planes + 2 * size + at->offset + i * w->width + lanes);  // of the channel after the next
    while (++at < end) {
      const float *from = planes + at->offset;
      UNROLL_FOR (i, 6) {
        sixteen more;
        NAMED(load_lanes)(from + i * w->width, at->masks[i], &more);
        d[i] = (sixteen)((mask)d[i] | (mask)more);
      }
    }
    if (has_edges) NAMED(fold_inputs)(group->low_pixels[v], d);
    NAMED(transform_inputs)(d, t);
    UNROLL_FOR (i, 6) down[i][v] = t[i];
  }
  UNROLL_FOR (j, 2) {
    sixteen d[6], t[6];
    UNROLL_FOR (i, 6) d[i] = *(const sixteen *)right[i][j];
    if (has_edges) NAMED(fold_inputs)(group->low, d);
    NAMED(transform_inputs)(d, t);
    UNROLL_FOR (i, 6) down[i][4 + j] = t[i];
  }
  mask ends = *(const mask *)group->ends;
  ptrdiff_t everywhere = group->places[0].starts[0] + channel * group->places[0].widths[0];
  for (int i = 0; i < 6; i++) {
    const sixteen *r = down[i];
    sixteen d[6], v[6];
    NAMED(sort_columns)(r, d);
    d[4] = (sixteen)(((mask)r[4] & ends) | ((mask)NEXT(d[0]) & ~ends));
    d[5] = (sixteen)(((mask)r[5] & ends) | ((mask)NEXT(d[1]) & ~ends));
    if (has_edges) NAMED(fold_inputs)(group->narrow, d);
    NAMED(transform_inputs)(d, v);
    UNROLL_FOR (j, 6) {
      float *to = columns + (6 * i + j) * stride;
      if (has_edges && kind_of(i, j))
        NAMED(store_members)(&v[j], &group->places[kind_of(i, j)], channel, to);
      else
        *(sixteen *)(to + everywhere) = v[j];
    }
  }
}

TARGET static void NAMED(group_inputs)(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel,
                                       ptrdiff_t stride, float *columns) {
  if (group->has_edges)
    NAMED(find_inputs)(job, group, 1, channel, stride, columns);
  else
    NAMED(find_inputs)(job, group, 0, channel, stride, columns);
}

/// Sums of a group in one channel, at sums[point * stride] and on where the group is placed, to finished outputs.
TARGET static inline __attribute__((always_inline)) void NAMED(finish_outputs)(const covpool_convolution *job,
                                                                               const tile_group *group, int has_edges,
                                                                               ptrdiff_t channel, const float *sums,
                                                                               ptrdiff_t stride) {
  typedef NAMED(sixteen) sixteen;
  typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));
  typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
  typedef int32_t mask16 __attribute__((vector_size(64)));
  typedef int32_t mask8 __attribute__((vector_size(32)));
  typedef int32_t mask4 __attribute__((vector_size(16)));
  const covpool_window *w = &job->window;
  float bias = job->bias ? job->bias[channel] : 0;
  float lower = covpool_activation_lower(job->activation), upper = covpool_activation_upper(job->activation);
  sixteen down[4][6];
  UNROLL_FOR (j, 6) {
    sixteen m[6], t[4];
    UNROLL_FOR (i, 6) {
      const placement *at = &group->places[has_edges ? kind_of(i, j) : 0];
      const float *from = sums + (6 * i + j) * stride + at->column;
      if (has_edges && kind_of(i, j))
        NAMED(load_members)(from, at, &m[i]);
      else
        m[i] = *(const sixteen *)from;
    }
    NAMED(transform_outputs)(m, t);
    // The point at infinity belongs to the last output, of F(2, 3) the second.
    if (has_edges) NAMED(replace)(group->low, &t[3], &t[1]);
    UNROLL_FOR (i, 4) down[i][j] = t[i];
  }
  float rows[4][64] __attribute__((aligned(64)));
  for (int i = 0; i < 4; i++) {
    sixteen y[4], *row = (sixteen *)rows[i];
    NAMED(transform_outputs)(down[i], y);
    if (has_edges) NAMED(replace)(group->narrow, &y[3], &y[1]);
    sixteen a = LOW(y[0], y[2]), b = HIGH(y[0], y[2]), c = LOW(y[1], y[3]), d = HIGH(y[1], y[3]);
    row[0] = LOW(a, c) + bias;
    row[1] = HIGH(a, c) + bias;
    row[2] = LOW(b, d) + bias;
    row[3] = HIGH(b, d) + bias;
  }
  for (int s = 0; s < group->count; s++) {
    const segment *at = &group->segments[s];
    ptrdiff_t height = least(side, w->out_height - at->y), width = least(side * at->count, w->out_width - at->x);
    ptrdiff_t start = ((at->image * job->out_channels + channel) * w->out_height + at->y) * w->out_width + at->x;
    for (ptrdiff_t i = 0; i < height; i++, start += w->out_width) {
      const float *from = rows[i] + side * at->lane, *residual = job->residual ? job->residual + start : 0;
      float *to = job->y + start;
      ptrdiff_t x = 0;
#define FINISH(type, mask, width_of_type)                                                                              \
  for (; x + width_of_type <= width; x += width_of_type) {                                                             \
    type v = *(const type *)(from + x);                                                                                \
    if (residual) v += *(const type *)(residual + x);                                                                  \
    ACTIVATE(type, mask, v, job->activation)                                                                           \
    *(type *)(to + x) = v;                                                                                             \
  }
      FINISH(sixteen, mask16, 16)
      FINISH(eight, mask8, 8)
      FINISH(four, mask4, 4)
#undef FINISH
      for (; x < width; x++) {
        float v = from[x] + (residual ? residual[x] : 0);
        v = v < lower ? lower : v;
        to[x] = v > upper ? upper : v;
      }
    }
  }
}

TARGET static void NAMED(group_outputs)(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel,
                                        const float *sums, ptrdiff_t stride) {
  if (group->has_edges)
    NAMED(finish_outputs)(job, group, 1, channel, sums, stride);
  else
    NAMED(finish_outputs)(job, group, 0, channel, sums, stride);
}

/// A y: the transpose of transform_outputs.
TARGET static inline __attribute__((always_inline)) void NAMED(transform_gradients)(const NAMED(sixteen) y[4],
                                                                                    NAMED(sixteen) m[6]) {
  NAMED(sixteen) even = y[0] + y[2], odd = y[1] + y[3], far = y[0] + 4 * y[2], half = 2 * y[1] + 8 * y[3];
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = far + half;
  m[4] = far - half;
  m[5] = y[3];
}

/// Gᵀ u: the transpose of transform_weights.
TARGET static inline __attribute__((always_inline)) void NAMED(transform_sums)(const NAMED(sixteen) u[6],
                                                                               NAMED(sixteen) g[3]) {
  NAMED(sixteen) near = (u[1] + u[2]) * (1.f / 6), far = u[3] + u[4];
  g[0] = u[0] * .25f - near + far * (1.f / 24);
  g[1] = (u[2] - u[1]) * (1.f / 6) + (u[3] - u[4]) * (1.f / 12);
  g[2] = far * (1.f / 6) - near + u[5];
}

/// The 36 points of a group's gradients in one channel, out[point * stride + lane].
TARGET static void NAMED(group_gradients)(const covpool_convolution *job, const float *gradient,
                                          const tile_group *group, ptrdiff_t channel, ptrdiff_t stride, float *out) {
  typedef NAMED(sixteen) sixteen;
  typedef int32_t mask __attribute__((vector_size(64), aligned(4)));
  const covpool_window *w = &job->window;
  const float *planes = gradient + channel * w->out_height * w->out_width;
  sixteen down[6][4];
  UNROLL_FOR (v, 4) {
    sixteen d[4], t[6];
    UNROLL_FOR (i, 4) d[i] = (sixteen){0};
    for (int p = group->starts[v]; p < group->starts[v + 1]; p++) {
      const piece *at = &group->pieces[p];
      UNROLL_FOR (i, 4) {
        sixteen more;
        __builtin_prefetch(planes + 2 * w->out_height * w->out_width + at->offset + i * w->out_width + lanes);
        NAMED(load_lanes)(planes + at->offset + i * w->out_width, at->masks[i], &more);
        d[i] = (sixteen)((mask)d[i] | (mask)more);
      }
    }
    NAMED(transform_gradients)(d, t);
    UNROLL_FOR (i, 6) down[i][v] = t[i];
  }
  for (int i = 0; i < 6; i++) {
    const sixteen *r = down[i];
    sixteen d[4], m[6];
    NAMED(sort_columns)(r, d);
    NAMED(transform_gradients)(d, m);
    UNROLL_FOR (j, 6) *(sixteen *)(out + (6 * i + j) * stride) = m[j];
  }
}

/// Rows of 16 to columns: lanes 0 to 7 of column t go to[t * step], the others `distance` further on; `count` columns.
TARGET static void NAMED(transpose_block)(const float *from, ptrdiff_t count, ptrdiff_t step, ptrdiff_t distance,
                                          float *to) {
  typedef NAMED(sixteen) sixteen;
  typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));
  sixteen m[16], n[16];
  UNROLL_FOR (i, 16) m[i] = *(const sixteen *)(from + 16 * i);
  UNROLL_FOR (round, 4) {
    UNROLL_FOR (i, 8) {
      n[2 * i] = LOW(m[i], m[i + 8]);
      n[2 * i + 1] = HIGH(m[i], m[i + 8]);
    }
    UNROLL_FOR (i, 16) m[i] = n[i];
  }
  UNROLL_FOR (i, 16) {
    if (i >= count) break;
    *(eight *)(to + i * step) = __builtin_shufflevector(m[i], m[i], 0, 1, 2, 3, 4, 5, 6, 7);
    *(eight *)(to + i * step + distance) = __builtin_shufflevector(m[i], m[i], 8, 9, 10, 11, 12, 13, 14, 15);
  }
}

/// The weights' gradients of one output channel and 16 input channels, of which `there` are, at to[channel * 9 + tap].
TARGET static void NAMED(collect_sums)(const float *sums, ptrdiff_t stride, ptrdiff_t there, float *to) {
  typedef NAMED(sixteen) sixteen;
  sixteen down[3][6];
  UNROLL_FOR (j, 6) {
    sixteen u[6], g[3];
    UNROLL_FOR (i, 6) u[i] = *(const sixteen *)(sums + (6 * i + j) * stride);
    NAMED(transform_sums)(u, g);
    UNROLL_FOR (i, 3) down[i][j] = g[i];
  }
  float taps[9][lanes] __attribute__((aligned(64)));
  UNROLL_FOR (i, 3) {
    sixteen g[3];
    NAMED(transform_sums)(down[i], g);
    UNROLL_FOR (j, 3) *(sixteen *)taps[3 * i + j] = g[j];
  }
  for (ptrdiff_t c = 0; c < there; c++)
    for (int t = 0; t < 9; t++) to[9 * c + t] = taps[t][c];
}

#undef LEVEL
#undef TARGET
#undef NAMED
