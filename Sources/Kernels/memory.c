#define _DEFAULT_SOURCE  // for madvise

#include "memory.h"

#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#endif

void covpool_keep_freed_memory(void) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

void covpool_prefer_large_pages(void *start, size_t bytes) {
#if defined(__linux__)
  madvise(start, bytes, MADV_HUGEPAGE);
#else
  (void)start;
  (void)bytes;
#endif
}

void covpool_name_thread(const char *name) {
#if defined(__linux__)
  prctl(PR_SET_NAME, name);
#else
  (void)name;
#endif
}
