// From inputs and gradients to products, and from their sums to the gradients of weights.

/// The 36 points of a group's gradients in one channel, out[point * stride + lane].
static void transform_group_gradients(const covpool_convolution *job, const float *gradient, const tile_group *group,
                                      ptrdiff_t channel, ptrdiff_t stride, float *out) {
  const covpool_window *w = &job->window;
  const float *planes = gradient + channel * w->out_height * w->out_width;
  floats16 down[6][4];
  UNROLL_FOR (v, 4) {
    floats16 d[4], t[6];
    UNROLL_FOR (i, 4) d[i] = (floats16){0};
    for (int p = group->starts[v]; p < group->starts[v + 1]; p++) {
      const piece *at = &group->pieces[p];
      UNROLL_FOR (i, 4) {
        floats16 more;
        __builtin_prefetch(planes + 2 * w->out_height * w->out_width + at->offset + i * w->out_width + lane_count);
        load_lanes(planes + at->offset + i * w->out_width, at->masks[i], &more);
        d[i] = (floats16)((mask16)d[i] | (mask16)more);
      }
    }
    transform_gradients(d, t);
    UNROLL_FOR (i, 6) down[i][v] = t[i];
  }
  for (int i = 0; i < 6; i++) {
    const floats16 *r = down[i];
    floats16 d[4], m[6];
    sort_columns(r, d);
    transform_gradients(d, m);
    UNROLL_FOR (j, 6) *(floats16 *)(out + (6 * i + j) * stride) = m[j];
  }
}

/// Rows of 16 to columns: lanes 0 to 7 of column t go to[t * step], the others `distance` further on; `count` columns.
static void transpose_block(const float *from, ptrdiff_t count, ptrdiff_t step, ptrdiff_t distance, float *to) {
  floats16 m[16];
  UNROLL_FOR (i, 16) m[i] = *(const floats16 *)(from + 16 * i);
  transpose16(m);
  UNROLL_FOR (i, 16) {
    if (i >= count) break;
    *(floats8 *)(to + i * step) = __builtin_shufflevector(m[i], m[i], 0, 1, 2, 3, 4, 5, 6, 7);
    *(floats8 *)(to + i * step + distance) = __builtin_shufflevector(m[i], m[i], 8, 9, 10, 11, 12, 13, 14, 15);
  }
}

/// The weights' gradients of one output channel and 16 input channels, of which `there` are, at to[channel * 9 + tap].
static void collect_sums(const float *sums, ptrdiff_t stride, ptrdiff_t there, float *to) {
  floats16 down[3][6];
  UNROLL_FOR (j, 6) {
    floats16 u[6], g[3];
    UNROLL_FOR (i, 6) u[i] = *(const floats16 *)(sums + (6 * i + j) * stride);
    transform_sums(u, g);
    UNROLL_FOR (i, 3) down[i][j] = g[i];
  }
  float taps[9][lane_count] __attribute__((aligned(64)));
  UNROLL_FOR (i, 3) {
    floats16 g[3];
    transform_sums(down[i], g);
    UNROLL_FOR (j, 3) *(floats16 *)taps[3 * i + j] = g[j];
  }
  for (ptrdiff_t c = 0; c < there; c++)
    for (int t = 0; t < 9; t++) to[9 * c + t] = taps[t][c];
}
