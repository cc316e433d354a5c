#include "png_chunks.h"

#include <string.h>
#include <zlib.h>

enum { TEXT_LIMIT = 1 << 20, ALL_TEXT_LIMIT = 64 << 20, ALL_INFLATED_LIMIT = 256 << 20, PIECE = 65536 };

/// What a chunk means for the walk.
typedef enum { CHUNK_READ, CHUNK_DATA, CHUNK_END, CHUNK_REFUSED } chunk_result;

static int is(const uint8_t *name, const char *text) { return memcmp(name, text, 4) == 0; }

static int is_word(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t rest(const png_file *file) { return file->count - file->at; }

/// A chunk's length and name. Returns 0 where the file has none here.
static int read_head(png_file *file, const uint8_t **name, size_t *length) {
  if (rest(file) < 8) {
    file->at = file->count;
    return 0;
  }
  const uint8_t *head = file->bytes + file->at;
  if (!is_word(head[4]) || !is_word(head[5]) || !is_word(head[6]) || !is_word(head[7])) return 0;
  *length = big32(head);
  *name = head + 4;
  file->at += 8;
  return 1;
}

static void skip(png_file *file, size_t count) { file->at += count < rest(file) ? count : rest(file); }

/// What Pillow makes of compressed text: fine, damaged (which it overlooks) or too long.
static int is_too_long(png_file *file, const uint8_t *data, size_t size, size_t *length) {
  z_stream stream = {0};
  *length = 0;
  // The header's pass has judged what stands before the pixels; and all of it together may not take long.
  if (file->is_judged || file->inflated_bytes > ALL_INFLATED_LIMIT) return file->inflated_bytes > ALL_INFLATED_LIMIT;
  if (inflateInit(&stream) != Z_OK) return 0;
  uint8_t buffer[16384];
  stream.next_in = (uint8_t *)data;
  stream.avail_in = (uInt)size;
  int status = Z_OK;
  while (status == Z_OK && stream.total_out < TEXT_LIMIT) {
    size_t room = TEXT_LIMIT - stream.total_out;
    stream.next_out = buffer;
    stream.avail_out = (uInt)(room < sizeof buffer ? room : sizeof buffer);
    status = inflate(&stream, Z_NO_FLUSH);
  }
  int is_long = status == Z_OK && stream.total_out >= TEXT_LIMIT && stream.avail_in > 0;
  if (status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR) *length = stream.total_out;
  file->inflated_bytes += stream.total_out;
  inflateEnd(&stream);
  return is_long;
}

static int add_text(png_file *file, size_t length) {
  file->text_bytes += length;
  return file->text_bytes > ALL_TEXT_LIMIT ? refuse(file->message, "its texts take more than 64 MB") : 0;
}

static int read_profile(png_file *file, const uint8_t *data, size_t size) {
  const uint8_t *zero = memchr(data, 0, size);
  size_t method = zero ? (size_t)(zero - data) + 1 : 0, length;
  if (method >= size) return refuse(file->message, "its colour profile is too short");
  if (data[method] != 0) return refuse(file->message, "its colour profile is compressed in an unknown way");
  if (is_too_long(file, data + method + 1, size - method - 1, &length))
    return refuse(file->message, "its colour profile is larger than 1 MB");
  return 0;
}

static int read_text(png_file *file, const uint8_t *data, size_t size) {
  const uint8_t *zero = memchr(data, 0, size);
  size_t key = zero ? (size_t)(zero - data) : size;
  return key == 0 ? 0 : add_text(file, zero ? size - key - 1 : 0);
}

static int read_compressed_text(png_file *file, const uint8_t *data, size_t size) {
  const uint8_t *zero = memchr(data, 0, size);
  size_t key = zero ? (size_t)(zero - data) : size, length = 0;
  if (zero && key + 1 < size) {
    if (data[key + 1] != 0) return refuse(file->message, "a text is compressed in an unknown way");
    if (is_too_long(file, data + key + 2, size - key - 2, &length)) return refuse(file->message, "a text is larger than 1 MB");
  }
  return key == 0 ? 0 : add_text(file, length);
}

static int read_international_text(png_file *file, const uint8_t *data, size_t size) {
  const uint8_t *end = data + size, *key = memchr(data, 0, size);
  if (!key || end - key < 3) return 0;
  const uint8_t *language = memchr(key + 3, 0, (size_t)(end - key - 3));
  if (!language) return 0;
  const uint8_t *keyword = memchr(language + 1, 0, (size_t)(end - language - 1));
  if (!keyword) return 0;
  size_t length = (size_t)(end - keyword - 1);
  if (key[1] != 0) {
    if (key[2] != 0) return 0;
    if (is_too_long(file, keyword + 1, length, &length)) return refuse(file->message, "a text is larger than 1 MB");
  }
  return add_text(file, length);
}

static int read_header(png_file *file, const uint8_t *data, size_t size) {
  static const uint8_t depths[7] = {1 | 2 | 4 | 8 | 16, 0, 8 | 16, 1 | 2 | 4 | 8, 8 | 16, 0, 8 | 16};
  if (size < 13) return refuse(file->message, "its header is too short");
  file->width = big32(data);
  file->height = big32(data + 4);
  int depth = data[8], color = data[9];
  if (color < 7 && (depth & (depth - 1)) == 0 && (depths[color] & depth)) {
    file->depth = depth;
    file->color = color;
    file->has_mode = 1;
  }
  if (data[12]) file->is_interlaced = 1;
  return data[11] ? refuse(file->message, "its rows are filtered in an unknown way") : 0;
}

static int read_transparency(png_file *file, size_t size) {
  // The alpha of a palette may be of any length; a colour that is transparent has one or three samples.
  if (!file->has_mode || (file->color != PNG_GREY && file->color != PNG_RGB)) return 0;
  size_t wanted = file->color == PNG_RGB ? 6 : 2;
  return size < wanted ? refuse(file->message, "its transparent colour is too short") : 0;
}

static int read_animation(png_file *file, const uint8_t *data, size_t size) {
  if (size < 8) return refuse(file->message, "its animation's header is too short");
  // A second one takes the first back, and one of no frames is overlooked.
  uint32_t frames = big32(data);
  if (file->frames) {
    file->frames = 0;
  } else if (frames <= 0x80000000u) {
    file->frames = frames;
  }
  return 0;
}

static int read_frame(png_file *file, const uint8_t *data, size_t size) {
  if (size < 26) return refuse(file->message, "a frame's header is too short");
  int64_t sequence = big32(data);
  if (sequence != file->sequence + 1) return refuse(file->message, "its frames are out of sequence");
  file->sequence = sequence;
  uint64_t width = big32(data + 4), height = big32(data + 8), left = big32(data + 12), top = big32(data + 16);
  if (left + width > file->width || top + height > file->height)
    return refuse(file->message, "a frame lies outside the image");
  file->has_frame = 1;
  file->left = (uint32_t)left;
  file->top = (uint32_t)top;
  file->frame_width = (uint32_t)width;
  file->frame_height = (uint32_t)height;
  return 0;
}

/// Reads the content of a chunk, whose head has been read, up to its check sum.
static chunk_result read_chunk(png_file *file, const uint8_t *name, size_t length) {
  if (is(name, "IDAT")) {
    file->data_left = length;
    return CHUNK_DATA;
  }
  if (is(name, "IEND")) return CHUNK_END;
  if (is(name, "fdAT")) {
    if (length < 4 || rest(file) < 4) {
      refuse(file->message, "a frame's data are too short");
      return CHUNK_REFUSED;
    }
    int64_t sequence = big32(file->bytes + file->at);
    // Frames begin with a header of their own, which has a number too.
    if (file->sequence < 0 || sequence != file->sequence + 1) {
      refuse(file->message, "its frames are out of sequence");
      return CHUNK_REFUSED;
    }
    file->sequence = sequence;
    file->at += 4;
    file->data_left = length - 4;
    return CHUNK_DATA;
  }
  if (length > rest(file)) {
    refuse(file->message, "the file is truncated");
    return CHUNK_REFUSED;
  }
  const uint8_t *data = file->bytes + file->at;
  file->at += length;
  static const struct {
    const char *name;
    size_t least;
  } sizes[] = {{"gAMA", 4}, {"cHRM", 32}, {"sRGB", 1}, {"pHYs", 9}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    if (is(name, sizes[i].name) && length < sizes[i].least) {
      refuse(file->message, "its chunk %.4s is too short", sizes[i].name);
      return CHUNK_REFUSED;
    }
  }
  int status = 0;
  if (is(name, "IHDR")) {
    status = read_header(file, data, length);
  } else if (is(name, "PLTE")) {
    // Only whole colours count; those that are missing are black.
    if (file->has_mode && file->color == PNG_PALETTE) {
      file->palette_size = length / 3;
      memset(file->palette, 0, sizeof file->palette);
      memcpy(file->palette, data, length / 3 < 256 ? length / 3 * 3 : 768);
    }
  } else if (is(name, "tRNS")) {
    status = read_transparency(file, length);
  } else if (is(name, "iCCP")) {
    status = read_profile(file, data, length);
  } else if (is(name, "tEXt")) {
    status = read_text(file, data, length);
  } else if (is(name, "zTXt")) {
    status = read_compressed_text(file, data, length);
  } else if (is(name, "iTXt")) {
    status = read_international_text(file, data, length);
  } else if (is(name, "acTL")) {
    status = read_animation(file, data, length);
  } else if (is(name, "fcTL")) {
    status = read_frame(file, data, length);
  }
  return status ? CHUNK_REFUSED : CHUNK_READ;
}

int png_open(png_file *file) {
  file->at = 8;
  file->sequence = -1;
  for (;;) {
    const uint8_t *name;
    size_t length;
    if (!read_head(file, &name, &length)) return refuse(file->message, "no chunk of a PNG file where one is expected");
    size_t start = file->at;
    chunk_result result = read_chunk(file, name, length);
    if (result == CHUNK_REFUSED) return 1;
    if (result == CHUNK_END) return refuse(file->message, "it holds no image data");
    if (result == CHUNK_DATA) break;
    uint32_t sum = (uint32_t)crc32(crc32(0, name, 4), file->bytes + start, (uInt)length);
    if (rest(file) < 4 || big32(file->bytes + file->at) != sum)
      return refuse(file->message, "wrong check sum of its chunk %.4s", (const char *)name);
    file->at += 4;
  }
  // The picture may come before the animation and is then one more frame.
  file->is_animated = file->frames > 1 || (file->frames == 1 && !file->has_frame);
  if (file->palette_size > 256) return refuse(file->message, "its palette has more than 256 colours");
  if (!file->has_mode || file->width == 0 || file->height == 0)
    return refuse(file->message, "no PNG image of a known kind");
  return 0;
}

int png_next_data(png_file *file, const uint8_t **data, size_t *size) {
  *size = 0;
  while (file->data_left == 0) {
    skip(file, 4);
    const uint8_t *name;
    size_t length;
    size_t before = file->at;
    if (!read_head(file, &name, &length)) return refuse(file->message, "the file is truncated");
    if (is(name, "IDAT") || is(name, "DDAT")) {
      file->data_left = length;
    } else if (is(name, "fdAT")) {
      if (read_chunk(file, name, length) == CHUNK_REFUSED) return 1;
    } else {
      file->at = before;
      return 0;
    }
  }
  *size = file->data_left < PIECE ? file->data_left : PIECE;
  if (*size > rest(file)) *size = rest(file);
  *data = file->bytes + file->at;
  file->at += *size;
  file->data_left = *size == 0 ? 0 : file->data_left - *size;
  return 0;
}

int png_close(png_file *file) {
  file->is_judged = 0;
  skip(file, file->data_left);
  for (;;) {
    skip(file, 4);
    const uint8_t *name;
    size_t length;
    if (!read_head(file, &name, &length) || is(name, "IEND")) return 0;
    if (is(name, "fcTL") && file->is_animated) return 0;
    chunk_result result = read_chunk(file, name, length);
    if (result == CHUNK_REFUSED) return 1;
    if (result == CHUNK_DATA) {
      if (file->data_left > rest(file)) return refuse(file->message, "the file is truncated");
      skip(file, file->data_left);
    }
  }
}
