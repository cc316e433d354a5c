// All kernels that exist for each scalar type T. KERNEL(result, name, parameters, arguments) says what becomes of each.

#include "../convolution/scalar_list.h"
#include "../depthwise/list.h"
#include "../elementwise/list.h"
#include "../matrix/list.h"
#include "../normalization/list.h"
#include "../pooling/list.h"
