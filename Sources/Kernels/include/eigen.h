// The parts of eigenproblems of symmetric matrices that LAPACK leaves scalar, in double precision.

#ifndef COVPOOL_EIGEN_H
#define COVPOOL_EIGEN_H

#include <stddef.h>

#define KERNEL(result, name, parameters, arguments) result covpool_##name parameters;
#include "../eigen/list.h"
#undef KERNEL

#endif
