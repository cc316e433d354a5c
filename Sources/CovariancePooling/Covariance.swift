import Kernels
@_exported import NeuralNetworks

/// The covariance of the channels of each sample: Σ = X̃ X̃ᵀ / N, X̃ the features with each channel's mean removed.
///
/// Input `[B, d, …]` with N positions in the trailing axes, result `[B, d, d]`. N, not N − 1, divides, as in iSQRT-COV
/// (Li et al. 2018, eq. 1).
///
/// Features are taken for what they are: Σ is 0 where every channel is constant, and nowhere else, however small the
/// deviations are beside their means. Where the trace of Σ is not 0 and yet less than the smallest normal number of
/// `Scalar`, or Σ is beyond the largest, the sample is NaN or infinite, and an error in `checkingNumerics`. Roots that
/// start from the features, `CovarianceFunction` and the square roots of a `CovarianceNormalization`, never store such a Σ
/// and have no such limit.
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
    forward(inputs[0], into: result.baseAddress!, scales: nil)
  }

  /// The covariances; where `scales` has room for a number for each sample, those of the features over the power of two
  /// that is written there.
  func forward<Scalar>(
    _ input: Tensor<Scalar>, into sigma: UnsafeMutablePointer<Scalar>, scales: UnsafeMutablePointer<Double>?
  ) {
    let (shape, x, failures) = (input.shape, input.pointer, FailureLog())
    let (d, positions) = (shape[1], shape.dropFirst(2).reduce(1, *))
    WorkerPool.shared.forEach(shape[0]) { sample in
      withScratch(of: Scalar.self, d * positions) { centered in
        let (features, output) = (x + sample * d * positions, sigma + sample * d * d)
        let scale = isCentered ? center(features, into: centered, rows: d, columns: positions) : 1
        scales?[sample] = scale == 0 ? 1 : scale
        multiplyByTranspose(
          MatrixView(isCentered ? UnsafePointer(centered) : features, rows: d, columns: positions), into: output,
          scale: 1 / Scalar(positions))
        if scales == nil, scale != 1, scale != 0 {
          for _ in 0..<2 { scaled(output, by: Scalar(scale), into: output, count: d * d) }
        }
        let total = Double(trace(output, size: d))
        if !total.isFinite, Scalar.routines.kernels.allFinite(features, d * positions) != 0 {
          failures.note(name, sample: sample, "the variances are out of the range of \(Scalar.name)")
        } else if total < Double(Scalar.leastNormalMagnitude), !isZero(scale, features, count: d * positions) {
          failures.note(name, sample: sample, "the variances are below the range of \(Scalar.name)")
          fill(output, with: .nan, count: d * d)
        }
      }
    }
    failures.report()
  }

  /// Whether Σ is 0, and not only too small.
  private func isZero<Scalar: RealScalar>(_ scale: Double, _ features: UnsafePointer<Scalar>, count: Int) -> Bool {
    isCentered ? scale == 0 : (0..<count).allSatisfy { features[$0] == 0 }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂X = (G + Gᵀ) X̃ / N, or X in place of X̃.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [pullback(gradient, features: application.inputs[0], scales: nil)]
  }

  /// The gradient with respect to the features over `scales`, if there are some, as `forward` made them.
  func pullback<Scalar>(
    _ gradient: Tensor<Scalar>, features: Tensor<Scalar>, scales: UnsafePointer<Double>?
  ) -> Tensor<Scalar> {
    let (shape, x, g) = (features.shape, features.pointer, gradient.pointer)
    let (d, positions) = (shape[1], shape.dropFirst(2).reduce(1, *))
    return Tensor(shape) { result in
      let target = result.baseAddress!
      WorkerPool.shared.forEach(shape[0]) { sample in
        withScratch(of: Scalar.self, d * positions + d * d) { centered in
          let symmetric = centered + d * positions
          if isCentered {
            center(
              x + sample * d * positions, into: centered, rows: d, columns: positions, scale: scales?[sample] ?? 1)
          } else {
            centered.update(from: x + sample * d * positions, count: d * positions)
          }
          Scalar.routines.kernels.plusTranspose(g + sample * d * d, symmetric, d)
          multiply(
            MatrixView(symmetric, rows: d, columns: d), MatrixView(centered, rows: d, columns: positions),
            into: target + sample * d * positions, scale: 1 / Scalar(positions))
        }
      }
    }
  }
}

/// Removes each row's mean and divides by a power of two, so that squares and products stay in range; in the usual range it
/// is 1. Nothing is rounded that was not.
/// - Returns: the power of two; 0 where all rows are constant.
func center<Scalar: RealScalar, Result: RealScalar>(
  _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Result>, rows: Int, columns: Int
) -> Double {
  let largest = center(x, into: y, rows: rows, columns: columns, scale: 1)
  guard largest > 0, largest.isFinite else { return largest == 0 ? 0 : 1 }
  let exponent = Int(largest.exponent), usual = Scalar.self == Float.self ? 32 : 400
  if abs(exponent) <= usual { return 1 }
  // Its inverse is a number too.
  let scale = Double(sign: .plus, exponent: min(max(exponent, -1000), 1000), significand: 1)
  center(x, into: y, rows: rows, columns: columns, scale: scale)
  return scale
}

/// Removes each row's mean and divides by `scale`; returns the largest deviation from a mean, before that.
@discardableResult
func center<Scalar: RealScalar, Result: RealScalar>(
  _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Result>, rows: Int, columns: Int, scale: Double
) -> Double {
  if let y = y as? UnsafeMutablePointer<Scalar> {
    return Scalar.routines.kernels.center(x, 1 / scale, y, rows, columns)
  }
  guard let y = y as? UnsafeMutablePointer<Double> else {
    preconditionFailure("centred \(Scalar.self) as \(Result.self)")
  }
  return Scalar.routines.kernels.centerToDouble(x, 1 / scale, y, rows, columns)
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
