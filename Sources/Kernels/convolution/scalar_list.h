/// columns[(c, ky, kx), p - first] = the input pixel under tap (ky, kx) of output pixel p, 0 in the padding, for
/// first <= p < last; rows of `columns` are last - first long.
KERNEL(void, im2col, (const covpool_window *w, const T *x, ptrdiff_t first, ptrdiff_t last, T *columns),
       (w, x, first, last, columns))

/// x += columns, the transpose of im2col.
KERNEL(void, col2im, (const covpool_window *w, const T *columns, ptrdiff_t first, ptrdiff_t last, T *x),
       (w, columns, first, last, x))

/// y += bias[row], += residual, then the activation (bias and residual may be NULL); rows of `columns`.
KERNEL(void, epilogue,
       (T * y, ptrdiff_t y_stride, const T *bias, const T *residual, ptrdiff_t residual_stride,
        covpool_activation activation, ptrdiff_t rows, ptrdiff_t columns),
       (y, y_stride, bias, residual, residual_stride, activation, rows, columns))
