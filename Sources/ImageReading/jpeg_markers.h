#ifndef COVPOOL_JPEG_MARKERS_H
#define COVPOOL_JPEG_MARKERS_H

#include "refuse.h"

/// What the markers before a JPEG's first scan say.
typedef struct {
  uint32_t width, height, components;
  /// Bytes of the coefficients of all blocks, which a file of several scans keeps in memory; 0 for a file of one.
  uint64_t coefficient_bytes;
  /// Scans up to the end of the image; what lies behind that, a preview or a film, has none.
  uint32_t scans;
} jpeg_markers;

/// Goes from marker to marker as Pillow does before it hands a file to libjpeg, which refuses what it cannot read there.
int read_jpeg_markers(const uint8_t *bytes, size_t count, jpeg_markers *found, char *message);

#endif
