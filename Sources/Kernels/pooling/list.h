/// Maximum over the window, padding never wins; scratch holds width numbers.
KERNEL(void, max_pool, (const covpool_window *w, const T *x, T *y, T *scratch), (w, x, y, scratch))

/// Adds each pooled gradient to the first largest pixel of its window; x_gradient is zeroed first.
KERNEL(void, max_pool_gradient, (const covpool_window *w, const T *x, const T *gradient, T *x_gradient),
       (w, x, gradient, x_gradient))

/// Mean over the window's pixels inside the plane.
KERNEL(void, average_pool, (const covpool_window *w, const T *x, T *y), (w, x, y))

/// Spreads each pooled gradient evenly over its window's pixels; x_gradient is zeroed first.
KERNEL(void, average_pool_gradient, (const covpool_window *w, const T *gradient, T *x_gradient),
       (w, gradient, x_gradient))

/// The mean of each row, summed in double.
KERNEL(void, row_means, (const T *x, T *means, ptrdiff_t rows, ptrdiff_t columns), (x, means, rows, columns))

/// Each plane of [.., planes_out] from every stride-th pixel of a plane of x, or 0 before `before` and after its
/// planes; one image.
KERNEL(void, pad_channels, (const covpool_window *w, const T *x, ptrdiff_t before, ptrdiff_t after, T *y),
       (w, x, before, after, y))

/// The transpose of it: zeros, and the gradient on every stride-th pixel.
KERNEL(void, pad_channels_gradient,
       (const covpool_window *w, const T *gradient, ptrdiff_t before, ptrdiff_t after, T *x_gradient),
       (w, gradient, before, after, x_gradient))
