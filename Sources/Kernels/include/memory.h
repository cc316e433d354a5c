#ifndef COVPOOL_MEMORY_H
#define COVPOOL_MEMORY_H

#include <stddef.h>

/// Lets the process keep freed memory for the next allocation instead of returning it to the system, where the C
/// library can: a training step allocates the same hundreds of megabytes again and again, and fresh pages are cleared
/// first.
void covpool_keep_freed_memory(void);

/// Asks for large pages for `bytes` bytes at `start`, where the system has them: a network reads hundreds of megabytes
/// in an order in which looking up pages of 4 KB takes up to a tenth of the time.
void covpool_prefer_large_pages(void *start, size_t bytes);

/// Bytes of a large page.
#define COVPOOL_LARGE_PAGE (2 << 20)

/// Gives the calling thread a name for debuggers, of which Linux keeps 15 characters.
void covpool_name_thread(const char *name);

#endif
