/// Numbers of scratch that any of the three kernels below takes.
KERNEL(ptrdiff_t, depthwise_scratch, (const covpool_window *w), (w))

/// Every plane of [batch, channels, height, width] by a kernel of its channel's own, weights [channels, kernel_height,
/// kernel_width]: the activation of the sums plus bias (of channels) plus residual, both of which may be NULL. Computes
/// planes [first, last), counted through the batch: image * channels + channel. A plane is the same bits whatever the
/// batch and the range.
KERNEL(void, depthwise_convolve,
       (const covpool_window *w, const T *x, const T *weights, const T *bias, const T *residual,
        covpool_activation activation, ptrdiff_t first, ptrdiff_t last, T *scratch, T *y),
       (w, x, weights, bias, residual, activation, first, last, scratch, y))

/// The gradient of x for planes [first, last), given that of y, added to `sum`, which may be NULL.
KERNEL(void, depthwise_input_gradient,
       (const covpool_window *w, const T *gradient, const T *weights, const T *sum, ptrdiff_t first, ptrdiff_t last,
        T *scratch, T *x_gradient),
       (w, gradient, weights, sum, first, last, scratch, x_gradient))

/// sums[plane * taps + tap] = what planes [first, last) add to the gradient of their channel's weights.
KERNEL(void, depthwise_weight_gradient,
       (const covpool_window *w, const T *x, const T *gradient, ptrdiff_t first, ptrdiff_t last, T *scratch,
        double *sums),
       (w, x, gradient, first, last, scratch, sums))
