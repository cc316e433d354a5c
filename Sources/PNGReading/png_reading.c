#include "png_reading.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const uint8_t *bytes;
  size_t left;
  char *message;
} source;

static void fail(png_structp png, png_const_charp text) {
  source *from = png_get_error_ptr(png);
  snprintf(from->message, 128, "%s", text);
  longjmp(png_jmpbuf(png), 1);
}

static void ignore(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void read_bytes(png_structp png, png_bytep to, size_t count) {
  source *from = png_get_io_ptr(png);
  if (count > from->left) png_error(png, "the file is truncated");
  memcpy(to, from->bytes, count);
  from->bytes += count;
  from->left -= count;
}

// Reads the header and, where `pixels` is given, the image.
static int read_png(const uint8_t *bytes, size_t count, covpool_png_header *header, uint8_t *pixels,
                    char message[128]) {
  source from = {bytes, count, message};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &from, fail, ignore);
  if (!png) {
    snprintf(message, 128, "out of memory");
    return 1;
  }
  png_infop info = NULL;
  png_bytep *volatile rows = NULL;
  if (setjmp(png_jmpbuf(png))) {
    free(rows);
    png_destroy_read_struct(&png, &info, NULL);
    return 1;
  }
  info = png_create_info_struct(png);
  if (!info) png_error(png, "out of memory");
  // Text and profiles are not needed, and a hostile file could make them large.
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
  png_set_chunk_malloc_max(png, 1 << 20);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
  png_set_read_fn(png, &from, read_bytes);
  png_read_info(png, info);
  int depth = png_get_bit_depth(png, info), color = png_get_color_type(png, info);
  uint32_t height = png_get_image_height(png, info);
  header->width = png_get_image_width(png, info);
  header->height = height;
  header->is_grey16 = depth == 16 && color == PNG_COLOR_TYPE_GRAY;
  if (pixels) {
    if (!header->is_grey16) {
      if (depth == 16) png_set_strip_16(png);
      if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
      if (!(color & PNG_COLOR_MASK_COLOR)) {
        if (depth < 8) png_set_expand_gray_1_2_4_to_8(png);
        png_set_gray_to_rgb(png);
      }
      png_set_strip_alpha(png);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    size_t row_size = (size_t)header->width * (header->is_grey16 ? 2 : 3);
    if (png_get_rowbytes(png, info) != row_size) png_error(png, "rows of an unexpected size");
    rows = malloc(height * sizeof(png_bytep));
    if (!rows) png_error(png, "out of memory");
    for (uint32_t y = 0; y < height; y++) rows[y] = pixels + y * row_size;
    png_read_image(png, rows);
    png_read_end(png, NULL);
  }
  free(rows);
  png_destroy_read_struct(&png, &info, NULL);
  return 0;
}

int covpool_png_read_header(const uint8_t *bytes, size_t count, covpool_png_header *header, char message[128]) {
  return read_png(bytes, count, header, NULL, message);
}

int covpool_png_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char message[128]) {
  covpool_png_header header;
  return read_png(bytes, count, &header, pixels, message);
}
