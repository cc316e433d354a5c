import Kernels

/// Convolves every channel of a batch `[B, C, H, W]` with a kernel of its own, and finishes it while it is in registers:
/// the activation of the sums plus bias plus residual. The work is spread over the pool by planes.
/// - Parameters:
///   - geometry: the window; `channels` are the groups.
///   - weights: `[C, h, w]`, with BatchNorm's scale folded in.
///   - bias: `[C]`.
///   - residual: of the output's shape `[B, C, H′, W′]`.
package func depthwiseConvolve<Scalar: RealScalar>(
  _ geometry: covpool_window, batch: Int, input: UnsafePointer<Scalar>, weights: UnsafePointer<Scalar>,
  bias: UnsafePointer<Scalar>? = nil, residual: UnsafePointer<Scalar>? = nil, activation: Activation = .identity,
  output: UnsafeMutablePointer<Scalar>
) {
  forEachPlanes(of: batch, geometry, Scalar.self) { window, planes, scratch in
    Scalar.routines.kernels.depthwiseConvolve(
      window, input, weights, bias, residual, activation.kernel, planes.lowerBound, planes.upperBound, scratch, output)
  }
}

/// ∂X of a depthwise convolution, added to `sum` if there is one.
func depthwiseInputGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ gradient: UnsafePointer<Scalar>, _ weights: UnsafePointer<Scalar>,
  adding sum: UnsafePointer<Scalar>?, into result: UnsafeMutablePointer<Scalar>
) {
  forEachPlanes(of: shapes.batch, shapes.geometry, Scalar.self) { window, planes, scratch in
    Scalar.routines.kernels.depthwiseInputGradient(
      window, gradient, weights, sum, planes.lowerBound, planes.upperBound, scratch, result)
  }
}

/// ∂W `[C, h, w]` of a depthwise convolution. What each plane adds is summed over the images in their order, in double
/// precision: the result is the same bits whatever the number of threads.
func depthwiseWeightGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ gradient: UnsafePointer<Scalar>, _ input: UnsafePointer<Scalar>,
  into result: UnsafeMutablePointer<Scalar>
) {
  let geometry = shapes.geometry
  let size = geometry.channels * geometry.kernel_height * geometry.kernel_width
  withScratch(of: Double.self, max(shapes.batch, 1) * size) { sums in
    fill(sums, with: 0, count: size)
    forEachPlanes(of: shapes.batch, geometry, Scalar.self) { window, planes, scratch in
      Scalar.routines.kernels.depthwiseWeightGradient(
        window, input, gradient, planes.lowerBound, planes.upperBound, scratch, sums)
    }
    for image in 1..<max(shapes.batch, 1) { accumulate(sums + image * size, into: sums, count: size) }
    Scalar.routines.kernels.fromDouble(sums, result, size)
  }
}

/// Calls `body` with ranges of planes that together are the batch, spread over the pool, and with scratch for each.
private func forEachPlanes<Scalar: RealScalar>(
  of batch: Int, _ geometry: covpool_window, _: Scalar.Type,
  _ body: (UnsafePointer<covpool_window>, Range<Int>, UnsafeMutablePointer<Scalar>) -> Void
) {
  let scratchSize = withUnsafePointer(to: geometry, Scalar.routines.kernels.depthwiseScratch)
  // Two planes may share a vector.
  let pairs = (batch * geometry.channels + 1) / 2
  let pieces = min(pairs, 4 * WorkerPool.shared.width)
  WorkerPool.shared.forEach(pieces) { piece in
    let range = 2 * (piece * pairs / pieces)..<min(2 * ((piece + 1) * pairs / pieces), batch * geometry.channels)
    withUnsafePointer(to: geometry) { window in
      withScratch(of: Scalar.self, scratchSize) { body(window, range, $0) }
    }
  }
}
