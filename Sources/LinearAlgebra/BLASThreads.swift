import COpenBLAS

private let singleThreaded: Void = openblas_set_num_threads(1)

/// Makes BLAS run each call on the calling thread, once for the process: work is spread by `WorkerPool` instead.
package func useSingleThreadedBLAS() { _ = singleThreaded }
