import Kernels
@_exported import NeuralNetworks

/// The covariance of the channels of each sample: Σ = X̃ X̃ᵀ / N, X̃ the features with each channel's mean removed.
///
/// Input `[B, d, …]` with N positions in the trailing axes, result `[B, d, d]`. N, not N − 1, divides, as in iSQRT-COV
/// (Li et al. 2018, eq. 1). Constant features give Σ = 0 exactly: what rounding leaves of them is cut off, so that a
/// normalisation does not amplify it. Variances beyond the range of `Scalar` give infinity, which `checkingNumerics` makes
/// an error, and those below it 0; `CovarianceFunction`, which never stores Σ, has the wider range of its root.
public struct Covariance: TensorOperation {
  /// Whether means are removed; without, Σ = X Xᵀ / N is bilinear pooling (Lin et al. 2015, eq. 2).
  public var isCentered: Bool

  /// The operation.
  public init(isCentered: Bool = true) { self.isCentered = isCentered }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank >= 3, "expected [B, d, …]", inputs)
    require(inputs[0].dropFirst(2).reduce(1, *) > 0, "no positions to take the covariance over", inputs)
    return [inputs[0][0], inputs[0][1], inputs[0][1]]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let shape = inputs[0].shape
    let (d, positions) = (shape[1], shape.dropFirst(2).reduce(1, *))
    let (x, sigma, failures) = (inputs[0].pointer, result.baseAddress!, FailureLog())
    defer { failures.report() }
    WorkerPool.shared.forEach(shape[0]) { sample in
      withScratch(of: Scalar.self, d * positions + d) { scratch in
        let (centered, output) = (scratch + d, sigma + sample * d * d)
        guard isCentered else {
          return multiplyByTranspose(
            MatrixView(x + sample * d * positions, rows: d, columns: positions), into: output,
            scale: 1 / Scalar(positions))
        }
        let squares = center(x + sample * d * positions, into: centered, means: scratch, rows: d, columns: positions)
        multiplyByTranspose(
          MatrixView(centered, rows: d, columns: positions), into: output, scale: 1 / Scalar(positions))
        let total = Double(trace(output, size: d))
        if isRounding(trace: total, squares: squares, d: d, positions: positions, of: Scalar.self) {
          fill(output, with: 0, count: d * d)
        }
        if !total.isFinite, squares.isFinite {
          failures.note(name, sample: sample, "the variances are out of the range of \(Scalar.name)")
        }
      }
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂X = (G + Gᵀ) X̃ / N, or X in place of X̃.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (shape, x, g) = (application.inputs[0].shape, application.inputs[0].pointer, gradient.pointer)
    let (d, positions) = (shape[1], shape.dropFirst(2).reduce(1, *))
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        WorkerPool.shared.forEach(shape[0]) { sample in
          withScratch(of: Scalar.self, d + d * positions + d * d) { scratch in
            let (centered, symmetric) = (scratch + d, scratch + d + d * positions)
            if isCentered {
              _ = center(x + sample * d * positions, into: centered, means: scratch, rows: d, columns: positions)
            } else {
              centered.update(from: x + sample * d * positions, count: d * positions)
            }
            plusTranspose(g + sample * d * d, into: symmetric, size: d)
            multiply(
              MatrixView(symmetric, rows: d, columns: d), MatrixView(centered, rows: d, columns: positions),
              into: target + sample * d * positions, scale: 1 / Scalar(positions))
          }
        }
      }
    ]
  }
}

/// Removes each row's mean; returns the sum of the squares of `x`.
func center<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>, means: UnsafeMutablePointer<Scalar>, rows: Int,
  columns: Int
) -> Double {
  forPrecision(
    of: Scalar.self,
    float: {
      covpool_row_means_f32(x.float, means.float, rows, columns)
      return covpool_center_f32(x.float, means.float, y.float, rows, columns)
    },
    double: {
      covpool_row_means_f64(x.double, means.double, rows, columns)
      return covpool_center_f64(x.double, means.double, y.double, rows, columns)
    })
}

/// Whether a trace is no more than what rounding leaves of constant features: d · (8 ε)² times the mean square.
func isRounding<Scalar: RealScalar>(
  trace: Double, squares: Double, d: Int, positions: Int, of _: Scalar.Type
) -> Bool {
  let unit = 8 * Double(Scalar.ulpOfOne)
  return trace <= Double(d) * unit * unit * squares / Double(d * positions)
}

/// The sum of the diagonal of an n×n matrix, accumulated in double precision.
func trace<Scalar: RealScalar>(_ matrix: UnsafePointer<Scalar>, size n: Int) -> Scalar {
  var sum = 0.0
  for i in 0..<n { sum += Double(matrix[i * (n + 1)]) }
  return Scalar(sum)
}

/// The sum of the diagonal of an n×n matrix, accumulated in double precision.
func trace<Scalar: RealScalar>(_ matrix: UnsafeMutablePointer<Scalar>, size n: Int) -> Scalar {
  trace(UnsafePointer(matrix), size: n)
}

/// x + xᵀ of an n×n matrix.
func plusTranspose<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>, size n: Int
) {
  forPrecision(
    of: Scalar.self, float: { covpool_plus_transpose_f32(x.float, y.float, n) },
    double: { covpool_plus_transpose_f64(x.double, y.double, n) })
}
