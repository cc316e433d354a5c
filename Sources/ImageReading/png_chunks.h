#ifndef COVPOOL_PNG_CHUNKS_H
#define COVPOOL_PNG_CHUNKS_H

#include "refuse.h"

/// How pixels lie in a row.
typedef enum { PNG_GREY = 0, PNG_RGB = 2, PNG_PALETTE = 3, PNG_GREY_ALPHA = 4, PNG_RGB_ALPHA = 6 } png_color;

/// A PNG file as it is read from chunk to chunk, and what its chunks said.
typedef struct {
  const uint8_t *bytes;
  size_t count, at;
  char *message;
  uint32_t width, height;
  int depth, color, is_interlaced, has_mode;
  uint8_t palette[768];
  size_t palette_size;
  /// The frames of an animation, whose first is the picture, and the last number of their sequence.
  uint32_t frames;
  int is_animated;
  int64_t sequence;
  int has_frame;
  uint32_t left, top, frame_width, frame_height;
  size_t text_bytes, inflated_bytes;
  /// Whether compressed texts before the pixels have been looked at already.
  int is_judged;
  /// Compressed bytes that are left in the current chunk.
  size_t data_left;
} png_file;

/// Reads up to the first chunk of image data, whose content is next, and checks each chunk's check sum.
int png_open(png_file *file);
/// The next piece of compressed data, of at most 65,536 bytes; `size` is 0 where the chunks of data end.
int png_next_data(png_file *file, const uint8_t **data, size_t *size);
/// Goes through what stands behind the image data, up to the end of the image or of what can be recognised.
int png_close(png_file *file);

/// Bits of a pixel.
static inline int png_bits(const png_file *file) {
  int samples = file->color == PNG_RGB ? 3 : file->color == PNG_RGB_ALPHA ? 4 : file->color == PNG_GREY_ALPHA ? 2 : 1;
  return samples * file->depth;
}

#endif
