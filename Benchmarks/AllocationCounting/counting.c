#define _GNU_SOURCE  // for RTLD_DEFAULT and dl_iterate_phdr

#include "allocation_counting.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

// A sanitizer has taken the C library's place already.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COVPOOL_SANITIZED
#endif
#endif

#if defined(__GLIBC__) && !defined(COVPOOL_SANITIZED)
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>

static atomic_ptrdiff_t count, blas_count, bytes;
// Where the library of cblas_dgemm lies in memory; nothing before it is looked for.
static uintptr_t blas_start, blas_end;

static int find_blas(struct dl_phdr_info *object, size_t size, void *inside) {
  (void)size;
  uintptr_t start = UINTPTR_MAX, end = 0;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    if (object->dlpi_phdr[i].p_type != PT_LOAD) continue;
    uintptr_t from = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr, to = from + object->dlpi_phdr[i].p_memsz;
    if (from < start) start = from;
    if (to > end) end = to;
  }
  if ((uintptr_t)inside < start || (uintptr_t)inside >= end) return 0;
  blas_start = start;
  blas_end = end;
  return 1;
}

__attribute__((constructor)) static void look_for_blas(void) {
  void *product = dlsym(RTLD_DEFAULT, "cblas_dgemm");
  if (product) dl_iterate_phdr(find_blas, product);
}

ptrdiff_t allocation_count(void) { return atomic_load(&count); }
ptrdiff_t blas_allocation_count(void) { return atomic_load(&blas_count); }
ptrdiff_t allocation_bytes(void) { return atomic_load(&bytes); }
int allocation_counting_works(void) { return 1; }

// What glibc itself would have called.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *pointer);

static void *counted_for(uintptr_t caller, void *pointer) {
  if (pointer) {
    atomic_ptrdiff_t *own = caller >= blas_start && caller < blas_end ? &blas_count : &count;
    atomic_fetch_add_explicit(own, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&bytes, (ptrdiff_t)malloc_usable_size(pointer), memory_order_relaxed);
  }
  return pointer;
}

#define counted(pointer) counted_for((uintptr_t)__builtin_return_address(0), pointer)

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
ptrdiff_t blas_allocation_count(void) { return 0; }
ptrdiff_t allocation_bytes(void) { return 0; }
int allocation_counting_works(void) { return 0; }
#endif
