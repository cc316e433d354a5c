#ifndef COVPOOL_KERNELS_H
#define COVPOOL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#endif
