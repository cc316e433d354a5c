/// The upper triangle with diagonal, row by row: n (n + 1) / 2 numbers.
KERNEL(void, upper_triangle, (const T *x, T *y, ptrdiff_t n), (x, y, n))

/// matrix[i, j] for i <= j from the triangle, 0 below.
KERNEL(void, from_upper_triangle, (const T *triangle, T *matrix, ptrdiff_t n), (triangle, matrix, n))

/// The lower triangle of x as the upper's mirror image.
KERNEL(void, mirror_upper, (T * x, ptrdiff_t n), (x, n))

/// The upper triangle of x as the lower's mirror image.
KERNEL(void, mirror_lower, (T * x, ptrdiff_t n), (x, n))

/// y[column * y_stride + row] = x[row * x_stride + column].
KERNEL(void, transpose, (const T *x, ptrdiff_t x_stride, ptrdiff_t rows, ptrdiff_t columns, T *y, ptrdiff_t y_stride),
       (x, x_stride, rows, columns, y, y_stride))

/// y = x + x transposed.
KERNEL(void, plus_transpose, (const T *x, T *y, ptrdiff_t n), (x, y, n))

/// z = alpha * x + beta * y + gamma * y transposed, n by n; z is neither x nor y.
KERNEL(void, combine, (T alpha, const T *x, T beta, const T *y, T gamma, T *z, ptrdiff_t n),
       (alpha, x, beta, y, gamma, z, n))

/// c = alpha * x + beta * (c + c transposed), n by n, for a symmetric x.
KERNEL(void, symmetrize, (T alpha, const T *x, T beta, T *c, ptrdiff_t n), (alpha, x, beta, c, n))

/// y[r, c] = factor * (x[r, c] - mean of row r); returns the largest |x - mean|, NaN where one is. In double precision,
/// and beside each row's first number: constant rows leave 0, and a large mean takes no digits from what it leaves.
KERNEL(double, center, (const T *x, double factor, T *y, ptrdiff_t rows, ptrdiff_t columns),
       (x, factor, y, rows, columns))
KERNEL(double, center_to_double, (const T *x, double factor, double *y, ptrdiff_t rows, ptrdiff_t columns),
       (x, factor, y, rows, columns))
