import Foundation
import Kernels

/// The exact power of the covariance of the channels, straight from the features in double precision.
///
/// Input `[B, d, …]` with N positions, result `[B, d, d]`. With fewer positions than channels, the usual case at 224 px
/// (196 < 256), the N×N Gram matrix is decomposed instead: X̃ᵀX̃/N = V Λ Vᵀ and Σ^α = X̃ V Λ^(α−1) Vᵀ X̃ᵀ / N. That is less
/// work and leaves the null space out exactly. Eigenvalues of at most max(d, N) ε λ₁ count as 0; features that are not
/// finite give NaN; constant features give 0, and a gradient of 0.
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
    decompose(inputs[0], into: result.baseAddress!, keeping: nil)
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let batch = inputs[0].shape[0]
    let size = Spectrum.size(Sizes(inputs[0].shape))
    let saved = Tensor<Double>(shape: [batch, size], storage: TensorStorage(count: batch * size))
    let output = Tensor<Scalar>(outputShape(inputs.map(\.shape))) { result in
      decompose(inputs[0], into: result.baseAddress!, keeping: UnsafeMutablePointer(mutating: saved.pointer))
    }
    var application = Application(inputs: inputs, output: output, needsGradient: needsGradient)
    application.savedInDouble = [saved]
    return application
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// With the r eigenvectors U whose eigenvalues are not 0, C = Uᵀ X̃, W = Gₛ U, M = Uᵀ W, D = diag(λ^(α−1)) and the divided
  /// differences K of λ^α: ∂X = 2/N · (U (K ∘ M − M D) + W D) C.
  ///
  /// That is the derivative by divided differences on the whole space; its terms between an eigenvalue and 0 are in D, so
  /// the null space is never built. ∂X has mean 0 in each channel because C has.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let sizes = Sizes(shape)
    let (g, saved) = (gradient.pointer, application.savedInDouble[0].pointer)
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        WorkerPool.shared.forEach(shape[0]) { sample in
          let spectrum = Spectrum(
            UnsafeMutablePointer(mutating: saved) + sample * Spectrum.size(sizes), sizes)
          featureGradient(
            g + sample * sizes.d * sizes.d, spectrum, sizes, into: target + sample * sizes.d * sizes.positions)
        }
      }
    ]
  }

  private func featureGradient<Scalar: RealScalar>(
    _ gradient: UnsafePointer<Scalar>, _ spectrum: Spectrum, _ sizes: Sizes, into result: UnsafeMutablePointer<Scalar>
  ) {
    let (d, n, positions) = (sizes.d, sizes.rank, sizes.positions)
    let zeros = (0..<n).prefix { spectrum.values[$0] == 0 }.count
    let rank = n - zeros
    guard rank > 0 else { return fill(result, with: 0, count: d * positions) }
    let values = spectrum.values + zeros
    let u = MatrixView(spectrum.vectors + zeros * d, rows: rank, columns: d).transposed
    let c = MatrixView(spectrum.projections + zeros * positions, rows: rank, columns: positions)
    let power = SpectralPower(exponent: exponent)
    withScratch(of: Double.self, d * d + 2 * d * rank + rank * rank + d * positions) { g in
      let w = g + d * d
      let (left, m) = (w + d * rank, w + 2 * d * rank)
      let product = m + rank * rank
      symmetricPart(gradient, into: g, size: d)
      multiply(MatrixView(g, rows: d, columns: d), u, into: w)
      multiply(u.transposed, MatrixView(w, rows: d, columns: rank), into: m)
      let slopes = (0..<rank).map { pow(values[$0], exponent - 1) }
      for i in 0..<rank {
        for j in 0..<rank { m[i * rank + j] *= power.dividedDifference(values[i], values[j]) - slopes[j] }
      }
      for i in 0..<d {
        for j in 0..<rank { left[i * rank + j] = w[i * rank + j] * slopes[j] }
      }
      multiply(u, MatrixView(m, rows: rank, columns: rank), into: left, keeping: 1)
      multiply(MatrixView(left, rows: d, columns: rank), c, into: product, scale: 2 / Double(positions))
      narrow(product, into: result, count: d * positions)
    }
  }

  private func decompose<Scalar: RealScalar>(
    _ input: Tensor<Scalar>, into result: UnsafeMutablePointer<Scalar>, keeping saved: UnsafeMutablePointer<Double>?
  ) {
    let sizes = Sizes(input.shape)
    let (d, n, positions) = (sizes.d, sizes.rank, sizes.positions)
    let x = input.pointer
    let solvers = SolverPool(size: n)
    let power = SpectralPower(exponent: exponent)
    WorkerPool.shared.forEach(input.shape[0]) { sample in
      withScratch(of: Double.self, 2 * d * positions + n * n + n + d * d) { scratch in
        let (centered, weighted) = (scratch, scratch + d * positions)
        let (gram, values) = (weighted + d * positions, weighted + d * positions + n * n)
        let (root, output) = (values + n, result + sample * d * d)
        let spectrum = saved.map { Spectrum($0 + sample * Spectrum.size(sizes), sizes) }
        let squares = centerToDouble(x + sample * d * positions, into: centered, rows: d, columns: positions)
        let features = MatrixView(centered, rows: d, columns: positions)
        multiplyByTranspose(positions < d ? features.transposed : features, into: gram, scale: 1 / Double(positions))
        let total = trace(gram, size: n)
        if isRounding(
          trace: Scalar(total), squares: squares, d: d, positions: positions, of: Scalar.self)
        {
          spectrum?.values.update(repeating: 0, count: n)
          return LinearAlgebra.fill(output, with: 0, count: d * d)
        }
        guard solvers.decompose(gram, values: values) else {
          spectrum?.fill(.nan)
          return LinearAlgebra.fill(output, with: .nan, count: d * d)
        }
        let cut = SpectralPower.cut(largest: values[n - 1], size: max(d, positions))
        // Eigenvectors of Σ, each times λ^(α/2): rows of `gram`, or with few positions columns of `weighted`.
        if positions < d {
          for i in 0..<n {
            let factor = values[i] > cut ? (pow(values[i], exponent - 1) / Double(positions)).squareRoot() : 0
            for j in 0..<n { gram[i * n + j] *= factor }
          }
          multiply(features, MatrixView(gram, rows: n, columns: n).transposed, into: weighted)
          multiplyByTranspose(MatrixView(weighted, rows: d, columns: n), into: root)
        } else {
          power.matrix(scaling: gram, values: values, size: d, cut: cut, into: root)
        }
        narrow(root, into: output, count: d * d)
        guard let spectrum else { return }
        for i in 0..<n {
          spectrum.values[i] = values[i] > cut ? values[i] : 0
          let factor = values[i] > cut ? pow(values[i], -exponent / 2) : 0
          for j in 0..<d {
            spectrum.vectors[i * d + j] = (positions < d ? weighted[j * n + i] : gram[i * n + j]) * factor
          }
        }
        multiply(MatrixView(spectrum.vectors, rows: n, columns: d), features, into: spectrum.projections)
      }
    }
  }
}

/// The sizes of one sample: d channels, N positions, and the least of both.
private struct Sizes {
  let d: Int, positions: Int
  var rank: Int { min(d, positions) }

  init(_ shape: Shape) { (d, positions) = (shape[1], shape.dropFirst(2).reduce(1, *)) }
}

/// What the pullback needs of one sample: eigenvectors u in rows of length d, uᵀ X̃ in rows of length N, eigenvalues
/// ascending, those of rounding as 0.
private struct Spectrum {
  let vectors, projections, values: UnsafeMutablePointer<Double>
  private let count: Int

  init(_ base: UnsafeMutablePointer<Double>, _ sizes: Sizes) {
    (vectors, projections) = (base, base + sizes.rank * sizes.d)
    values = projections + sizes.rank * sizes.positions
    count = Spectrum.size(sizes)
  }

  static func size(_ sizes: Sizes) -> Int { sizes.rank * (sizes.d + sizes.positions + 1) }

  func fill(_ value: Double) { vectors.update(repeating: value, count: count) }
}

/// Removes each row's mean in double precision; returns the sum of the squares of `x`.
private func centerToDouble<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Double>, rows: Int, columns: Int
) -> Double {
  let squares = sumOfSquares(x, count: rows * columns)
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
