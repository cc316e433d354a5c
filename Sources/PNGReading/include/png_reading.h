// Reads PNG files through libpng, whose errors are jumps that must not cross Swift code.

#ifndef COVPOOL_PNG_READING_H
#define COVPOOL_PNG_READING_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t width, height;
  /// Whether the file holds 16-bit grey without alpha, which is delivered in two bytes, the most significant first.
  int is_grey16;
} covpool_png_header;

/// Reads the header. Returns 0, or 1 with a message.
int covpool_png_read_header(const uint8_t *bytes, size_t count, covpool_png_header *header, char message[128]);

/// Reads all pixels, `width * bytes_per_pixel` bytes a row: RGB, or two bytes of grey where the header says so. Alpha is
/// dropped, palettes and low bit depths are expanded, 16-bit colours keep their high byte. Returns 0, or 1 with a message.
int covpool_png_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char message[128]);

#endif
