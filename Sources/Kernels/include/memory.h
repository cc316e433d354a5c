#ifndef COVPOOL_MEMORY_H
#define COVPOOL_MEMORY_H

/// Lets the process keep freed memory for the next allocation instead of returning it to the system, where the C library
/// can: a training step allocates the same hundreds of megabytes again and again, and fresh pages are cleared first.
void covpool_keep_freed_memory(void);

#endif
