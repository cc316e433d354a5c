#include "arithmetic.h"

#include "dispatch.h"

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

#define T float
#define NAME(kernel) covpool_##kernel##_f32
#include "arithmetic_of_type.h"
#undef T
#undef NAME

#define T double
#define NAME(kernel) covpool_##kernel##_f64
#include "arithmetic_of_type.h"
