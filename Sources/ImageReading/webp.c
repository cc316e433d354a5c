#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "refuse.h"

/// The canvas's size by the first chunk.
int covpool_webp_read_header(const uint8_t *bytes, size_t count, covpool_image_header *header, char *message) {
  WebPBitstreamFeatures features;
  if (count < 30 || WebPGetFeatures(bytes, count, &features) != VP8_STATUS_OK)
    return refuse(message, "no WebP image, or a damaged one");
  header->width = (uint32_t)features.width;
  header->height = (uint32_t)features.height;
  header->scans = 1;
  // The canvas and the frame before, in RGBA, and the pixels.
  header->memory = (uint64_t)header->width * header->height * (4 + 4 + 3);
  return 0;
}

int covpool_webp_read_pixels(const uint8_t *bytes, size_t count, uint8_t *pixels, char *message) {
  WebPData data = {bytes, count};
  WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, NULL);
  if (!decoder) return refuse(message, "no WebP image, or a damaged one");
  WebPAnimInfo info;
  uint8_t *canvas;
  int time, status = 1;
  covpool_image_header header;
  if (!WebPAnimDecoderGetInfo(decoder, &info) || covpool_webp_read_header(bytes, count, &header, message) ||
      info.canvas_width != header.width || info.canvas_height != header.height) {
    refuse(message, "its sizes contradict each other");
  } else if (!WebPAnimDecoderGetNext(decoder, &canvas, &time)) {
    refuse(message, "its first frame is damaged");
  } else {
    size_t size = (size_t)info.canvas_width * info.canvas_height;
    for (size_t i = 0; i < size; i++) memcpy(pixels + 3 * i, canvas + 4 * i, 3);
    status = 0;
  }
  WebPAnimDecoderDelete(decoder);
  return status;
}
