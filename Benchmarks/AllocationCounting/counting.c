#include "allocation_counting.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(__GLIBC__)
#include <errno.h>
#include <malloc.h>

static atomic_ptrdiff_t count, bytes;

ptrdiff_t allocation_count(void) { return atomic_load(&count); }
ptrdiff_t allocation_bytes(void) { return atomic_load(&bytes); }
int allocation_counting_works(void) { return 1; }

// What glibc itself would have called.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *pointer);

static void *counted(void *pointer) {
  if (pointer) {
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&bytes, (ptrdiff_t)malloc_usable_size(pointer), memory_order_relaxed);
  }
  return pointer;
}

static void forget(void *pointer) {
  if (pointer) atomic_fetch_sub_explicit(&bytes, (ptrdiff_t)malloc_usable_size(pointer), memory_order_relaxed);
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t number, size_t size) { return counted(__libc_calloc(number, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }

int posix_memalign(void **pointer, size_t alignment, size_t size) {
  void *found = counted(__libc_memalign(alignment, size));
  if (!found) return ENOMEM;
  *pointer = found;
  return 0;
}

void *realloc(void *pointer, size_t size) {
  size_t before = pointer ? malloc_usable_size(pointer) : 0;
  void *found = __libc_realloc(pointer, size);
  if (!found && size > 0) return found;  // the old block is still there
  atomic_fetch_sub_explicit(&bytes, (ptrdiff_t)before, memory_order_relaxed);
  return counted(found);
}

void free(void *pointer) {
  forget(pointer);
  __libc_free(pointer);
}
#else
ptrdiff_t allocation_count(void) { return 0; }
ptrdiff_t allocation_bytes(void) { return 0; }
int allocation_counting_works(void) { return 0; }
#endif
