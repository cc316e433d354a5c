import COpenBLAS

/// Runs once, when first read: Swift initialises a global lazily and behind a lock.
private let singleThreaded: Void = openblas_set_num_threads(1)

/// Makes every BLAS call run on the thread that makes it, for the whole process from now on.
///
/// Work is spread over threads outside of BLAS, in pieces. A BLAS with threads of its own would compete with them, and
/// its results would depend on how many there are.
package func useSingleThreadedBLAS() { _ = singleThreaded }
