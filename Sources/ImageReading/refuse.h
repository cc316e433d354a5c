#ifndef COVPOOL_REFUSE_H
#define COVPOOL_REFUSE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "image_reading.h"

/// Writes why a picture is refused. Returns 1.
static inline int __attribute__((format(printf, 2, 3))) refuse(char *message, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, COVPOOL_IMAGE_MESSAGE, format, arguments);
  va_end(arguments);
  return 1;
}

static inline uint32_t big16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t big32(const uint8_t *p) { return big16(p) << 16 | big16(p + 2); }

#endif
