// The kernels of one scalar type T.

#include "elementwise/elementwise_of_type.h"
#include "convolution/columns_of_type.h"
#include "depthwise/depthwise_of_type.h"
#include "matrix/matrix_of_type.h"
#include "normalization/normalization_of_type.h"
#include "pooling/pooling_of_type.h"
