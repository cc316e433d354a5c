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

  /// The output pixels in pieces of about `size`.
  func pieces(of size: Int) -> [Range<Int>] {
    let count = max(1, (pixels + size - 1) / size)
    return (0..<count).map { $0 * pixels / count..<($0 + 1) * pixels / count }
  }
}

/// ∂X of a convolution: Wᵀ ∂Y for each image, scattered by col2im.
func convolutionInputGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ gradient: UnsafePointer<Scalar>, _ weight: UnsafePointer<Scalar>,
  into result: UnsafeMutablePointer<Scalar>
) {
  let weights = MatrixView(weight, rows: shapes.outputChannels, columns: shapes.taps).transposed
  WorkerPool.shared.forEach(shapes.batch) { image in
    let (from, to) = (gradient + image * shapes.outputSize, result + image * shapes.inputSize)
    if shapes.isPointwise {
      multiply(weights, MatrixView(from, rows: shapes.outputChannels, columns: shapes.pixels), into: to)
      return
    }
    to.update(repeating: 0, count: shapes.inputSize)
    let pieces = shapes.pieces(of: 1024)
    withScratch(of: Scalar.self, shapes.taps * (pieces.map(\.count).max() ?? 0)) { columns in
      for piece in pieces {
        let part = MatrixView(
          from + piece.lowerBound, rows: shapes.outputChannels, columns: piece.count, stride: shapes.pixels)
        multiply(weights, part, into: columns)
        withUnsafePointer(to: shapes.geometry) { window in
          forPrecision(
            of: Scalar.self,
            float: { covpool_col2im_f32(window, columns.float, piece.lowerBound, piece.upperBound, to.float) },
            double: { covpool_col2im_f64(window, columns.double, piece.lowerBound, piece.upperBound, to.double) })
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
  let size = shapes.outputChannels * shapes.taps
  let parts = max(1, min(WorkerPool.shared.width, shapes.batch))
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
              im2col(shapes.geometry, x, pixels: piece, into: columns)
              multiply(
                rows, MatrixView(columns, rows: shapes.taps, columns: piece.count).transposed, into: sum,
                keeping: keeping)
            }
            keeping = 1
          }
        }
      }
      if keeping == 0 { sum.update(repeating: 0, count: size) }
    }
  }
  let total = sums.pointer
  result.update(from: total, count: size)
  for part in 1..<max(parts, 1) { accumulate(total + part * size, into: result, count: size) }
}

/// y ← y + factor · x.
func accumulate<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, factor: Scalar = 1, into y: UnsafeMutablePointer<Scalar>, count: Int
) {
  forPrecision(
    of: Scalar.self, float: { covpool_accumulate_f32(Float(factor), x.float, y.float, count) },
    double: { covpool_accumulate_f64(Double(factor), x.double, y.double, count) })
}
