// The micro-kernels. Their block of sums fills the registers, rows times vectors across: 16 of 32 registers, so that as
// many are left for operands; of AVX2's 16, 12, which keep its two multipliers busy; of SSE's 8, since it has no
// broadcast for free.

enum {
#if REGISTERS == 32
  block_rows = 8,
  block_vectors = 2,
#elif VECTOR_BYTES == 32
  block_rows = 3,
  block_vectors = 4,
#else
  block_rows = 4,
  block_vectors = 2,
#endif
  /// Of narrow tiles, where a vector is not a whole row of one.
  narrow_rows = REGISTERS / 4,
  narrow_vectors = 2,
};

/// The operands of a product. From one k to the next `a` moves by a_step and `b` by b_step; rows 8 to 15 are those of
/// another panel, `distance` after the first.
typedef struct {
  ptrdiff_t count;
  const float *a;
  ptrdiff_t distance;
  int a_step;
  const float *b;
  int b_step;
} gemm_operands;

/// Prefetches one of eight parts of the rows, to the second-level cache: the first has no room to spare.
INLINE void prefetch_part(const prefetch_rows *next, int part, int columns) {
  for (ptrdiff_t r = next->rows * part / 8, end = next->rows * (part + 1) / 8; r < end; r++) {
    const float *row = next->start + r * next->stride;
    UNROLL_FOR (i, columns / lane_count) __builtin_prefetch(row + i * lane_count, 0, 2);
    __builtin_prefetch(row + columns - 1, 0, 2);
  }
}

/// One block of a product with `columns` columns: `rows` rows from `row` and `across` vectors from `column`.
INLINE void multiply_block(int rows, int across, int columns, int prefetches, const gemm_operands *in, ptrdiff_t row,
                           ptrdiff_t column, const gemm_output *to) {
  vector sum[2 * panel_height][block_vectors];
  float *y = to->y + row * to->stride + column;
  UNROLL_FOR (i, rows)
    UNROLL_FOR (j, across)
      sum[i][j] = to->accumulates ? *(const vector *)(y + i * to->stride + j * vector_width) : (vector){0};
  if (to->addend)
    UNROLL_FOR (i, rows)
      UNROLL_FOR (j, across)
        sum[i][j] += *(const vector *)(to->addend + (row + i) * columns + column + j * vector_width);
  const float *a = in->a + row, *b = in->b + column;
  ptrdiff_t k = 0;
  // A few lines at a time, between the products: all at once they would fill the queue of misses and hold them up.
  for (int part = 0; part < 8; part++) {
    if (prefetches)
      for (int i = 0; i < 3; i++) prefetch_part(&to->prefetch[i], part, columns);
    for (ptrdiff_t end = in->count * (part + 1) / 8; k < end; k++, a += in->a_step, b += in->b_step) {
      __builtin_prefetch(a + 64 * in->a_step);
      if (rows > panel_height) __builtin_prefetch(a + in->distance + 64 * in->a_step);
      // Keep the shorter operand in registers; stream the other.
      vector x[block_vectors];
      if (rows < across) {
        UNROLL_FOR (i, rows) x[i] = a[i] - (vector){0};
        UNROLL_FOR (j, across) {
          vector v = *(const vector *)(b + j * vector_width);
          UNROLL_FOR (i, rows) sum[i][j] += x[i] * v;
        }
      } else {
        UNROLL_FOR (j, across) x[j] = *(const vector *)(b + j * vector_width);
        UNROLL_FOR (i, rows)
          UNROLL_FOR (j, across) sum[i][j] += a[i < panel_height ? i : in->distance + i - panel_height] * x[j];
      }
    }
  }
  const float *residual = to->residual ? to->residual + row * to->stride + column : 0;
  UNROLL_FOR (i, rows)
    UNROLL_FOR (j, across) {
      vector v = sum[i][j];
      if (to->scale) v *= to->scale[row + i];
      if (to->bias) v += to->bias[row + i];
      if (residual) v += *(const vector *)(residual + i * to->stride + j * vector_width);
      ACTIVATE(vector, vector_mask, v, to->activation)
      *(vector *)(y + i * to->stride + j * vector_width) = v;
    }
}

/// A product of `rows` rows, 8 or 16, and `columns` columns in blocks of `together` rows and `across` vectors.
INLINE void multiply_blocks(int rows, int together, int across, int columns, const gemm_operands *in,
                            const gemm_output *to) {
  UNROLL_FOR (i, rows) {
    __builtin_prefetch(to->y + i * to->stride, 1);
    __builtin_prefetch(to->y + i * to->stride + columns - 1, 1);
  }
  if (to->residual)
    UNROLL_FOR (i, rows) {
      __builtin_prefetch(to->residual + i * to->stride);
      __builtin_prefetch(to->residual + i * to->stride + lane_count);
      __builtin_prefetch(to->residual + i * to->stride + columns - 1);
    }
  for (int column = 0; column < columns; column += vector_width * across) {
    int row = 0;
    for (; row + together <= rows; row += together)
      multiply_block(together, across, columns, row + column == 0, in, row, column, to);
    if (row < rows) multiply_block(rows % together, across, columns, 0, in, row, column, to);
  }
}

static void multiply(ptrdiff_t count, const float *a, const float *b, const gemm_output *to) {
  gemm_operands in = {.count = count, .a = a, .a_step = panel_height, .b = b, .b_step = tile_width};
  multiply_blocks(panel_height, block_rows, block_vectors, tile_width, &in, to);
}

static void multiply_paneled(ptrdiff_t count, const float *a, const float *b, const gemm_output *to) {
  gemm_operands in = {.count = count, .a = a, .a_step = tile_width, .b = b, .b_step = tile_width};
  multiply_blocks(panel_height, block_rows, block_vectors, tile_width, &in, to);
}

static void multiply_paneled_square(ptrdiff_t count, const float *a, const float *b, const gemm_output *to) {
  gemm_operands in = {
      .count = count, .a = a, .distance = panel_height, .a_step = tile_width, .b = b, .b_step = tile_width};
#if VECTOR_BYTES == 64
  multiply_blocks(2 * panel_height, 2 * panel_height, 1, lane_count, &in, to);
#else
  gemm_output below = *to;
  below.y += panel_height * to->stride;
  multiply_blocks(panel_height, narrow_rows, narrow_vectors, lane_count, &in, to);
  in.a += panel_height;
  multiply_blocks(panel_height, narrow_rows, narrow_vectors, lane_count, &in, &below);
#endif
}

static void multiply_narrow(ptrdiff_t count, int panels, const float *a, ptrdiff_t distance, const float *b,
                            const gemm_output *to) {
  gemm_operands in = {
      .count = count, .a = a, .distance = distance, .a_step = panel_height, .b = b, .b_step = lane_count};
#if VECTOR_BYTES == 64
  if (panels == 2) return multiply_blocks(2 * panel_height, 2 * panel_height, 1, lane_count, &in, to);
  multiply_blocks(panel_height, panel_height, 1, lane_count, &in, to);
#else
  gemm_output part = *to;
  for (int p = 0; p < panels; p++, in.a += distance, part.y += panel_height * part.stride) {
    multiply_blocks(panel_height, narrow_rows, narrow_vectors, lane_count, &in, &part);
    if (part.addend) part.addend += panel_height * lane_count;
    if (part.scale) part.scale += panel_height;
    if (part.bias) part.bias += panel_height;
    if (part.residual) part.residual += panel_height * part.stride;
  }
#endif
}

static void transpose(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, float *to,
                      ptrdiff_t to_stride) {
  for (ptrdiff_t r = 0; r < to_stride; r += 16) {
    ptrdiff_t there = least(16, rows - r), c = 0;
    for (; there == 16 && c + 16 <= columns; c += 16) {
      floats16 m[16];
      UNROLL_FOR (i, 16) m[i] = *(const floats16 *)(from + (r + i) * stride + c);
      transpose16(m);
      UNROLL_FOR (i, 16) *(floats16 *)(to + (c + i) * to_stride + r) = m[i];
    }
    for (; c < columns; c++)
      for (ptrdiff_t i = 0; i < 16; i++) to[c * to_stride + r + i] = i < there ? from[(r + i) * stride + c] : 0;
  }
}
