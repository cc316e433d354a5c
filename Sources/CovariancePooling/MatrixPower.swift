import Foundation
import Kernels

/// The exact power Σ^exponent of each matrix by eigendecomposition in double precision; ½ is MPN's square root.
///
/// Input `[B, d, d]`, symmetric positive semi-definite; result `[B, d, d]`. Eigenvalues that are no more than rounding
/// (at most d ε λ₁) count as 0. A matrix that is not finite gives NaN. MPN-COV (Li et al. 2017, eq. 3).
///
/// A covariance that was rounded to single precision has lost its small eigenvalues: for networks use
/// `CovariancePower`, which starts from the features.
public struct MatrixPower: TensorOperation {
  /// The exponent, greater than 0.
  public var exponent: Double

  /// A power with this exponent.
  /// - Precondition: `exponent` is positive.
  public init(exponent: Double = 0.5) {
    precondition(exponent > 0, "the power of a singular matrix needs a positive exponent, not \(exponent)")
    self.exponent = exponent
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 3 && inputs[0][1] == inputs[0][2], "expected [B, d, d]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let (sigma, power) = (inputs[0].pointer, result.baseAddress!)
    let solvers = SolverPool(size: d)
    WorkerPool.shared.forEach(batch) { sample in
      withScratch(of: Double.self, 2 * d * d + d) { scratch in
        let (vectors, root, values) = (scratch, scratch + d * d, scratch + 2 * d * d)
        for i in 0..<d * d { vectors[i] = Double(sigma[sample * d * d + i]) }
        let output = power + sample * d * d
        guard solvers.decompose(vectors, values: values) else {
          return output.update(repeating: .nan, count: d * d)
        }
        powerOfSpectrum(vectors, values: values, size: d, exponent: exponent, into: root)
        for i in 0..<d * d { output[i] = Scalar(root[i]) }
      }
    }
  }
}

/// The exact power of the covariance of the channels, straight from the features in double precision.
///
/// Input `[B, d, …]` with N positions, result `[B, d, d]`. With fewer positions than channels, the usual case at 224 px
/// (196 < 256), the N×N Gram matrix is decomposed instead: X̃ᵀX̃/N = V Λ Vᵀ and Σ^α = X̃ V Λ^(α−1) Vᵀ X̃ᵀ / N. That is less
/// work and leaves the null space out exactly. Eigenvalues of at most max(d, N) ε λ₁ count as 0; features that are not
/// finite give NaN; constant features give 0.
public struct CovariancePower: TensorOperation {
  /// The exponent, greater than 0.
  public var exponent: Double

  /// A power with this exponent.
  /// - Precondition: `exponent` is positive.
  public init(exponent: Double = 0.5) {
    precondition(exponent > 0, "the power of a singular covariance needs a positive exponent, not \(exponent)")
    self.exponent = exponent
  }

  public func outputShape(_ inputs: [Shape]) -> Shape { Covariance().outputShape(inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let shape = inputs[0].shape
    let (d, positions) = (shape[1], shape.dropFirst(2).reduce(1, *))
    let (x, power) = (inputs[0].pointer, result.baseAddress!)
    let n = min(d, positions)
    let solvers = SolverPool(size: n)
    WorkerPool.shared.forEach(shape[0]) { sample in
      withScratch(of: Double.self, 2 * d * positions + n * n + n + d * d) { scratch in
        let (centered, weighted) = (scratch, scratch + d * positions)
        let (gram, values) = (weighted + d * positions, weighted + d * positions + n * n)
        let (root, output) = (values + n, power + sample * d * d)
        let squares = centerToDouble(x + sample * d * positions, into: centered, rows: d, columns: positions)
        let features = MatrixView(centered, rows: d, columns: positions)
        multiplyByTranspose(positions < d ? features.transposed : features, into: gram, scale: 1 / Double(positions))
        let total = trace(gram, size: n)
        if isRounding(
          trace: Scalar(total), squares: squares, d: d, positions: positions, of: Scalar.self)
        {
          return output.update(repeating: 0, count: d * d)
        }
        guard solvers.decompose(gram, values: values) else {
          return output.update(repeating: .nan, count: d * d)
        }
        if positions < d {
          // Columns X̃ vᵢ √(λᵢ^(α−1) / N), whose product with their transpose is the power.
          let cut = Double(d) * Double.ulpOfOne * values[n - 1]
          for i in 0..<n {
            let factor = values[i] > cut ? (pow(values[i], exponent - 1) / Double(positions)).squareRoot() : 0
            for j in 0..<n { gram[i * n + j] *= factor }
          }
          multiply(features, MatrixView(gram, rows: n, columns: n).transposed, into: weighted)
          multiplyByTranspose(MatrixView(weighted, rows: d, columns: n), into: root)
        } else {
          powerOfSpectrum(gram, values: values, size: d, exponent: exponent, into: root)
        }
        for i in 0..<d * d { output[i] = Scalar(root[i]) }
      }
    }
  }
}

/// U diag(λ^exponent) Uᵀ from eigenvectors in rows, which are overwritten, and ascending eigenvalues.
private func powerOfSpectrum(
  _ vectors: UnsafeMutablePointer<Double>, values: UnsafePointer<Double>, size n: Int, exponent: Double,
  into result: UnsafeMutablePointer<Double>
) {
  let cut = Double(n) * Double.ulpOfOne * values[n - 1]
  for i in 0..<n {
    let factor = values[i] > cut ? pow(values[i], exponent / 2) : 0
    for j in 0..<n { vectors[i * n + j] *= factor }
  }
  multiplyByTranspose(MatrixView(vectors, rows: n, columns: n).transposed, into: result)
}

/// Removes each row's mean in double precision; returns the sum of the squares of `x`.
private func centerToDouble<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Double>, rows: Int, columns: Int
) -> Double {
  var squares = 0.0
  for i in 0..<rows * columns { squares += Double(x[i]) * Double(x[i]) }
  forPrecision(
    of: Scalar.self, float: { covpool_center_rows_to_double(x.float, y, rows, columns) },
    double: {
      for row in 0..<rows {
        let (from, to) = (x.double + row * columns, y + row * columns)
        let mean = UnsafeBufferPointer(start: from, count: columns).reduce(0, +) / Double(columns)
        for column in 0..<columns { to[column] = from[column] - mean }
      }
    })
  return squares
}
