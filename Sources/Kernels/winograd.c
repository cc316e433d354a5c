#include "winograd.h"

#include <string.h>

#include "convolution_kernels.h"

enum { points = COVPOOL_WINOGRAD_POINTS, side = 4, k_block = 512 };

int covpool_winograd_applies(const covpool_window *w) {
  return w->kernel_height == 3 && w->kernel_width == 3 && w->stride == 1 && w->pad_top <= 2 && w->pad_left <= 2;
}

static ptrdiff_t tiles_down(const covpool_window *w) { return (w->out_height + side - 1) / side; }
static ptrdiff_t tiles_across(const covpool_window *w) { return (w->out_width + side - 1) / side; }

ptrdiff_t covpool_winograd_tiles(const covpool_window *w) { return tiles_down(w) * tiles_across(w); }

// Where an image does not divide into tiles of four and one or two outputs are left over in a direction, the last tile
// takes F(2, 3) in that direction. Its points 0, 1, -1 and infinity are four of the six of F(4, 3), with the same
// transformed weights: such a tile merely has no part in the products at 2 and -2. Of 14 × 14 outputs that saves a
// sixth of the products.

/// Tiles of a direction that have all six points.
static ptrdiff_t whole_tiles(ptrdiff_t outputs) { return (outputs + 1) / side; }

static int has_edges(const covpool_window *w) {
  return whole_tiles(w->out_height) < tiles_down(w) || whole_tiles(w->out_width) < tiles_across(w);
}

/// Kinds of points: those in which only tiles that are whole from top to bottom, or from left to right, have a part.
enum { whole_down = 1, whole_across = 2, kinds = 4, every_lane = 0xffff };

static inline int kind_of(ptrdiff_t y, ptrdiff_t x) {
  return (y == 3 || y == 4 ? whole_down : 0) | (x == 3 || x == 4 ? whole_across : 0);
}

/// Of the first `number` tiles of a batch, those that have a part in a kind of points.
static ptrdiff_t tiles_before(const covpool_window *w, ptrdiff_t number, int kind) {
  ptrdiff_t across = tiles_across(w), all = covpool_winograd_tiles(w);
  ptrdiff_t rows = kind & whole_down ? whole_tiles(w->out_height) : tiles_down(w);
  ptrdiff_t columns = kind & whole_across ? whole_tiles(w->out_width) : across;
  ptrdiff_t row = number % all / across, column = number % across;
  return (number / all * rows + least(row, rows)) * columns + (row < rows ? least(column, columns) : 0);
}

static ptrdiff_t round_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b * b; }

// From one point to the next: a cache line more than the numbers take, because the transforms visit all points in turn
// and distances of powers of two would put them into the same few places of the cache. A vector at the last tile may
// end there.
static ptrdiff_t weights_stride(const covpool_window *w, ptrdiff_t out_channels) {
  return round_up(out_channels, panel) * w->channels + lanes;
}

static ptrdiff_t inputs_stride(const covpool_window *w, ptrdiff_t count) {
  return round_up(count, lanes) * w->channels + lanes;
}

static ptrdiff_t sums_stride(ptrdiff_t out_channels, ptrdiff_t count) {
  return round_up(out_channels, panel) * round_up(count, lanes) + lanes;
}

ptrdiff_t covpool_winograd_weights_size(const covpool_window *w, ptrdiff_t out_channels) {
  return points * weights_stride(w, out_channels);
}

ptrdiff_t covpool_winograd_inputs_size(const covpool_window *w, ptrdiff_t count) {
  return points * inputs_stride(w, count);
}

ptrdiff_t covpool_winograd_sums_size(ptrdiff_t out_channels, ptrdiff_t count) {
  return points * sums_stride(out_channels, count);
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
  uint8_t lanes_of[lanes], numbers[lanes];
} placement;

/// Sixteen tiles in their order, or what is left of them: a tile in each lane of a vector. Before the columns of a tile
/// are sorted, and after they are put together again, a row of the group is four vectors of neighbouring pixels, in
/// pieces.
typedef struct {
  segment segments[lanes];
  int count;
  /// All bits set in a segment's last lane: what lies right of it is not in the next.
  int32_t ends[lanes];
  /// All bits set in the lanes of tiles that are not whole from top to bottom, and from left to right; the former also
  /// in the lanes of their pixels. Only where there are such tiles in an image.
  int32_t low[lanes], narrow[lanes], low_pixels[4][lanes];
  int has_edges;
  /// Without edges, the first alone.
  placement places[kinds];
  piece pieces[4 * lanes];
  /// The pieces of vector v are [starts[v], starts[v + 1]).
  int starts[5];
} tile_group;

/// Finds the pieces of a group's rows in planes of height × width, of which an image has `channels`. Tiles begin at
/// their outputs' place less `top` and `left`; `rows` of them are wanted.
static void find_pieces(tile_group *group, ptrdiff_t channels, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top,
                        ptrdiff_t left, int rows) {
  int found = 0;
  for (int v = 0; v < 4; v++) {
    group->starts[v] = found;
    for (int s = 0; s < group->count; s++) {
      const segment *at = &group->segments[s];
      // Lanes of this vector that belong to the segment and lie inside the plane.
      ptrdiff_t begin = side * at->lane - lanes * v, x = at->x - left, y = at->y - top;
      ptrdiff_t first = begin - least(x, 0), last = begin + least(side * at->count, width - x);
      if (first < 0) first = 0;
      if (last > lanes) last = lanes;
      if (first >= last) continue;
      piece *next = &group->pieces[found++];
      next->offset = (at->image * channels * height + y) * width + x - begin;
      for (int i = 0; i < rows; i++)
        next->masks[i] = y + i < 0 || y + i >= height ? 0 : (uint16_t)((1u << last) - (1u << first));
    }
  }
  group->starts[4] = found;
}

static tile_group find_group(const covpool_window *w, ptrdiff_t first, ptrdiff_t count) {
  ptrdiff_t across = tiles_across(w), all = covpool_winograd_tiles(w);
  tile_group group;
  group.count = group.has_edges = 0;
  group.places[0] = (placement){.members = every_lane};
  memset(group.ends, 0, sizeof group.ends);
  for (ptrdiff_t lane = 0; lane < least(lanes, count);) {
    ptrdiff_t number = first + lane, inside = number % all, column = inside % across;
    ptrdiff_t length = least(across - column, least(lanes, count) - lane);
    group.segments[group.count++] = (segment){
        .image = number / all, .y = inside / across * side, .x = column * side, .lane = lane, .count = length};
    lane += length;
    group.ends[lane - 1] = -1;
  }
  return group;
}

static void find_edges(const covpool_window *w, tile_group *group) {
  memset(group->low, 0, sizeof group->low);
  memset(group->narrow, 0, sizeof group->narrow);
  for (int s = 0; s < group->count; s++) {
    const segment *at = &group->segments[s];
    for (ptrdiff_t i = 0; i < at->count; i++) {
      group->low[at->lane + i] = at->y / side < whole_tiles(w->out_height) ? 0 : -1;
      group->narrow[at->lane + i] = at->x / side + i < whole_tiles(w->out_width) ? 0 : -1;
    }
  }
  for (int i = 0; i < side * lanes; i++) group->low_pixels[i / lanes][i % lanes] = group->low[i / side];
}

/// Tiles of a run that are multiplied at a kind of points: all of them where leaving some out saves no vector.
static ptrdiff_t members_of(const covpool_window *w, ptrdiff_t first, ptrdiff_t count, int kind) {
  ptrdiff_t members = tiles_before(w, first + count, kind) - tiles_before(w, first, kind);
  return round_up(members, lanes) < round_up(count, lanes) ? members : count;
}

/// Finds where the group at `position` of a run of `count` tiles from `first` belongs.
static void find_placements(const covpool_window *w, ptrdiff_t first, ptrdiff_t count, ptrdiff_t position,
                            tile_group *group) {
  group->has_edges = has_edges(w);
  if (group->has_edges) find_edges(w, group);
  for (int kind = 0; kind < (group->has_edges ? kinds : 1); kind++) {
    ptrdiff_t all = members_of(w, first, count, kind);
    placement at = {.column = position, .members = every_lane};
    ptrdiff_t members = lanes;
    if (all < count) {
      at.column = tiles_before(w, first + position, kind) - tiles_before(w, first, kind);
      at.members = 0;
      members = 0;
      memset(at.numbers, lanes, sizeof at.numbers);
      for (int i = 0; i < least(lanes, count - position); i++) {
        if ((kind & whole_down && group->low[i]) || (kind & whole_across && group->narrow[i])) continue;
        at.members |= (uint16_t)(1u << i);
        at.numbers[i] = (uint8_t)members;
        at.lanes_of[members++] = (uint8_t)i;
      }
    }
    ptrdiff_t begin = at.column / tile * tile, room = least(members, begin + tile - at.column);
    at.masks[0] = (uint16_t)((1u << room) - 1);
    at.masks[1] = (uint16_t)((1u << members) - (1u << room));
    at.widths[0] = all - begin > lanes ? tile : lanes;
    at.widths[1] = all - begin - tile > lanes ? tile : lanes;
    at.starts[0] = begin * w->channels + at.column - begin;
    at.starts[1] = (begin + tile) * w->channels - room;
    group->places[kind] = at;
  }
}

// Shuffles of two vectors of 16: every other number, each number's right neighbour, and numbers in turn.
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define NEXT(a) __builtin_shufflevector(a, a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

// The transforms for each class of processor.
#if defined(__x86_64__)
#include <immintrin.h>
#define LEVEL 2
#define TARGET __attribute__((target("arch=x86-64-v4"), min_vector_width(512)))
#define NAMED(kernel) kernel##_avx512
#include "winograd_tile.h"
#define LEVEL 1
#define TARGET __attribute__((target("arch=x86-64-v3")))
#define NAMED(kernel) kernel##_avx2
#include "winograd_tile.h"
#endif
#define LEVEL 0
#define TARGET
#define NAMED(kernel) kernel##_baseline
#include "winograd_tile.h"

typedef struct {
  void (*weights)(const float *from, ptrdiff_t out_stride, ptrdiff_t there, int flipped, const float *scale,
                  ptrdiff_t stride, float *to);
  void (*inputs)(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel, ptrdiff_t stride,
                 float *columns);
  void (*outputs)(const covpool_convolution *job, const tile_group *group, ptrdiff_t channel, const float *sums,
                  ptrdiff_t stride);
  void (*gradients)(const covpool_convolution *job, const float *gradient, const tile_group *group, ptrdiff_t channel,
                    ptrdiff_t stride, float *out);
  void (*transpose)(const float *from, ptrdiff_t count, ptrdiff_t step, ptrdiff_t distance, float *to);
  void (*collect)(const float *sums, ptrdiff_t stride, ptrdiff_t there, float *to);
} transforms;

#define TRANSFORMS(name)                                                                                               \
  (transforms) {                                                                                                       \
    .weights = panel_weights_##name, .inputs = group_inputs_##name, .outputs = group_outputs_##name,                   \
    .gradients = group_gradients_##name, .transpose = transpose_block_##name, .collect = collect_sums_##name           \
  }

static transforms best_transforms(void) {
#if defined(__x86_64__)
  if (covpool_processor_level() >= 2) return TRANSFORMS(avx512);
  if (covpool_processor_level() == 1) return TRANSFORMS(avx2);
#endif
  return TRANSFORMS(baseline);
}

// [point][panel][channel][8].
void covpool_winograd_weights(const covpool_window *w, ptrdiff_t out_channels, const float *from, ptrdiff_t out_stride,
                              ptrdiff_t in_stride, int flipped, const float *scale, ptrdiff_t first, ptrdiff_t last,
                              float *transformed) {
  transforms best = best_transforms();
  for (ptrdiff_t p = first; p < last; p++)
    for (ptrdiff_t c = 0; c < w->channels; c++)
      best.weights(from + p * panel * out_stride + c * in_stride, out_stride, least(panel, out_channels - p * panel),
                   flipped, scale ? scale + p * panel : 0, weights_stride(w, out_channels),
                   transformed + (p * w->channels + c) * panel);
}

// [point][tile panel][channel][32], the last panel [channel][16] if that is enough. Points in which not all tiles have
// a part have fewer columns; what is in those beyond, up to 16, does not matter.
void covpool_winograd_inputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                             ptrdiff_t last_channel, float *inputs) {
  const covpool_window *w = &job->window;
  transforms best = best_transforms();
  ptrdiff_t stride = inputs_stride(w, count);
  for (ptrdiff_t position = 0; position < count; position += lanes) {
    tile_group group = find_group(w, first + position, count - position);
    find_pieces(&group, w->channels, w->height, w->width, w->pad_top, w->pad_left, 6);
    find_placements(w, first, count, position, &group);
    for (ptrdiff_t c = first_channel; c < last_channel; c++) best.inputs(job, &group, c, stride, inputs);
  }
}

// Sums are [point][channel][tile].
void covpool_winograd_multiply(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t point,
                               ptrdiff_t first_panel, ptrdiff_t last_panel, const float *inputs, float *sums) {
  block_kernels kernels = covpool_block_kernels();
  ptrdiff_t channels = job->window.channels, outputs = job->out_channels, padded = round_up(count, lanes);
  ptrdiff_t members = members_of(&job->window, first, count, kind_of(point / 6, point % 6));
  const float *b = inputs + point * inputs_stride(&job->window, count),
              *a = job->weights + point * weights_stride(&job->window, outputs);
  float *y = sums + point * sums_stride(outputs, count);
  for (ptrdiff_t k = 0; k < channels; k += k_block) {
    ptrdiff_t length = least(k_block, channels - k);
    // A panel of weights, which comes from afar, serves all tiles at once.
    for (ptrdiff_t p = first_panel; p < last_panel; p++) {
      const float *left = a + (p * channels + k) * panel;
      for (ptrdiff_t t = 0; t < members; t += tile) {
        target to = {.y = y + p * panel * padded + t, .stride = padded, .accumulates = k > 0};
        const float *right = b + t * channels;
        if (members - t > lanes) {
          kernels.multiply(length, left, right + k * tile, &to);
        } else if ((p - first_panel) % 2 == 0) {
          // The few tiles of one image use weights up as quickly as memory yields them: the next two panels', or the
          // next point's, are asked for meanwhile.
          if (members <= lanes)
            to.ahead[0] = (tile_rows){.start = p + 2 < last_panel ? left + 2 * channels * panel
                                                                  : a + weights_stride(&job->window, outputs),
                                      .stride = lanes,
                                      .rows = length};
          kernels.multiply_narrow(length, (int)least(2, last_panel - p), left, channels * panel, right + k * lanes,
                                  &to);
        }
      }
    }
  }
}

void covpool_winograd_outputs(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t first_channel,
                              ptrdiff_t last_channel, const float *sums) {
  // A channel's sums lie next to each other: the channels are the outer loop, for a few groups at a time.
  enum { most = 8 };
  transforms best = best_transforms();
  ptrdiff_t padded = round_up(count, lanes), stride = sums_stride(job->out_channels, count);
  for (ptrdiff_t position = 0; position < count; position += most * lanes) {
    tile_group groups[most];
    int found = 0;
    for (; found < most && position + found * lanes < count; found++) {
      ptrdiff_t begin = position + found * lanes;
      groups[found] = find_group(&job->window, first + begin, count - begin);
      find_placements(&job->window, first, count, begin, &groups[found]);
    }
    for (ptrdiff_t c = first_channel; c < last_channel; c++)
      for (int g = 0; g < found; g++) best.outputs(job, &groups[g], c, sums + c * padded, stride);
  }
}

// MARK: The gradient of the weights

enum { block_channels = COVPOOL_WINOGRAD_BLOCK };

// Columns are [point][panel of 32 channels][tile][32], the last panel [tile][16] if that is enough, rows [point][panel
// of 8 outputs][tile][8], sums [point][output] [channel], numbers of channels rounded up.
static ptrdiff_t columns_stride(const covpool_window *w, ptrdiff_t count) {
  return round_up(w->channels, tile) * count + lanes;
}

static ptrdiff_t rows_stride(ptrdiff_t out_channels, ptrdiff_t count) {
  return round_up(out_channels, block_channels) * count + lanes;
}

static ptrdiff_t gradient_sums_stride(const covpool_window *w, ptrdiff_t out_channels) {
  return round_up(out_channels, panel) * round_up(w->channels, tile) + lanes;
}

ptrdiff_t covpool_winograd_columns_size(const covpool_window *w, ptrdiff_t count) {
  return points * columns_stride(w, count);
}

ptrdiff_t covpool_winograd_rows_size(ptrdiff_t out_channels, ptrdiff_t count) {
  return points * rows_stride(out_channels, count);
}

ptrdiff_t covpool_winograd_gradient_sums_size(const covpool_window *w, ptrdiff_t out_channels) {
  return points * gradient_sums_stride(w, out_channels);
}

// Points of a block's channels before they are turned; a cache line more from point to point, as above.
enum { turned_stride = block_channels * lanes + lanes };

void covpool_winograd_columns(const covpool_convolution *job, ptrdiff_t first, ptrdiff_t count, ptrdiff_t block,
                              float *columns) {
  const covpool_window *w = &job->window;
  transforms best = best_transforms();
  float points_of[points * turned_stride] __attribute__((aligned(64))) = {0};
  ptrdiff_t channel = block * block_channels, there = least(block_channels, w->channels - channel);
  ptrdiff_t begin = channel / tile * tile, width = w->channels - begin > lanes ? tile : lanes;
  for (ptrdiff_t position = 0; position < count; position += lanes) {
    tile_group group = find_group(w, first + position, count - position);
    find_pieces(&group, w->channels, w->height, w->width, w->pad_top, w->pad_left, 6);
    for (ptrdiff_t c = 0; c < there; c++) best.inputs(job, &group, channel + c, turned_stride, points_of + c * lanes);
    for (int p = 0; p < points; p++)
      best.transpose(points_of + p * turned_stride, least(lanes, count - position), width, panel,
                     columns + p * columns_stride(w, count) + begin * count + channel % tile + position * width);
  }
}

void covpool_winograd_rows(const covpool_convolution *job, const float *gradient, ptrdiff_t first, ptrdiff_t count,
                           ptrdiff_t block, float *rows) {
  const covpool_window *w = &job->window;
  transforms best = best_transforms();
  float points_of[points * turned_stride] __attribute__((aligned(64))) = {0};
  ptrdiff_t channel = block * block_channels, there = least(block_channels, job->out_channels - channel);
  for (ptrdiff_t position = 0; position < count; position += lanes) {
    tile_group group = find_group(w, first + position, count - position);
    find_pieces(&group, job->out_channels, w->out_height, w->out_width, 0, 0, side);
    for (ptrdiff_t o = 0; o < there; o++)
      best.gradients(job, gradient, &group, channel + o, turned_stride, points_of + o * lanes);
    for (int p = 0; p < points; p++)
      best.transpose(points_of + p * turned_stride, least(lanes, count - position), panel, count * panel,
                     rows + p * rows_stride(job->out_channels, count) + channel * count + position * panel);
  }
}

void covpool_winograd_sum(const covpool_convolution *job, ptrdiff_t count, ptrdiff_t point, int accumulates,
                          const float *columns, const float *rows, float *sums) {
  const covpool_window *w = &job->window;
  block_kernels kernels = covpool_block_kernels();
  ptrdiff_t outputs = round_up(job->out_channels, panel), channels = round_up(w->channels, tile);
  columns += point * columns_stride(w, count);
  rows += point * rows_stride(job->out_channels, count);
  sums += point * gradient_sums_stride(w, job->out_channels);
  for (ptrdiff_t c = 0; c < channels; c += tile) {
    int is_narrow = w->channels - c <= lanes;
    for (ptrdiff_t o = 0; o < outputs; o += is_narrow ? 2 * panel : panel) {
      target to = {.y = sums + o * channels + c, .stride = channels, .accumulates = accumulates};
      if (is_narrow)
        kernels.multiply_narrow(count, (int)least(2, (outputs - o) / panel), rows + o * count, count * panel,
                                columns + c * count, &to);
      else
        kernels.multiply(count, rows + o * count, columns + c * count, &to);
    }
  }
}

void covpool_winograd_weight_gradient(const covpool_convolution *job, const float *sums, ptrdiff_t first,
                                      ptrdiff_t last, float *gradient) {
  const covpool_window *w = &job->window;
  transforms best = best_transforms();
  ptrdiff_t channels = round_up(w->channels, tile), stride = gradient_sums_stride(w, job->out_channels);
  for (ptrdiff_t o = first; o < last; o++)
    for (ptrdiff_t c = 0; c < w->channels; c += lanes)
      best.collect(sums + o * channels + c, stride, least(lanes, w->channels - c),
                   gradient + (o * w->channels + c) * 9);
}
