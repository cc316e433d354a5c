import Kernels

/// The sizes that a convolution's gradients are made of.
struct ConvolutionShapes {
  let geometry: covpool_window
  let batch: Int
  let outputChannels: Int

  init(_ geometry: covpool_window, batch: Int, outputChannels: Int) {
    (self.geometry, self.batch, self.outputChannels) = (geometry, batch, outputChannels)
  }

  var pixels: Int { geometry.out_height * geometry.out_width }
  var taps: Int { geometry.channels * geometry.kernel_height * geometry.kernel_width }
  var inputSize: Int { geometry.channels * geometry.height * geometry.width }
  var outputSize: Int { outputChannels * pixels }

  /// Whether columns are the features themselves.
  var isPointwise: Bool {
    geometry.kernel_height == 1 && geometry.kernel_width == 1 && geometry.stride == 1 && geometry.pad_top == 0
      && geometry.pad_left == 0 && pixels == geometry.height * geometry.width
  }

  /// The convolution that takes ∂Y to ∂X, where there is one.
  var transposedGeometry: covpool_window? {
    let top = geometry.kernel_height - 1 - geometry.pad_top, left = geometry.kernel_width - 1 - geometry.pad_left
    guard geometry.stride == 1, geometry.dilation == 1, top >= 0, left >= 0 else { return nil }
    var turned = geometry
    turned.channels = outputChannels
    (turned.height, turned.width) = (geometry.out_height, geometry.out_width)
    (turned.pad_top, turned.pad_left) = (top, left)
    (turned.out_height, turned.out_width) = (geometry.height, geometry.width)
    return turned
  }

  /// The output pixels in pieces of about `size`.
  func pieces(of size: Int) -> [Range<Int>] {
    let count = max(1, (pixels + size - 1) / size)
    return (0..<count).map { $0 * pixels / count..<($0 + 1) * pixels / count }
  }
}

/// ∂X of a convolution, added to `sum` if there is one. With stride 1 it is a convolution of ∂Y by the weights turned
/// round, input and output channels exchanged; otherwise Wᵀ ∂Y for each image, scattered by col2im.
func convolutionInputGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ gradient: UnsafePointer<Scalar>, _ weight: Tensor<Scalar>,
  adding sum: UnsafePointer<Scalar>?, into result: UnsafeMutablePointer<Scalar>
) {
  if let geometry = shapes.transposedGeometry,
    case let algorithm = ConvolutionAlgorithm.best(
      geometry, outputChannels: shapes.geometry.channels, batch: shapes.batch, for: Scalar.self), algorithm != .blas
  {
    let taps = geometry.kernel_height * geometry.kernel_width
    let turned = ConvolutionWeights<Scalar>(
      weight, for: geometry, outputChannels: shapes.geometry.channels,
      strides: (output: taps, input: shapes.taps), flipped: true, algorithm: algorithm)
    return convolve(
      geometry, batch: shapes.batch, input: gradient, weights: turned,
      epilogue: Epilogue(residual: sum), output: result)
  }
  let weights = MatrixView(weight.pointer, rows: shapes.outputChannels, columns: shapes.taps).transposed
  WorkerPool.shared.forEach(shapes.batch) { image in
    let (from, to) = (gradient + image * shapes.outputSize, result + image * shapes.inputSize)
    if let sum { to.update(from: sum + image * shapes.inputSize, count: shapes.inputSize) }
    if shapes.isPointwise {
      let features = MatrixView(from, rows: shapes.outputChannels, columns: shapes.pixels)
      multiply(weights, features, into: to, keeping: sum == nil ? 0 : 1)
      return
    }
    if sum == nil { fill(to, with: 0, count: shapes.inputSize) }
    let pieces = shapes.pieces(of: 1024)
    withScratch(of: Scalar.self, shapes.taps * (pieces.map(\.count).max() ?? 0)) { columns in
      for piece in pieces {
        let part = MatrixView(
          from + piece.lowerBound, rows: shapes.outputChannels, columns: piece.count, stride: shapes.pixels)
        multiply(weights, part, into: columns)
        withUnsafePointer(to: shapes.geometry) { window in
          Scalar.routines.kernels.col2im(window, columns, piece.lowerBound, piece.upperBound, to)
        }
      }
    }
  }
}

/// ∂W of a convolution: Σ ∂Y Cᵀ.
///
/// Each thread sums its own images, always the same ones in the same order, and the partial sums are added in order: the
/// result is the same bits for the same number of threads.
func convolutionWeightGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ gradient: UnsafePointer<Scalar>, _ input: UnsafePointer<Scalar>,
  into result: UnsafeMutablePointer<Scalar>
) {
  let parts = max(1, min(WorkerPool.shared.width, shapes.batch))
  let algorithm = ConvolutionAlgorithm.best(
    shapes.geometry, outputChannels: shapes.outputChannels, batch: shapes.batch, for: Scalar.self)
  if algorithm != .blas, algorithm != .depthwise, let kernels = Scalar.routines.packed {
    let job = kernels.convolution(
      shapes.geometry, shapes.batch, shapes.outputChannels, input, nil, nil, nil, nil, Activation.identity.kernel, nil)
    if algorithm == .winograd { return weightGradientByWinograd(kernels, job, gradient, into: result) }
    return weightGradient(kernels, job, parts, gradient, into: result)
  }
  let size = shapes.outputChannels * shapes.taps
  let sums = Tensor<Scalar>([parts, size]) { sums in
    let sums = sums.baseAddress!
    WorkerPool.shared.forEach(parts) { part in
      let sum = sums + part * size
      var keeping: Scalar = 0
      let pieces = shapes.pieces(of: 1024)
      withScratch(of: Scalar.self, shapes.taps * (pieces.map(\.count).max() ?? 0)) { columns in
        for image in part * shapes.batch / parts..<(part + 1) * shapes.batch / parts {
          let (x, g) = (input + image * shapes.inputSize, gradient + image * shapes.outputSize)
          for piece in pieces {
            let rows = MatrixView(
              g + piece.lowerBound, rows: shapes.outputChannels, columns: piece.count, stride: shapes.pixels)
            if shapes.isPointwise {
              let features = MatrixView(
                x + piece.lowerBound, rows: shapes.taps, columns: piece.count, stride: shapes.pixels)
              multiply(rows, features.transposed, into: sum, keeping: keeping)
            } else {
              withUnsafePointer(to: shapes.geometry) {
                Scalar.routines.kernels.im2col($0, x, piece.lowerBound, piece.upperBound, columns)
              }
              multiply(
                rows, MatrixView(columns, rows: shapes.taps, columns: piece.count).transposed, into: sum,
                keeping: keeping)
            }
            keeping = 1
          }
        }
      }
      if keeping == 0 { fill(sum, with: 0, count: size) }
    }
  }
  let total = sums.pointer
  result.update(from: total, count: size)
  for part in 1..<max(parts, 1) { accumulate(total + part * size, into: result, count: size) }
}

/// The same by `Kernels/convolution/weight_gradient.c`; of the convolution only x and the sizes count.
private func weightGradient<Scalar: RealScalar>(
  _ kernels: PackedKernels<Scalar>, _ job: covpool_convolution, _ parts: Int, _ gradient: UnsafePointer<Scalar>,
  into result: UnsafeMutablePointer<Scalar>
) {
  let size = withUnsafePointer(to: job, covpool_weight_sums_size)
  let scratchSize = withUnsafePointer(to: job, covpool_weight_gradient_scratch)
  let sums = TensorStorage<Scalar>(count: parts * size)
  WorkerPool.shared.forEach(parts) { part in
    let sum = sums.pointer + part * size
    fill(sum, with: 0, count: size)
    withUnsafePointer(to: job) { job in
      withScratch(of: Scalar.self, scratchSize) { scratch in
        let batch = job.pointee.batch
        kernels.weightGradient(job, gradient, part * batch / parts, (part + 1) * batch / parts, sum, scratch)
      }
    }
  }
  WorkerPool.shared.forEach(job.out_channels) { channel in
    withUnsafePointer(to: job) { job in
      kernels.collectWeightGradient(job, sums.pointer, parts, channel, channel + 1, result)
    }
  }
}
