#ifndef COVPOOL_DISPATCH_H
#define COVPOOL_DISPATCH_H

// One compiled version for each class of processor, chosen when the program is loaded. Only where the loader knows how, and
// not under a sanitizer: the choice is made before its runtime is up, and would crash in it.
#if defined(__x86_64__) && defined(__linux__) && defined(__clang__)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif

#ifndef KERNEL
#define KERNEL
#endif

#endif
