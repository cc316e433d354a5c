// The columns of a convolution in single precision: where the pixels under each tap lie, and the kernels that pack
// tiles of them.

#ifndef COVPOOL_CONVOLUTION_COLUMNS_H
#define COVPOOL_CONVOLUTION_COLUMNS_H

#include "gemm/gemm.h"

static inline ptrdiff_t taps_of(const covpool_window *w) { return w->kernel_height * w->kernel_width; }

/// Panels of output channels.
static inline ptrdiff_t panels_of(ptrdiff_t out_channels) { return (out_channels + panel_height - 1) / panel_height; }

// Products of one block of input channels. The 64 KB of a tile's columns come from the second-level cache quickly
// enough; fewer would have outputs read and written more often.
enum { products_of_block = 512 };

/// Input channels whose products are summed before the result is stored.
static inline ptrdiff_t channels_of_block(const covpool_window *w) {
  ptrdiff_t products = w->channels * taps_of(w);
  ptrdiff_t blocks = (products + products_of_block - 1) / products_of_block;
  return blocks > 0 ? (w->channels + blocks - 1) / blocks : w->channels;
}

/// Whether the input is its own slab.
static inline int needs_no_copy(const covpool_window *w) {
  return taps_of(w) == 1 && w->stride == 1 && w->pad_top == 0 && w->pad_left == 0 && w->out_height == w->height &&
         w->out_width == w->width;
}

/// Where a piece's input lies, with all padding in place and, for a stride of more than 1, rows and columns sorted by
/// their remainder, so that the pixels under one tap are next to each other: [channel, row remainder, row, column
/// remainder, column].
typedef struct {
  const float *data;
  ptrdiff_t pitch, row_pitch, rows, channel_stride;
  /// Where the pixels under each tap begin.
  const ptrdiff_t *taps;
  int is_copy;
} slab;

/// The slab for output pixels [first, last) of the batch, without its data.
slab covpool_slab_shape(const covpool_window *w, ptrdiff_t first, ptrdiff_t last);

/// Output rows [*from, *to) of `image` that pixels [first, last) touch.
void covpool_rows_of_image(const covpool_window *w, ptrdiff_t image, ptrdiff_t first, ptrdiff_t last, ptrdiff_t *from,
                           ptrdiff_t *to);

/// Fills in a slab's `taps`, once for a piece: the divisions would cost as much as the products of a layer with few
/// channels.
void covpool_find_taps(const covpool_window *w, const slab *shape, ptrdiff_t *taps);

/// Floats of scratch that the taps take.
static inline ptrdiff_t taps_size(const covpool_window *w) {
  return (ptrdiff_t)(taps_of(w) * sizeof(ptrdiff_t) / sizeof(float) + lane_count - 1) / lane_count * lane_count;
}

/// Up to 16 neighbouring pixels of a tile.
typedef struct {
  ptrdiff_t source, count;
  int start, is_exact;
} run;

/// The runs of the pixels [p, p + count) of the batch, in a slab for pixels [first, last); returns how many.
int covpool_find_runs(const covpool_convolution *job, const slab *from, ptrdiff_t first, ptrdiff_t last, ptrdiff_t p,
                      ptrdiff_t count, run *runs);

/// Eight rows of columns where they lie in the slab: their first pixels, and the shape of the pixels.
typedef struct {
  const float *starts[panel_height];
  ptrdiff_t height, width, pitch;
} slab_rows;

typedef struct {
  /// The slab for output pixels [first, last) of the batch and input channels [c0, c1), copied to `out`.
  slab (*make_slab)(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t last, ptrdiff_t c0, ptrdiff_t c1,
                    float *out);
  /// Rows (channel, tap) of the runs' pixels, `width` wide: 32 or 16.
  void (*pack_tile)(const covpool_window *w, const slab *from, ptrdiff_t channels, const run *runs, int count,
                    ptrdiff_t width, float *out);
  /// Copies `rows` rows of the runs' pixels from a tensor [.., channels, pixels], where they begin at `starts`, to rows
  /// of `width`, and back.
  void (*gather)(const float *tensor, ptrdiff_t pixels, const ptrdiff_t *starts, const run *runs, int count,
                 ptrdiff_t rows, ptrdiff_t width, float *out);
  void (*scatter)(const float *from, ptrdiff_t width, ptrdiff_t pixels, const ptrdiff_t *starts, const run *runs,
                  int count, ptrdiff_t rows, float *tensor);
  /// Adds to sums[i][o] the products of eight rows of the slab and the gradients [pixel][outputs], 16 or 32 outputs.
  void (*sum_gradients)(const slab_rows *a, const float *gradients, ptrdiff_t outputs, float *sums, ptrdiff_t stride);
  /// For Strassen's method: the seven columns' sides of its products, `distance` floats apart, from rows [0, channels)
  /// and [channels, 2 channels) of a tensor's `pixels`; a run's pixels are paired with those `half` further on.
  void (*pack_pairs)(const float *x, ptrdiff_t pixels, ptrdiff_t half, ptrdiff_t channels, const run *runs, int count,
                     ptrdiff_t width, ptrdiff_t distance, float *out);
  /// The four sums of weights among the seven, one after the other, from `count` numbers of each quarter.
  void (*combine_weights)(const float *a11, const float *a12, const float *a21, const float *a22, ptrdiff_t count,
                          float *out);
  /// a += c, b += c.
  void (*add_to_both)(const float *c, float *a, float *b, ptrdiff_t count);
} convolution_kernels;

#endif
