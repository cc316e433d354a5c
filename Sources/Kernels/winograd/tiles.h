// The tiles of Winograd's method in a batch: 16 of them, a group, are transformed at once, one in each lane of a
// vector.

#ifndef COVPOOL_WINOGRAD_TILES_H
#define COVPOOL_WINOGRAD_TILES_H

#include <stdint.h>

#include "gemm/gemm.h"
#include "winograd.h"

enum { points = COVPOOL_WINOGRAD_POINTS, side = 4 };

static inline ptrdiff_t tiles_down(const covpool_window *w) { return (w->out_height + side - 1) / side; }
static inline ptrdiff_t tiles_across(const covpool_window *w) { return (w->out_width + side - 1) / side; }

// Where an image does not divide into tiles of four and one or two outputs are left over in a direction, the last tile
// takes F(2, 3) in that direction. Its points 0, 1, -1 and infinity are four of the six of F(4, 3), with the same
// transformed weights: such a tile merely has no part in the products at 2 and -2. Of 14 × 14 outputs that saves a
// sixth of the products.

/// Tiles of a direction that have all six points.
static inline ptrdiff_t whole_tiles(ptrdiff_t outputs) { return (outputs + 1) / side; }

static inline int has_edges(const covpool_window *w) {
  return whole_tiles(w->out_height) < tiles_down(w) || whole_tiles(w->out_width) < tiles_across(w);
}

/// Kinds of points: those in which only tiles that are whole from top to bottom, or from left to right, have a part.
enum { whole_down = 1, whole_across = 2, kinds = 4, every_lane = 0xffff };

static inline int kind_of(ptrdiff_t y, ptrdiff_t x) {
  return (y == 3 || y == 4 ? whole_down : 0) | (x == 3 || x == 4 ? whole_across : 0);
}

/// Neighbouring tiles of one row of tiles of an image, in lanes [lane, lane + count).
typedef struct {
  ptrdiff_t image, y, x, lane, count;
} segment;

/// The lanes of a vector that lie side by side in a plane: those of each row's mask, from lane 0 at `offset`.
typedef struct {
  ptrdiff_t offset;
  uint16_t masks[6];
} piece;

/// Where those of a group's tiles that have a part in a kind of points are among the columns of a run: side by side
/// from `column`, in one panel of columns or in two, the k-th member at starts[panel] + channel * widths[panel] + k.
typedef struct {
  ptrdiff_t column;
  uint16_t members, masks[2];
  ptrdiff_t starts[2], widths[2];
  /// The k-th member's lane, and for each lane which member it is, 16 for none.
  uint8_t lanes_of[lane_count], numbers[lane_count];
} placement;

/// Sixteen tiles in their order, or what is left of them: a tile in each lane of a vector. Before the columns of a tile
/// are sorted, and after they are put together again, a row of the group is four vectors of neighbouring pixels, in
/// pieces.
typedef struct {
  segment segments[lane_count];
  int count;
  /// All bits set in a segment's last lane: what lies right of it is not in the next.
  int32_t ends[lane_count];
  /// All bits set in the lanes of tiles that are not whole from top to bottom, and from left to right; the former also
  /// in the lanes of their pixels. Only where there are such tiles in an image.
  int32_t low[lane_count], narrow[lane_count], low_pixels[4][lane_count];
  int has_edges;
  /// Without edges, the first alone.
  placement places[kinds];
  piece pieces[4 * lane_count];
  /// The pieces of vector v are [starts[v], starts[v + 1]).
  int starts[5];
} tile_group;

/// Finds the pieces of a group's rows in planes of height × width, of which an image has `channels`. Tiles begin at
/// their outputs' place less `top` and `left`; `rows` of them are wanted.
void covpool_find_pieces(tile_group *group, ptrdiff_t channels, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top,
                         ptrdiff_t left, int rows);

/// The group of up to 16 of `count` tiles from `first` on.
tile_group covpool_find_group(const covpool_window *w, ptrdiff_t first, ptrdiff_t count);

/// Tiles of a run that are multiplied at a kind of points: all of them where leaving some out saves no vector.
ptrdiff_t covpool_members_of(const covpool_window *w, ptrdiff_t first, ptrdiff_t count, int kind);

/// Finds where the group at `position` of a run of `count` tiles from `first` belongs.
void covpool_find_placements(const covpool_window *w, ptrdiff_t first, ptrdiff_t count, ptrdiff_t position,
                             tile_group *group);

/// The transforms of a channel of a group, or of a panel of weights.
typedef struct {
  /// The 3×3 weights of one input channel for a panel of output channels, of which `there` are, at to[point * stride].
  void (*weights)(const float *from, ptrdiff_t out_stride, ptrdiff_t there, int flipped, const float *scale,
                  ptrdiff_t stride, float *to);
  /// The 36 products' inputs, at columns[point * stride] and on where the group is placed.
  void (*inputs)(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel, ptrdiff_t stride,
                 float *columns);
  /// Sums, at sums[point * stride] and on where the group is placed, to finished outputs.
  void (*outputs)(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel, const float *sums,
                  ptrdiff_t stride);
  /// The 36 points of a group's gradients, out[point * stride + lane].
  void (*gradients)(const covpool_convolution *job, const float *gradient, const tile_group *group, ptrdiff_t channel,
                    ptrdiff_t stride, float *out);
  /// Rows of 16 to columns: lanes 0 to 7 of column t go to[t * step], the others `distance` further on; `count`
  /// columns.
  void (*transpose)(const float *from, ptrdiff_t count, ptrdiff_t step, ptrdiff_t distance, float *to);
  /// The weights' gradients of one output channel and 16 input channels, of which `there` are, at to[channel * 9 +
  /// tap].
  void (*collect)(const float *sums, ptrdiff_t stride, ptrdiff_t there, float *to);
} winograd_kernels;

#endif
