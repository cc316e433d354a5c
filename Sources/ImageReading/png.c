#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "png_chunks.h"

/// Adam7's passes: first column and row, and the steps between.
static const uint32_t first_x[7] = {0, 4, 0, 2, 0, 1, 0}, first_y[7] = {0, 0, 4, 0, 2, 0, 1};
static const uint32_t step_x[7] = {8, 8, 4, 4, 2, 2, 1}, step_y[7] = {8, 8, 8, 4, 4, 2, 2};

/// Takes the filter off a row of `size` bytes, given the row above and the bytes of a pixel.
static int unfilter(uint8_t filter, uint8_t *row, const uint8_t *above, size_t size, size_t pixel) {
  size_t first = pixel < size ? pixel : size;
  switch (filter) {
  case 0: return 0;
  case 1:
    for (size_t i = pixel; i < size; i++) row[i] += row[i - pixel];
    return 0;
  case 2:
    for (size_t i = 0; i < size; i++) row[i] += above[i];
    return 0;
  case 3:
    for (size_t i = 0; i < first; i++) row[i] += above[i] / 2;
    for (size_t i = pixel; i < size; i++) row[i] += (uint8_t)((row[i - pixel] + above[i]) / 2);
    return 0;
  case 4:
    for (size_t i = 0; i < first; i++) row[i] += above[i];
    for (size_t i = pixel; i < size; i++) {
      int a = row[i - pixel], b = above[i], c = above[i - pixel];
      int to_a = abs(b - c), to_b = abs(a - c), to_c = abs(a + b - 2 * c);
      row[i] += (uint8_t)(to_a <= to_b && to_a <= to_c ? a : to_b <= to_c ? b : c);
    }
    return 0;
  default: return 1;
  }
}

/// Writes `count` pixels of a row as RGB, `stride` pixels apart.
static void write_pixels(const png_file *file, const uint8_t *row, uint32_t count, uint8_t *to, size_t stride) {
  int depth = file->depth, wide = depth == 16;
  size_t step = 3 * stride;
  for (uint32_t x = 0; x < count; x++, to += step) {
    switch (file->color) {
    case PNG_RGB:
    case PNG_RGB_ALPHA: {
      // Of 16 bits the high byte; alpha is dropped.
      const uint8_t *p = row + (size_t)x * (file->color == PNG_RGB ? 3 : 4) * (wide ? 2 : 1);
      for (int c = 0; c < 3; c++) to[c] = p[c << wide];
      break;
    }
    case PNG_GREY_ALPHA: memset(to, row[(size_t)x * (wide ? 4 : 2)], 3); break;
    default: {
      int value;
      if (wide) {
        // Pillow keeps 16 bits of grey and cuts them off at 255 in RGB.
        value = row[2 * (size_t)x] ? 255 : row[2 * (size_t)x + 1];
      } else {
        size_t bit = (size_t)x * depth;
        value = row[bit >> 3] >> (8 - depth - (bit & 7)) & ((1 << depth) - 1);
      }
      if (file->color == PNG_PALETTE) {
        memcpy(to, file->palette + 3 * value, 3);
      } else {
        memset(to, wide ? value : value * (255 / ((1 << depth) - 1)), 3);
      }
    }
    }
  }
}

/// Where rows of the picture, or of the frame that stands for it, go.
typedef struct {
  png_file *file;
  uint8_t *pixels;
  uint32_t width, height, left, top;
  int pass;
  uint32_t y;
  uint8_t *row, *above;
  size_t filled;
  int is_complete;
} png_rows;

static size_t row_size(const png_rows *rows) {
  uint32_t pixels = rows->width;
  if (rows->file->is_interlaced) pixels = (pixels + step_x[rows->pass] - 1 - first_x[rows->pass]) / step_x[rows->pass];
  if (rows->file->is_interlaced && rows->width <= first_x[rows->pass]) pixels = 0;
  return ((size_t)pixels * (size_t)png_bits(rows->file) + 7) / 8;
}

/// Puts the row that is complete into its place and goes to the next.
static void finish_row(png_rows *rows) {
  const png_file *file = rows->file;
  uint32_t start = 0, step = 1;
  if (file->is_interlaced) {
    start = first_x[rows->pass];
    step = step_x[rows->pass];
  }
  uint32_t count = (rows->width - start + step - 1) / step;
  size_t place = (size_t)(rows->top + rows->y) * file->width + rows->left + start;
  write_pixels(file, rows->row + 1, count, rows->pixels + 3 * place, step);
  if (!file->is_interlaced) {
    rows->y++;
  } else {
    rows->y += step_y[rows->pass];
    while (rows->y >= rows->height || row_size(rows) == 0) {
      if (++rows->pass == 7) {
        rows->y = rows->height;
        break;
      }
      rows->y = first_y[rows->pass];
      // A pass begins as if the row above it were black.
      memset(rows->row, 0, (rows->width * (size_t)png_bits(file) + 7) / 8 + 1);
    }
  }
  uint8_t *row = rows->row;
  rows->row = rows->above;
  rows->above = row;
}

/// Uncompresses a piece of data. Like Pillow it is content with fewer rows where the stream ends with one of them.
static int take(png_rows *rows, z_stream *stream, const uint8_t *data, size_t size) {
  stream->next_in = (uint8_t *)data;
  stream->avail_in = (uInt)size;
  char *message = rows->file->message;
  size_t pixel = ((size_t)png_bits(rows->file) + 7) / 8;
  while (stream->avail_in > 0) {
    size_t length = row_size(rows) + 1;
    stream->next_out = rows->row + rows->filled;
    stream->avail_out = (uInt)(length - rows->filled);
    int status = inflate(stream, Z_NO_FLUSH);
    if (status < 0)
      return refuse(message, "its compressed data are damaged: %s", stream->msg ? stream->msg : zError(status));
    rows->filled = length - stream->avail_out;
    if (rows->filled < length) return 0;
    rows->filled = 0;
    if (unfilter(rows->row[0], rows->row + 1, rows->above + 1, length - 1, pixel))
      return refuse(message, "a row is filtered in an unknown way");
    finish_row(rows);
    if (rows->y >= rows->height || status == Z_STREAM_END) {
      rows->is_complete = 1;
      return 0;
    }
  }
  return 0;
}

static int read_rows(png_rows *rows, z_stream *stream) {
  while (!rows->is_complete) {
    const uint8_t *data;
    size_t size;
    if (png_next_data(rows->file, &data, &size)) return 1;
    if (size == 0) return refuse(rows->file->message, "its image data end early");
    if (take(rows, stream, data, size)) return 1;
  }
  return png_close(rows->file);
}

int covpool_png_read_header(const uint8_t *bytes, size_t count, covpool_image_header *header, char *message) {
  png_file file = {.bytes = bytes, .count = count, .message = message};
  if (png_open(&file)) return 1;
  header->width = file.width;
  header->height = file.height;
  header->memory = (uint64_t)file.width * file.height * 3;
  header->scans = 1;
  return 0;
}

int covpool_png_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char *message) {
  png_file file = {.bytes = bytes, .count = count, .message = message, .is_judged = 1};
  if (png_open(&file)) return 1;
  png_rows rows = {.file = &file, .pixels = pixels, .width = file.width, .height = file.height};
  if (file.has_frame) {
    // Pillow puts the pixels of an interlaced frame into the corner.
    rows.left = file.is_interlaced ? 0 : file.left;
    rows.top = file.is_interlaced ? 0 : file.top;
    rows.width = file.frame_width;
    rows.height = file.frame_height;
    if (rows.width == 0 || rows.height == 0) return refuse(message, "its first frame has no pixels");
  }
  size_t size = (rows.width * (size_t)png_bits(&file) + 7) / 8 + 1;
  z_stream stream = {0};
  rows.row = calloc(2, size);
  if (!rows.row || inflateInit(&stream) != Z_OK) {
    free(rows.row);
    return refuse(message, "out of memory");
  }
  uint8_t *memory = rows.row;
  rows.above = memory + size;
  // What no row reaches is the first shade: black, or the palette's first colour.
  if (file.color == PNG_PALETTE) {
    for (size_t i = 0; i < (size_t)file.width * file.height; i++) memcpy(pixels + 3 * i, file.palette, 3);
  } else {
    memset(pixels, 0, (size_t)file.width * file.height * 3);
  }
  int status = read_rows(&rows, &stream);
  inflateEnd(&stream);
  free(memory);
  return status;
}
