// From weights and inputs to products, and from their sums to outputs.

/// Each number's right neighbour.
#define NEXT(a) __builtin_shufflevector(a, a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15)

/// The 3×3 weights of one input channel for a panel of output channels, of which `there` are, at to[point * stride].
static void transform_panel_weights(const float *from, ptrdiff_t out_stride, ptrdiff_t there, int flipped,
                                    const float *scale, ptrdiff_t stride, float *to) {
  float taps[9][panel_height] __attribute__((aligned(32))) = {{0}},
                              factors[panel_height] __attribute__((aligned(32))) = {0};
  for (ptrdiff_t o = 0; o < there; o++) {
    const float *filter = from + o * out_stride;
    factors[o] = scale ? scale[o] : 1;
    UNROLL_FOR (t, 9) taps[flipped ? 8 - t : t][o] = filter[t];
  }
  doubles8 down[3][6];
  UNROLL_FOR (x, 3) {
    doubles8 g[3];
    UNROLL_FOR (y, 3)
      g[y] = __builtin_convertvector(*(const floats8 *)taps[3 * y + x] * *(const floats8 *)factors, doubles8);
    transform_weights(g, down[x]);
  }
  UNROLL_FOR (y, 6) {
    doubles8 g[3] = {down[0][y], down[1][y], down[2][y]}, u[6];
    transform_weights(g, u);
    UNROLL_FOR (x, 6) *(floats8 *)(to + (6 * y + x) * stride) = __builtin_convertvector(u[x], floats8);
  }
}

/// Four vectors of neighbouring columns to four columns of each tile: lane t of d[j] is column 4 t + j.
INLINE void sort_columns(const floats16 *r, floats16 *d) {
  floats16 even01 = EVEN(r[0], r[1]), odd01 = ODD(r[0], r[1]), even23 = EVEN(r[2], r[3]), odd23 = ODD(r[2], r[3]);
  d[0] = EVEN(even01, even23);
  d[2] = ODD(even01, even23);
  d[1] = EVEN(odd01, odd23);
  d[3] = ODD(odd01, odd23);
}

/// Inputs of F(2, 3) for the lanes of tiles that take it: with the first four as 0, 1, 2, 1, 2, 3, Bᵀ d is 0 at the
/// points 2 and -2 and elsewhere what the weights of F(4, 3) want.
INLINE void fold_inputs(const int32_t *mask, floats16 d[6]) {
  replace_lanes(mask, &d[3], &d[5]);
  replace_lanes(mask, &d[2], &d[4]);
  replace_lanes(mask, &d[1], &d[3]);
}

/// The lanes of a kind's members, side by side to their places among a run's columns.
INLINE void store_members(const floats16 *v, const placement *at, ptrdiff_t channel, float *columns) {
  float *one = columns + at->starts[0] + channel * at->widths[0];
  float *two = columns + at->starts[1] + channel * at->widths[1];
  if (at->members == every_lane) {
    *(floats16 *)one = *v;
    return;
  }
#if HAS_MASKS
  __m512 members = _mm512_maskz_compress_ps(at->members, (__m512)*v);
  _mm512_mask_storeu_ps(one, at->masks[0], members);
  if (at->masks[1]) _mm512_mask_storeu_ps(two, at->masks[1], members);
#else
  float lane[lane_count] __attribute__((aligned(64)));
  *(floats16 *)lane = *v;
  int k = 0;
  for (; at->masks[0] >> k & 1; k++) one[k] = lane[at->lanes_of[k]];
  for (; at->masks[1] >> k & 1; k++) two[k] = lane[at->lanes_of[k]];
#endif
}

/// Back from side by side to their lanes; 0 in the others.
INLINE void load_members(const float *from, const placement *at, floats16 *v) {
  if (at->members == every_lane) {
    *v = *(const floats16 *)from;
    return;
  }
#if HAS_MASKS
  *v = (floats16)_mm512_maskz_expand_ps(at->members, _mm512_loadu_ps(from));
#else
  float lane[lane_count] __attribute__((aligned(64))), members[lane_count + 1];
  memcpy(members, from, lane_count * sizeof(float));
  members[lane_count] = 0;
  UNROLL_FOR (i, lane_count) lane[i] = members[at->numbers[i]];
  *v = *(const floats16 *)lane;
#endif
}

/// The 36 products' inputs of a group in one channel, at columns[point * stride] and on where the group is placed.
INLINE void transform_inputs_of_group(const covpool_convolution *job, const tile_group *group, int has_edges,
                                      ptrdiff_t channel, ptrdiff_t stride, float *columns) {
  const covpool_window *w = &job->window;
  ptrdiff_t size = w->height * w->width;
  const float *planes = job->x + channel * size;
  // For a segment's last tile, the two columns right of those that belong to it.
  float right[6][2][lane_count] __attribute__((aligned(64))) = {{{0}}};
  for (int s = 0; s < group->count; s++) {
    const segment *at = &group->segments[s];
    ptrdiff_t column = at->x - w->pad_left + side * at->count, y = at->y - w->pad_top, last = at->lane + at->count - 1;
    const float *from = planes + (at->image * w->channels * w->height + y) * w->width + column;
    for (int i = 0; i < 6; i++, from += w->width)
      for (int j = 0; j < 2; j++)
        right[i][j][last] = y + i >= 0 && y + i < w->height && column + j < w->width ? from[j] : 0;
  }
  // Down the columns first, as they lie.
  floats16 down[6][6];
  UNROLL_FOR (v, 4) {
    floats16 d[6], t[6];
    const piece *at = &group->pieces[group->starts[v]], *end = &group->pieces[group->starts[v + 1]];
    UNROLL_FOR (i, 6) {
      d[i] = (floats16){0};
      if (at < end) load_lanes(planes + at->offset + i * w->width, at->masks[i], &d[i]);
    }
    if (at < end)
      UNROLL_FOR (i, 6)
        __builtin_prefetch(planes + 2 * size + at->offset + i * w->width +
                           lane_count);  // of the channel after the next
    while (++at < end) {
      const float *from = planes + at->offset;
      UNROLL_FOR (i, 6) {
        floats16 more;
        load_lanes(from + i * w->width, at->masks[i], &more);
        d[i] = (floats16)((mask16)d[i] | (mask16)more);
      }
    }
    if (has_edges) fold_inputs(group->low_pixels[v], d);
    transform_inputs(d, t);
    UNROLL_FOR (i, 6) down[i][v] = t[i];
  }
  UNROLL_FOR (j, 2) {
    floats16 d[6], t[6];
    UNROLL_FOR (i, 6) d[i] = *(const floats16 *)right[i][j];
    if (has_edges) fold_inputs(group->low, d);
    transform_inputs(d, t);
    UNROLL_FOR (i, 6) down[i][4 + j] = t[i];
  }
  mask16 ends = *(const mask16 *)group->ends;
  ptrdiff_t everywhere = group->places[0].starts[0] + channel * group->places[0].widths[0];
  for (int i = 0; i < 6; i++) {
    const floats16 *r = down[i];
    floats16 d[6], v[6];
    sort_columns(r, d);
    d[4] = (floats16)(((mask16)r[4] & ends) | ((mask16)NEXT(d[0]) & ~ends));
    d[5] = (floats16)(((mask16)r[5] & ends) | ((mask16)NEXT(d[1]) & ~ends));
    if (has_edges) fold_inputs(group->narrow, d);
    transform_inputs(d, v);
    UNROLL_FOR (j, 6) {
      float *to = columns + (6 * i + j) * stride;
      if (has_edges && kind_of(i, j))
        store_members(&v[j], &group->places[kind_of(i, j)], channel, to);
      else
        *(floats16 *)(to + everywhere) = v[j];
    }
  }
}

static void transform_group_inputs(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel,
                                   ptrdiff_t stride, float *columns) {
  if (group->has_edges)
    transform_inputs_of_group(job, group, 1, channel, stride, columns);
  else
    transform_inputs_of_group(job, group, 0, channel, stride, columns);
}

/// Sums of a group in one channel, at sums[point * stride] and on where the group is placed, to finished outputs.
INLINE void finish_outputs(const covpool_convolution *job, const tile_group *group, int has_edges, ptrdiff_t channel,
                           const float *sums, ptrdiff_t stride) {
  const covpool_window *w = &job->window;
  float bias = job->bias ? job->bias[channel] : 0;
  float lower = covpool_activation_lower(job->activation), upper = covpool_activation_upper(job->activation);
  floats16 down[4][6];
  UNROLL_FOR (j, 6) {
    floats16 m[6], t[4];
    UNROLL_FOR (i, 6) {
      const placement *at = &group->places[has_edges ? kind_of(i, j) : 0];
      const float *from = sums + (6 * i + j) * stride + at->column;
      if (has_edges && kind_of(i, j))
        load_members(from, at, &m[i]);
      else
        m[i] = *(const floats16 *)from;
    }
    transform_outputs(m, t);
    // The point at infinity belongs to the last output, of F(2, 3) the second.
    if (has_edges) replace_lanes(group->low, &t[3], &t[1]);
    UNROLL_FOR (i, 4) down[i][j] = t[i];
  }
  float rows[4][64] __attribute__((aligned(64)));
  for (int i = 0; i < 4; i++) {
    floats16 y[4], *row = (floats16 *)rows[i];
    transform_outputs(down[i], y);
    if (has_edges) replace_lanes(group->narrow, &y[3], &y[1]);
    floats16 a = INTERLEAVE_LOW(y[0], y[2]), b = INTERLEAVE_HIGH(y[0], y[2]), c = INTERLEAVE_LOW(y[1], y[3]),
             d = INTERLEAVE_HIGH(y[1], y[3]);
    row[0] = INTERLEAVE_LOW(a, c) + bias;
    row[1] = INTERLEAVE_HIGH(a, c) + bias;
    row[2] = INTERLEAVE_LOW(b, d) + bias;
    row[3] = INTERLEAVE_HIGH(b, d) + bias;
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
      FINISH(floats16, mask16, 16)
      FINISH(floats8, mask8, 8)
      FINISH(floats4, mask4, 4)
#undef FINISH
      for (; x < width; x++) {
        float v = from[x] + (residual ? residual[x] : 0);
        v = v < lower ? lower : v;
        to[x] = v > upper ? upper : v;
      }
    }
  }
}

static void transform_group_outputs(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel,
                                    const float *sums, ptrdiff_t stride) {
  if (group->has_edges)
    finish_outputs(job, group, 1, channel, sums, stride);
  else
    finish_outputs(job, group, 0, channel, sums, stride);
}
