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
  forEachPlanes(of: batch, geometry, Scalar.self) { planes, scratch in
    forPrecision(
      of: Scalar.self,
      float: {
        var job = covpool_depthwise_f32(
          window: geometry, weights: weights.float, bias: bias?.float, residual: residual?.float,
          activation: activation.kernel)
        covpool_depthwise_convolve_f32(
          &job, input.float, planes.lowerBound, planes.upperBound, scratch.float, output.float)
      },
      double: {
        var job = covpool_depthwise_f64(
          window: geometry, weights: weights.double, bias: bias?.double, residual: residual?.double,
          activation: activation.kernel)
        covpool_depthwise_convolve_f64(
          &job, input.double, planes.lowerBound, planes.upperBound, scratch.double, output.double)
      })
  }
}

/// ∂X of a depthwise convolution, added to `sum` if there is one.
func depthwiseInputGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ gradient: UnsafePointer<Scalar>, _ weights: UnsafePointer<Scalar>,
  adding sum: UnsafePointer<Scalar>?, into result: UnsafeMutablePointer<Scalar>
) {
  let geometry = shapes.geometry
  forEachPlanes(of: shapes.batch, geometry, Scalar.self) { planes, scratch in
    forPrecision(
      of: Scalar.self,
      float: {
        var job = covpool_depthwise_f32(
          window: geometry, weights: weights.float, bias: nil, residual: sum?.float, activation: COVPOOL_IDENTITY)
        covpool_depthwise_input_gradient_f32(
          &job, gradient.float, planes.lowerBound, planes.upperBound, scratch.float, result.float)
      },
      double: {
        var job = covpool_depthwise_f64(
          window: geometry, weights: weights.double, bias: nil, residual: sum?.double, activation: COVPOOL_IDENTITY)
        covpool_depthwise_input_gradient_f64(
          &job, gradient.double, planes.lowerBound, planes.upperBound, scratch.double, result.double)
      })
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
    forEachPlanes(of: shapes.batch, geometry, Scalar.self) { planes, scratch in
      forPrecision(
        of: Scalar.self,
        float: {
          var job = covpool_depthwise_f32()
          job.window = geometry
          covpool_depthwise_weight_gradient_f32(
            &job, input.float, gradient.float, planes.lowerBound, planes.upperBound, scratch.float, sums)
        },
        double: {
          var job = covpool_depthwise_f64()
          job.window = geometry
          covpool_depthwise_weight_gradient_f64(
            &job, input.double, gradient.double, planes.lowerBound, planes.upperBound, scratch.double, sums)
        })
    }
    for image in 1..<max(shapes.batch, 1) { accumulate(sums + image * size, into: sums, count: size) }
    narrow(sums, into: result, count: size)
  }
}

/// Calls `body` with ranges of planes that together are the batch, spread over the pool, and with scratch for each.
private func forEachPlanes<Scalar: RealScalar>(
  of batch: Int, _ geometry: covpool_window, _: Scalar.Type, _ body: (Range<Int>, UnsafeMutablePointer<Scalar>) -> Void
) {
  let scratchSize = withUnsafePointer(to: geometry) { window in
    forPrecision(
      of: Scalar.self, float: { covpool_depthwise_scratch_f32(window) },
      double: { covpool_depthwise_scratch_f64(window) })
  }
  // Two planes may share a vector.
  let pairs = (batch * geometry.channels + 1) / 2
  let pieces = min(pairs, 4 * WorkerPool.shared.width)
  WorkerPool.shared.forEach(pieces) { piece in
    let range = 2 * (piece * pairs / pieces)..<min(2 * ((piece + 1) * pairs / pieces), batch * geometry.channels)
    withScratch(of: Scalar.self, scratchSize) { body(range, $0) }
  }
}
