#include "jpeg_markers.h"

#include <string.h>

enum { SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, DQT = 0xDB, DHP = 0xDE, EXP = 0xDF, COM = 0xFE };

static int is_frame(uint8_t marker) {
  return (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) || marker == DHP;
}

static int is_progressive(uint8_t marker) {
  return marker == 0xC2 || marker == 0xC6 || marker == 0xCA || marker == 0xCE;
}

/// Whether a segment with a length follows a marker that can stand before a scan.
static int has_segment(uint8_t marker) {
  return (marker >= 0xC0 && marker <= 0xCF && marker != 0xC8) || (marker >= SOS && marker <= EXP) ||
         (marker >= 0xE0 && marker <= 0xEF) || marker == COM;
}

static int starts_with(const uint8_t *segment, size_t size, const char *text, size_t length) {
  return size >= length && memcmp(segment, text, length) == 0;
}

/// Photoshop's list of resources: a name whose length lies outside the segment is an error, other damage is not.
static int check_photoshop(const uint8_t *segment, size_t size) {
  size_t at = 14;
  while (at + 4 <= size && memcmp(segment + at, "8BIM", 4) == 0) {
    at += 4;
    if (at + 2 > size) return 0;
    at += 2;
    if (at >= size) return 1;
    at += 1 + (size_t)segment[at];
    at += at & 1;
    if (at + 4 > size) return 0;
    at += 4 + (size_t)big32(segment + at);
    at += at & 1;
  }
  return 0;
}

/// Application segments whose content Pillow reads and stumbles over where it is too short.
static int check_application(uint8_t marker, const uint8_t *segment, size_t size, int *has_short_profile,
                             int *has_profile) {
  if (marker == 0xE0 && starts_with(segment, size, "JFIF", 4)) return size < 7;
  if (marker == 0xE2 && !starts_with(segment, size, "FPXR", 5) && starts_with(segment, size, "ICC_PROFILE", 12)) {
    // Only the first in order of their bytes is looked into, and the shortest comes before those it begins.
    *has_profile = 1;
    if (size < 14) *has_short_profile = 1;
  }
  if (marker == 0xED && starts_with(segment, size, "Photoshop 3.0", 14)) return check_photoshop(segment, size);
  if (marker == 0xEE && starts_with(segment, size, "Adobe", 5)) return size < 7;
  return 0;
}

static int check_tables(const uint8_t *segment, size_t size) {
  while (size > 0) {
    size_t table = 1 + (segment[0] >> 4 ? 128 : 64);
    if (size < table) return 1;
    segment += table;
    size -= table;
  }
  return 0;
}

static int read_frame(const uint8_t *segment, size_t size, jpeg_markers *found, char *message) {
  if (size < 6) return refuse(message, "its frame header is too short");
  if (segment[0] != 8) return refuse(message, "%d bits a sample, expected 8", segment[0]);
  found->height = big16(segment + 1);
  found->width = big16(segment + 3);
  found->components = segment[5];
  if (found->components != 1 && found->components != 3 && found->components != 4)
    return refuse(message, "%u components, expected 1, 3 or 4", found->components);
  if ((size - 6) % 3 != 0) return refuse(message, "its frame header ends within a component");
  // Blocks of 8 × 8 coefficients of two bytes, in whole units of the largest sampling factors.
  uint32_t most_h = 1, most_v = 1;
  for (size_t at = 6; at < size; at += 3) {
    uint32_t h = segment[at + 1] >> 4, v = segment[at + 1] & 15;
    if (h > most_h) most_h = h;
    if (v > most_v) most_v = v;
  }
  uint64_t units = (uint64_t)((found->width + 8 * most_h - 1) / (8 * most_h)) *
                   ((found->height + 8 * most_v - 1) / (8 * most_v));
  found->coefficient_bytes = 0;
  for (size_t at = 6; at < size; at += 3)
    found->coefficient_bytes += units * (segment[at + 1] >> 4) * (segment[at + 1] & 15) * 128;
  return 0;
}

/// Scans from the first one's marker on.
static uint32_t count_scans(const uint8_t *bytes, size_t count, size_t at) {
  uint32_t scans = 0;
  while (at + 1 < count) {
    const uint8_t *next = memchr(bytes + at, 0xFF, count - 1 - at);
    if (!next) break;
    at = (size_t)(next - bytes) + 1;
    uint8_t marker = bytes[at];
    // Filling, an escaped byte of compressed data, or a restart within a scan.
    if (marker == 0xFF || marker == 0 || (marker >= 0xD0 && marker <= 0xD7)) continue;
    at++;
    if (marker == EOI) break;
    if (marker == SOS) scans++;
    if (has_segment(marker) && at + 2 <= count) at += big16(bytes + at);
  }
  return scans;
}

int read_jpeg_markers(const uint8_t *bytes, size_t count, jpeg_markers *found, char *message) {
  *found = (jpeg_markers){0};
  if (count < 3 || bytes[0] != 0xFF || bytes[1] != SOI || bytes[2] != 0xFF) return refuse(message, "not a JPEG file");
  int has_several_scans = 0, has_short_profile = 0, has_profile = 0;
  size_t at = 2;
  while (at + 1 < count) {
    if (bytes[at] != 0xFF) {
      at++;
      continue;
    }
    uint8_t marker = bytes[at + 1];
    if (marker == 0 || marker == 0xFF) {
      // A byte of filling, or an escaped one: go on behind the first of the two.
      at += marker == 0xFF ? 1 : 2;
      continue;
    }
    if (marker < 0xC0 || marker == 0xFF) return refuse(message, "no marker found, but FF%02X", marker);
    at += 2;
    if (!has_segment(marker)) continue;
    if (at + 2 > count) return refuse(message, "it ends within the length of a segment");
    size_t size = big16(bytes + at) < 2 ? 0 : big16(bytes + at) - 2;
    const uint8_t *segment = bytes + at + 2;
    if (size > count - at - 2) return refuse(message, "it ends within a segment before the image");
    at += 2 + size;
    if (is_frame(marker)) {
      if (has_profile && has_short_profile) return refuse(message, "a part of its colour profile is too short");
      has_profile = 0;
      if (read_frame(segment, size, found, message)) return 1;
      has_several_scans = is_progressive(marker);
    } else if (marker == DQT && check_tables(segment, size)) {
      return refuse(message, "a quantization table is too short");
    } else if (((marker >= 0xE0 && marker <= 0xEF)) &&
               check_application(marker, segment, size, &has_short_profile, &has_profile)) {
      return refuse(message, "its application segment %d is damaged", marker & 15);
    } else if (marker == SOS) {
      if (found->width == 0 || found->height == 0) return refuse(message, "no frame header before the first scan");
      if (size > 0 && segment[0] < found->components) has_several_scans = 1;
      if (has_several_scans) {
        found->scans = count_scans(bytes, count, (size_t)(segment - bytes) - 4);
      } else {
        found->scans = 1;
        found->coefficient_bytes = 0;
      }
      return 0;
    }
  }
  return refuse(message, "it holds no image");
}
