// Loops over plain memory. Nothing here allocates, chooses an algorithm or knows what a tensor is.
//
// Every kernel exists for float (`_f32`) and double (`_f64`). On x86-64 Linux each is compiled for AVX-512, AVX2 and
// the baseline, and the loader picks the one the processor runs.

#ifndef COVPOOL_KERNELS_H
#define COVPOOL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "activation.h"

/// A hint to the processor that the thread is spinning.
static inline void covpool_spin_hint(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// The window of a convolution or pooling over one plane: [height, width] in, [.., out_width] out. Of the kernels only
/// im2col, col2im and the depthwise ones heed a dilation other than 1.
typedef struct {
  ptrdiff_t channels, height, width;
  ptrdiff_t kernel_height, kernel_width;
  ptrdiff_t stride, dilation;
  ptrdiff_t pad_top, pad_left;
  ptrdiff_t out_height, out_width;
} covpool_window;

/// Images that are image_size numbers apart, and in each of them rows of pixels for some channels.
typedef struct {
  ptrdiff_t images, image_size, channels, pixels;
} covpool_batch;

#define COVPOOL_DECLARE(T, suffix)                                                                                     \
  /* columns[(c, ky, kx), p - first] = the input pixel under tap (ky, kx) of output pixel p, 0 in the padding, for     \
     first <= p < last; rows of `columns` are last - first long. */                                                    \
  void covpool_im2col_##suffix(const covpool_window *w, const T *x, ptrdiff_t first, ptrdiff_t last, T *columns);      \
  /* y += bias[row], += residual, then the activation (bias and residual may be NULL); rows of `columns`. */           \
  void covpool_epilogue_##suffix(T *y, ptrdiff_t y_stride, const T *bias, const T *residual,                           \
                                 ptrdiff_t residual_stride, covpool_activation activation, ptrdiff_t rows,             \
                                 ptrdiff_t columns);                                                                   \
  void covpool_activate_##suffix(covpool_activation activation, const T *x, T *y, ptrdiff_t count);                    \
  void covpool_add_##suffix(const T *a, const T *b, T *y, ptrdiff_t count);                                            \
  /* Maximum over the window, padding never wins; scratch holds width numbers. */                                      \
  void covpool_max_pool_##suffix(const covpool_window *w, const T *x, T *y, T *scratch);                               \
  /* Mean over the window's pixels inside the plane. */                                                                \
  void covpool_average_pool_##suffix(const covpool_window *w, const T *x, T *y);                                       \
  /* Row sums, accumulated in double. */                                                                               \
  void covpool_row_means_##suffix(const T *x, T *means, ptrdiff_t rows, ptrdiff_t columns);                            \
  /* The upper triangle with diagonal, row by row: n (n + 1) / 2 numbers. */                                           \
  void covpool_upper_triangle_##suffix(const T *x, T *y, ptrdiff_t n);                                                 \
  /* y[i] = lower triangle mirrored from the upper. */                                                                 \
  void covpool_mirror_upper_##suffix(T *x, ptrdiff_t n);                                                               \
  void covpool_scale_##suffix(const T *x, T factor, T *y, ptrdiff_t count);                                            \
  /* y[i] = low + (high - low) * u(i), u uniform in [0, 1) from a counter-based generator: a function of seed, i. */   \
  void covpool_uniform_##suffix(uint64_t seed, uint64_t first, T low, T high, T *y, ptrdiff_t count);                  \
  /* y[i] = deviation * standard normal (Box-Muller), a function of seed and i. */                                     \
  void covpool_normal_##suffix(uint64_t seed, uint64_t first, T deviation, T *y, ptrdiff_t count);                     \
  /* x += columns, the transpose of im2col for pixels first ..< last. */                                               \
  void covpool_col2im_##suffix(const covpool_window *w, const T *columns, ptrdiff_t first, ptrdiff_t last, T *x);      \
  /* y[i] = gradient[i] where the activation's result[i] lies inside its bounds, else 0. */                            \
  void covpool_activation_gradient_##suffix(covpool_activation activation, const T *result, const T *gradient, T *y,   \
                                            ptrdiff_t count);                                                          \
  /* Each channel's mean and biased variance, in double. */                                                            \
  void covpool_batch_moments_##suffix(const covpool_batch *batch, const T *x, double *means, double *variances);       \
  /* y = the activation of x * scale + shift + addend with each channel's factors; addend may be NULL, for 0. */       \
  void covpool_batch_affine_##suffix(const covpool_batch *batch, const T *x, const T *scale, const T *shift,           \
                                     const T *addend, covpool_activation activation, T *y);                            \
  /* Each channel's sums of g and of g * (x - mean), in double. g counts where the activation's result lies inside its \
     bounds, and is stored so in masked, which may be g, unless that is NULL. Without activation result is not read. */\
  void covpool_batch_gradient_sums_##suffix(const covpool_batch *batch, const T *x, const T *g,                        \
                                            covpool_activation activation, const T *result, const T *means,            \
                                            T *masked, double *sums, double *products);                                \
  /* y = a * g + b * x + c with each channel's factors; g counts as for the sums; y may be g. */                       \
  void covpool_batch_combine_##suffix(const covpool_batch *batch, const T *a, const T *g,                              \
                                      covpool_activation activation, const T *result, const T *b, const T *x,          \
                                      const T *c, T *y);                                                               \
  /* Adds each pooled gradient to the first largest pixel of its window; x_gradient is zeroed first. */                \
  void covpool_max_pool_gradient_##suffix(const covpool_window *w, const T *x, const T *gradient, T *x_gradient);      \
  /* Spreads each pooled gradient evenly over its window's pixels; x_gradient is zeroed first. */                      \
  void covpool_average_pool_gradient_##suffix(const covpool_window *w, const T *gradient, T *x_gradient);              \
  /* matrix[i, j] for i <= j from the triangle, 0 below. */                                                            \
  void covpool_from_upper_triangle_##suffix(const T *triangle, T *matrix, ptrdiff_t n);                                \
  /* y = x + x transposed. */                                                                                          \
  void covpool_plus_transpose_##suffix(const T *x, T *y, ptrdiff_t n);                                                 \
  /* z = alpha * x + beta * y + gamma * y transposed, n by n; z is neither x nor y. */                                 \
  void covpool_combine_##suffix(T alpha, const T *x, T beta, const T *y, T gamma, T *z, ptrdiff_t n);                  \
  /* c = alpha * x + beta * (c + c transposed), n by n, for a symmetric x. */                                          \
  void covpool_symmetrize_##suffix(T alpha, const T *x, T beta, T *c, ptrdiff_t n);                                    \
  /* y += factor * x. */                                                                                               \
  void covpool_accumulate_##suffix(T factor, const T *x, T *y, ptrdiff_t count);                                       \
  /* The sum of a[i] * b[i], in double. */                                                                             \
  double covpool_dot_##suffix(const T *a, const T *b, ptrdiff_t count);                                                \
  /* One step of SGD: d = g + decay * w; v = momentum * v + d; w -= rate * (v, or with nesterov d + momentum * v). */  \
  void covpool_sgd_step_##suffix(T *w, const T *g, T *v, T rate, T momentum, T decay, int nesterov, ptrdiff_t count);  \
  /* One step of Adam with decoupled decay: w *= 1 - rate * decay; m, v the moments; w -= step * m / (sqrt(v) * root + \
     eps), where step and root hold the corrections of the bias. */                                                    \
  void covpool_adamw_step_##suffix(T *w, const T *g, T *m, T *v, T shrink, T beta1, T beta2, T step, T root, T eps,    \
                                   ptrdiff_t count);                                                                   \
  /* y = keep * y + (1 - keep) * x. */                                                                                 \
  void covpool_blend_##suffix(const T *x, T keep, T *y, ptrdiff_t count);                                              \
  void covpool_to_double_##suffix(const T *x, double *y, ptrdiff_t count);                                             \
  void covpool_from_double_##suffix(const double *x, T *y, ptrdiff_t count);                                           \
  /* y[i] *= factors[i], rounded once. */                                                                              \
  void covpool_multiply_by_double_##suffix(const double *factors, T *y, ptrdiff_t count);                              \
  /* y[j, i] = x[i, j]. */                                                                                             \
  void covpool_transpose_##suffix(const T *x, T *y, ptrdiff_t rows, ptrdiff_t columns);                                \
  /* y = (x - mean) * factor * weight + bias. */                                                                       \
  void covpool_layer_norm_##suffix(const T *x, T mean, T factor, const T *weight, const T *bias, T *y,                 \
                                   ptrdiff_t count);                                                                   \
  /* What reaches x, weight and bias through it, the latter two added up; mean and factor move with x. */              \
  void covpool_layer_norm_gradient_##suffix(const T *x, T mean, T factor, const T *weight, const T *g, T *x_gradient,  \
                                            T *weight_gradient, T *bias_gradient, ptrdiff_t count);                    \
  /* y = sign(x) * sqrt(|x| + eps), 0 where x is. */                                                                   \
  void covpool_signed_root_##suffix(const T *x, T eps, T *y, ptrdiff_t count);                                         \
  /* y = g / (2 sqrt(|x| + eps)), 0 where x is. */                                                                     \
  void covpool_signed_root_gradient_##suffix(const T *x, T eps, const T *g, T *y, ptrdiff_t count);                    \
  /* Each plane of [.., planes_out] from every stride-th pixel of a plane of x, or 0 before `before` and after its     \
     planes; one image. */                                                                                             \
  void covpool_pad_channels_##suffix(const covpool_window *w, const T *x, ptrdiff_t before, ptrdiff_t after, T *y);    \
  /* The transpose of it: zeros, and the gradient on every stride-th pixel. */                                         \
  void covpool_pad_channels_gradient_##suffix(const covpool_window *w, const T *gradient, ptrdiff_t before,            \
                                              ptrdiff_t after, T *x_gradient);                                         \
  /* Whether no number is NaN or infinite. */                                                                          \
  int covpool_all_finite_##suffix(const T *x, ptrdiff_t count);

COVPOOL_DECLARE(float, f32)
COVPOOL_DECLARE(double, f64)
#undef COVPOOL_DECLARE

/// y[r, c] = factor * (x[r, c] - mean of row r); returns the largest |x - mean|, NaN where one is. In double precision, and
/// beside each row's first number: constant rows leave 0, and a large mean takes no digits from what it leaves.
double covpool_center_f32(const float *x, double factor, float *y, ptrdiff_t rows, ptrdiff_t columns);
double covpool_center_f64(const double *x, double factor, double *y, ptrdiff_t rows, ptrdiff_t columns);
double covpool_center_to_double(const float *x, double factor, double *y, ptrdiff_t rows, ptrdiff_t columns);

/// differences[i, j] = 1 / (roots[i] + roots[j]), 0 where both are 0: the divided differences of the square root.
void covpool_root_differences(const double *roots, ptrdiff_t n, double *differences);

/// The n roots of 1 / rho + sum over i of squares[i] / (poles[i] - x), each to the last digits of its distance from the
/// nearer pole: root j, between poles j and j + 1 or beyond the last one, is origins[j] + shifts[j], origins[j] a pole.
/// Poles ascend, rho and squares are positive. Returns how many roots were not found.
ptrdiff_t covpool_secular_roots(ptrdiff_t n, const double *poles, const double *squares, double rho, double *origins,
                                double *shifts);

/// Eigenvectors of diag(poles) + rho z z^T, of unit length and orthogonal to rounding, in rows j of `vectors`, whose
/// eigenvalues are origins[j] + shifts[j]. The poles may be in any order, `sorted` are the same ascending; `signs` has
/// the signs of z; `weights` is scratch for n numbers.
void covpool_secular_vectors(ptrdiff_t n, const double *restrict poles, const double *restrict signs,
                             const double *restrict sorted, const double *restrict origins,
                             const double *restrict shifts, double *restrict weights, double *restrict vectors);

#endif
