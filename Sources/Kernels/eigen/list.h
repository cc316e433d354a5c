/// differences[i, j] = 1 / (roots[i] + roots[j]), 0 where both are 0: the divided differences of the square root.
KERNEL(void, root_differences, (const double *roots, ptrdiff_t n, double *differences), (roots, n, differences))

/// The n roots of 1 / rho + sum over i of squares[i] / (poles[i] - x), each to the last digits of its distance from the
/// nearer pole: root j, between poles j and j + 1 or beyond the last one, is origins[j] + shifts[j], origins[j] a pole.
/// Poles ascend, rho and squares are positive. Returns how many roots were not found.
KERNEL(ptrdiff_t, secular_roots,
       (ptrdiff_t n, const double *poles, const double *squares, double rho, double *origins, double *shifts),
       (n, poles, squares, rho, origins, shifts))

/// Eigenvectors of diag(poles) + rho z z^T, of unit length and orthogonal to rounding, in rows j of `vectors`, whose
/// eigenvalues are origins[j] + shifts[j]. The poles may be in any order, `sorted` are the same ascending; `signs` has
/// the signs of z; `weights` is scratch for n numbers.
KERNEL(void, secular_vectors,
       (ptrdiff_t n, const double *restrict poles, const double *restrict signs, const double *restrict sorted,
        const double *restrict origins, const double *restrict shifts, double *restrict weights,
        double *restrict vectors),
       (n, poles, signs, sorted, origins, shifts, weights, vectors))
