#include "winograd/tiles.h"

#include <string.h>

/// Of the first `number` tiles of a batch, those that have a part in a kind of points.
static ptrdiff_t tiles_before(const covpool_window *w, ptrdiff_t number, int kind) {
  ptrdiff_t across = tiles_across(w), all = covpool_winograd_tiles(w);
  ptrdiff_t rows = kind & whole_down ? whole_tiles(w->out_height) : tiles_down(w);
  ptrdiff_t columns = kind & whole_across ? whole_tiles(w->out_width) : across;
  ptrdiff_t row = number % all / across, column = number % across;
  return (number / all * rows + least(row, rows)) * columns + (row < rows ? least(column, columns) : 0);
}

void covpool_find_pieces(tile_group *group, ptrdiff_t channels, ptrdiff_t height, ptrdiff_t width, ptrdiff_t top,
                         ptrdiff_t left, int rows) {
  int found = 0;
  for (int v = 0; v < 4; v++) {
    group->starts[v] = found;
    for (int s = 0; s < group->count; s++) {
      const segment *at = &group->segments[s];
      // Lanes of this vector that belong to the segment and lie inside the plane.
      ptrdiff_t begin = side * at->lane - lane_count * v, x = at->x - left, y = at->y - top;
      ptrdiff_t first = begin - least(x, 0), last = begin + least(side * at->count, width - x);
      if (first < 0) first = 0;
      if (last > lane_count) last = lane_count;
      if (first >= last) continue;
      piece *next = &group->pieces[found++];
      next->offset = (at->image * channels * height + y) * width + x - begin;
      for (int i = 0; i < rows; i++)
        next->masks[i] = y + i < 0 || y + i >= height ? 0 : (uint16_t)((1u << last) - (1u << first));
    }
  }
  group->starts[4] = found;
}

tile_group covpool_find_group(const covpool_window *w, ptrdiff_t first, ptrdiff_t count) {
  ptrdiff_t across = tiles_across(w), all = covpool_winograd_tiles(w);
  tile_group group;
  group.count = group.has_edges = 0;
  group.places[0] = (placement){.members = every_lane};
  memset(group.ends, 0, sizeof group.ends);
  for (ptrdiff_t lane = 0; lane < least(lane_count, count);) {
    ptrdiff_t number = first + lane, inside = number % all, column = inside % across;
    ptrdiff_t length = least(across - column, least(lane_count, count) - lane);
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
  for (int i = 0; i < side * lane_count; i++) group->low_pixels[i / lane_count][i % lane_count] = group->low[i / side];
}

ptrdiff_t covpool_members_of(const covpool_window *w, ptrdiff_t first, ptrdiff_t count, int kind) {
  ptrdiff_t members = tiles_before(w, first + count, kind) - tiles_before(w, first, kind);
  return round_up(members, lane_count) < round_up(count, lane_count) ? members : count;
}

void covpool_find_placements(const covpool_window *w, ptrdiff_t first, ptrdiff_t count, ptrdiff_t position,
                             tile_group *group) {
  group->has_edges = has_edges(w);
  if (group->has_edges) find_edges(w, group);
  for (int kind = 0; kind < (group->has_edges ? kinds : 1); kind++) {
    ptrdiff_t all = covpool_members_of(w, first, count, kind);
    placement at = {.column = position, .members = every_lane};
    ptrdiff_t members = lane_count;
    if (all < count) {
      at.column = tiles_before(w, first + position, kind) - tiles_before(w, first, kind);
      at.members = 0;
      members = 0;
      memset(at.numbers, lane_count, sizeof at.numbers);
      for (int i = 0; i < least(lane_count, count - position); i++) {
        if ((kind & whole_down && group->low[i]) || (kind & whole_across && group->narrow[i])) continue;
        at.members |= (uint16_t)(1u << i);
        at.numbers[i] = (uint8_t)members;
        at.lanes_of[members++] = (uint8_t)i;
      }
    }
    ptrdiff_t begin = at.column / tile_width * tile_width, room = least(members, begin + tile_width - at.column);
    at.masks[0] = (uint16_t)((1u << room) - 1);
    at.masks[1] = (uint16_t)((1u << members) - (1u << room));
    at.widths[0] = all - begin > lane_count ? tile_width : lane_count;
    at.widths[1] = all - begin - tile_width > lane_count ? tile_width : lane_count;
    at.starts[0] = begin * w->channels + at.column - begin;
    at.starts[1] = (begin + tile_width) * w->channels - room;
    group->places[kind] = at;
  }
}
