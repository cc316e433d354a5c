#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "jpeg_markers.h"

/// Pillow hands a file to libjpeg in blocks of so many bytes and stops when all rows are there: what lies in blocks that
/// were never needed cannot be found fault with.
enum { BLOCK = 65536 };

typedef struct {
  struct jpeg_error_mgr manager;
  jmp_buf jump;
  char *message;
} error_state;

/// All severities pass here; only what libjpeg itself calls fatal ends the decoding.
static void on_fatal(j_common_ptr info) {
  error_state *state = (error_state *)info->err;
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  refuse(state->message, "%s", text);
  longjmp(state->jump, 1);
}

static void on_warning(j_common_ptr info) { (void)info; }

/// A source that has what was handed over so far and says "not yet" at its end.
typedef struct {
  struct jpeg_source_mgr manager;
  const uint8_t *next_block;
  size_t left;
  size_t skip;
} block_source;

static void nothing(j_decompress_ptr info) { (void)info; }

static boolean suspend(j_decompress_ptr info) {
  (void)info;
  return FALSE;
}

static void skip_bytes(j_decompress_ptr info, long count) {
  block_source *source = (block_source *)info->src;
  if (count <= 0) return;
  size_t here = source->manager.bytes_in_buffer < (size_t)count ? source->manager.bytes_in_buffer : (size_t)count;
  source->manager.next_input_byte += here;
  source->manager.bytes_in_buffer -= here;
  source->skip = (size_t)count - here;
}

/// Makes the next block readable. Returns whether there was one.
static int hand_over(block_source *source) {
  if (source->left == 0) return 0;
  size_t size = source->left < BLOCK ? source->left : BLOCK;
  source->manager.bytes_in_buffer += size;
  source->next_block += size;
  source->left -= size;
  if (source->skip > 0) {
    size_t here = source->skip < source->manager.bytes_in_buffer ? source->skip : source->manager.bytes_in_buffer;
    source->manager.next_input_byte += here;
    source->manager.bytes_in_buffer -= here;
    source->skip -= here;
  }
  return 1;
}

/// CMYK as Adobe stores it, inverted, to RGB by Pillow's integer formula.
static void ink_to_rgb(const uint8_t *ink, uint8_t *rgb, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, ink += 4, rgb += 3) {
    int light = ink[3];
    for (int c = 0; c < 3; c++) {
      int product = (255 - ink[c]) * light + 128;
      int value = light - (((product >> 8) + product) >> 8);
      rgb[c] = (uint8_t)(value < 0 ? 0 : value);
    }
  }
}

static void grey_to_rgb(const uint8_t *grey, uint8_t *rgb, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, rgb += 3) rgb[0] = rgb[1] = rgb[2] = grey[x];
}

int covpool_jpeg_read_header(const uint8_t *bytes, size_t count, covpool_image_header *header, char *message) {
  jpeg_markers markers;
  if (read_jpeg_markers(bytes, count, &markers, message)) return 1;
  header->width = markers.width;
  header->height = markers.height;
  header->memory = (uint64_t)markers.width * markers.height * 3 + markers.coefficient_bytes;
  header->scans = markers.scans;
  return 0;
}

int covpool_jpeg_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char *message) {
  jpeg_markers markers;
  if (read_jpeg_markers(bytes, count, &markers, message)) return 1;
  struct jpeg_decompress_struct info;
  error_state errors = {.message = message};
  uint8_t *volatile line = NULL;
  block_source source = {
      .manager = {.init_source = nothing, .fill_input_buffer = suspend, .skip_input_data = skip_bytes,
                  .resync_to_restart = jpeg_resync_to_restart, .term_source = nothing, .next_input_byte = bytes},
      .next_block = bytes, .left = count};
  info.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = on_fatal;
  errors.manager.output_message = on_warning;
  if (setjmp(errors.jump)) {
    free(line);
    jpeg_destroy_decompress(&info);
    return 1;
  }
  jpeg_create_decompress(&info);
  info.src = &source.manager;

  // Each step goes on from where it was suspended, as soon as another block is there.
  enum { HEADER, START, ROWS, FINISH, DONE } step = HEADER;
  uint32_t y = 0;
  while (step != DONE) {
    if (!hand_over(&source)) {
      refuse(message, "the file is truncated");
      break;
    }
    if (source.skip > 0) continue;
    if (step == HEADER) {
      int status;
      do status = jpeg_read_header(&info, FALSE);
      while (status == JPEG_HEADER_TABLES_ONLY);
      if (status == JPEG_SUSPENDED) continue;
      if (info.image_width != markers.width || info.image_height != markers.height ||
          (uint32_t)info.num_components != markers.components) {
        refuse(message, "its frame headers contradict each other");
        break;
      }
      info.out_color_space = markers.components == 1 ? JCS_GRAYSCALE : markers.components == 3 ? JCS_RGB : JCS_CMYK;
      step = START;
    }
    if (step == START) {
      if (!jpeg_start_decompress(&info)) continue;
      if (markers.components != 3 && !(line = malloc((size_t)markers.width * markers.components))) {
        refuse(message, "out of memory");
        break;
      }
      step = ROWS;
    }
    if (step == ROWS) {
      while (y < markers.height) {
        uint8_t *row = pixels + (size_t)y * markers.width * 3;
        JSAMPROW target = line ? line : row;
        if (jpeg_read_scanlines(&info, &target, 1) != 1) break;
        if (markers.components == 1) grey_to_rgb(line, row, markers.width);
        if (markers.components == 4) ink_to_rgb(line, row, markers.width);
        y++;
      }
      if (y < markers.height) continue;
      step = FINISH;
    }
    // Damage behind the last row counts where libjpeg calls it fatal; an end that is missing does not.
    jpeg_finish_decompress(&info);
    step = DONE;
  }
  free(line);
  jpeg_destroy_decompress(&info);
  return step == DONE ? 0 : 1;
}
