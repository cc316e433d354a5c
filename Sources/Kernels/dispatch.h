#ifndef COVPOOL_DISPATCH_H
#define COVPOOL_DISPATCH_H

// One compiled version for each class of processor, chosen when the program is loaded. Only where the loader knows how.
#if defined(__x86_64__) && defined(__linux__) && defined(__clang__)
#define KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KERNEL
#endif

#endif
