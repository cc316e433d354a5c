/// Each channel's mean and biased variance, in double.
KERNEL(void, batch_moments, (const covpool_batch *batch, const T *x, double *means, double *variances),
       (batch, x, means, variances))

/// y = the activation of x * scale + shift + addend with each channel's factors; addend may be NULL, for 0.
KERNEL(void, batch_affine,
       (const covpool_batch *batch, const T *x, const T *scale, const T *shift, const T *addend,
        covpool_activation activation, T *y),
       (batch, x, scale, shift, addend, activation, y))

/// Each channel's sums of g and of g * (x - mean), in double. g counts where the activation's result lies inside its
/// bounds, and is stored so in masked, which may be g, unless that is NULL. Without activation result is not read.
KERNEL(void, batch_gradient_sums,
       (const covpool_batch *batch, const T *x, const T *g, covpool_activation activation, const T *result,
        const T *means, T *masked, double *sums, double *products),
       (batch, x, g, activation, result, means, masked, sums, products))

/// y = a * g + b * x + c with each channel's factors; g counts as for the sums; y may be g.
KERNEL(void, batch_combine,
       (const covpool_batch *batch, const T *a, const T *g, covpool_activation activation, const T *result, const T *b,
        const T *x, const T *c, T *y),
       (batch, a, g, activation, result, b, x, c, y))

/// y = (x - mean) * factor * weight + bias.
KERNEL(void, layer_norm, (const T *x, T mean, T factor, const T *weight, const T *bias, T *y, ptrdiff_t count),
       (x, mean, factor, weight, bias, y, count))

/// What reaches x, weight and bias through it, the latter two added up; mean and factor move with x.
KERNEL(void, layer_norm_gradient,
       (const T *x, T mean, T factor, const T *weight, const T *g, T *x_gradient, T *weight_gradient, T *bias_gradient,
        ptrdiff_t count),
       (x, mean, factor, weight, g, x_gradient, weight_gradient, bias_gradient, count))
