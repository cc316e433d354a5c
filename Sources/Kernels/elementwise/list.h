/// y = the activation of x. NaN stays NaN.
KERNEL(void, activate, (covpool_activation activation, const T *x, T *y, ptrdiff_t count), (activation, x, y, count))

/// y = gradient where the activation's result lies inside its bounds, else 0.
KERNEL(void, activation_gradient,
       (covpool_activation activation, const T *result, const T *gradient, T *y, ptrdiff_t count),
       (activation, result, gradient, y, count))

/// y = a + b.
KERNEL(void, add, (const T *a, const T *b, T *y, ptrdiff_t count), (a, b, y, count))

/// y = a - b.
KERNEL(void, subtract, (const T *a, const T *b, T *y, ptrdiff_t count), (a, b, y, count))

/// y = a * b.
KERNEL(void, multiply, (const T *a, const T *b, T *y, ptrdiff_t count), (a, b, y, count))

/// y = factor * x.
KERNEL(void, scale, (const T *x, T factor, T *y, ptrdiff_t count), (x, factor, y, count))

/// y += factor * x.
KERNEL(void, accumulate, (T factor, const T *x, T *y, ptrdiff_t count), (factor, x, y, count))

/// y = keep * y + (1 - keep) * x.
KERNEL(void, blend, (const T *x, T keep, T *y, ptrdiff_t count), (x, keep, y, count))

/// y[i] = x[i] * factor where random[i] is at least rate, else 0.
KERNEL(void, drop, (const T *x, const T *random, T rate, T factor, T *y, ptrdiff_t count),
       (x, random, rate, factor, y, count))

/// sums[c] = the sum over rows of x[row * stride + c], in double.
KERNEL(void, sum_rows, (const T *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, double *sums),
       (x, stride, rows, columns, sums))

/// The sum of a * b, in double.
KERNEL(double, dot, (const T *a, const T *b, ptrdiff_t count), (a, b, count))

/// Whether no number is NaN or infinite.
KERNEL(int, all_finite, (const T *x, ptrdiff_t count), (x, count))

KERNEL(void, to_double, (const T *x, double *y, ptrdiff_t count), (x, y, count))

KERNEL(void, from_double, (const double *x, T *y, ptrdiff_t count), (x, y, count))

/// y *= factors, rounded once.
KERNEL(void, multiply_by_double, (const double *factors, T *y, ptrdiff_t count), (factors, y, count))

/// y = sign(x) * sqrt(|x| + eps), 0 where x is.
KERNEL(void, signed_root, (const T *x, T eps, T *y, ptrdiff_t count), (x, eps, y, count))

/// y = g / (2 sqrt(|x| + eps)), 0 where x is.
KERNEL(void, signed_root_gradient, (const T *x, T eps, const T *g, T *y, ptrdiff_t count), (x, eps, g, y, count))

/// y[i] = low + (high - low) * u(first + i), u uniform in [0, 1), a function of seed and counter.
KERNEL(void, uniform, (uint64_t seed, uint64_t first, T low, T high, T *y, ptrdiff_t count),
       (seed, first, low, high, y, count))

/// One step of SGD: d = g + decay * w; v = momentum * v + d; w -= rate * (v, or with nesterov d + momentum * v).
KERNEL(void, sgd_step, (T * w, const T *g, T *v, T rate, T momentum, T decay, int nesterov, ptrdiff_t count),
       (w, g, v, rate, momentum, decay, nesterov, count))

/// One step of Adam with decoupled decay: w *= shrink; m, v the moments; w -= step * m / (sqrt(v) * root + eps), where
/// step and root hold the corrections of the bias.
KERNEL(void, adamw_step,
       (T * w, const T *g, T *m, T *v, T shrink, T beta1, T beta2, T step, T root, T eps, ptrdiff_t count),
       (w, g, m, v, shrink, beta1, beta2, step, root, eps, count))
