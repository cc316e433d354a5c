// Decodes JPEG through libjpeg, WebP through libwebp and PNG through zlib, each as Pillow does: the same files are refused, and
// the pixels are those of `convert("RGB")`. libjpeg's errors are jumps, which must not cross Swift code.

#ifndef COVPOOL_IMAGE_READING_H
#define COVPOOL_IMAGE_READING_H

#include <stddef.h>
#include <stdint.h>

#define COVPOOL_IMAGE_MESSAGE 200

typedef struct {
  uint32_t width, height;
  /// What decoding takes beyond the file itself, in bytes, the pixels among it.
  uint64_t memory;
  /// How often all pixels are gone over: the scans of a progressive JPEG, which may repeat them; else 1.
  uint32_t scans;
} covpool_image_header;

/// Each reads what stands before the pixels and checks it. Returns 0, or 1 with a message.
int covpool_jpeg_read_header(const uint8_t *bytes, size_t count, covpool_image_header *header,
                             char message[COVPOOL_IMAGE_MESSAGE]);
int covpool_png_read_header(const uint8_t *bytes, size_t count, covpool_image_header *header,
                            char message[COVPOOL_IMAGE_MESSAGE]);
int covpool_webp_read_header(const uint8_t *bytes, size_t count, covpool_image_header *header,
                             char message[COVPOOL_IMAGE_MESSAGE]);

/// Each writes `width * height` RGB pixels, of the size that the header of the same bytes gave. Returns 0, or 1 with a message;
/// then the pixels mean nothing.
int covpool_jpeg_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char message[COVPOOL_IMAGE_MESSAGE]);
int covpool_png_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char message[COVPOOL_IMAGE_MESSAGE]);
int covpool_webp_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char message[COVPOOL_IMAGE_MESSAGE]);

#endif
