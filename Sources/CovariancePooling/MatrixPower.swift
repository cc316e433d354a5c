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
    decompose(inputs[0], into: result.baseAddress!, keeping: nil)
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let spectrum = Tensor<Double>(shape: [batch, d * d + d], storage: TensorStorage(count: batch * (d * d + d)))
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      decompose(
        inputs[0], into: result.baseAddress!, keeping: UnsafeMutablePointer(mutating: spectrum.pointer))
    }
    var application = Application(inputs: inputs, output: output, needsGradient: needsGradient)
    application.savedInDouble = [spectrum]
    return application
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// ∂Σ = U (K ∘ Uᵀ Gₛ U) Uᵀ with the divided differences K of λ^exponent (Ionescu et al. 2015, eq. 14, for a function of
  /// the eigenvalues alone). K is 0 only where both eigenvalues are; equal ones need no care.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (batch, d) = (shape[0], shape[1])
    let power = SpectralPower(exponent: exponent)
    let (g, saved) = (gradient.pointer, application.savedInDouble[0].pointer)
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        WorkerPool.shared.forEach(batch) { sample in
          let vectors = saved + sample * (d * d + d)
          let values = vectors + d * d
          let u = MatrixView(vectors, rows: d, columns: d)
          withScratch(of: Double.self, 2 * d * d) { p in
            let q = p + d * d
            symmetricPart(g + sample * d * d, into: p, size: d)
            multiply(u, MatrixView(p, rows: d, columns: d), into: q)
            multiply(MatrixView(q, rows: d, columns: d), u.transposed, into: p)
            for i in 0..<d {
              for j in 0..<d { p[i * d + j] *= power.dividedDifference(values[i], values[j]) }
            }
            multiply(u.transposed, MatrixView(p, rows: d, columns: d), into: q)
            multiply(MatrixView(q, rows: d, columns: d), u, into: p)
            narrow(p, into: target + sample * d * d, count: d * d)
          }
        }
      }
    ]
  }

  /// - Parameter spectrum: gets for each sample the eigenvectors in rows, then the eigenvalues, those of rounding as 0.
  private func decompose<Scalar: RealScalar>(
    _ input: Tensor<Scalar>, into result: UnsafeMutablePointer<Scalar>, keeping spectrum: UnsafeMutablePointer<Double>?
  ) {
    let (batch, d, sigma) = (input.shape[0], input.shape[1], input.pointer)
    let solvers = SolverPool(size: d)
    let power = SpectralPower(exponent: exponent)
    WorkerPool.shared.forEach(batch) { sample in
      withScratch(of: Double.self, 2 * d * d + d) { scratch in
        let (vectors, root, values) = (scratch, scratch + d * d, scratch + 2 * d * d)
        widen(sigma + sample * d * d, into: vectors, count: d * d)
        let output = result + sample * d * d
        let kept = spectrum.map { $0 + sample * (d * d + d) }
        guard solvers.decompose(vectors, values: values) else {
          kept?.update(repeating: .nan, count: d * d + d)
          return fill(output, with: .nan, count: d * d)
        }
        let cut = SpectralPower.cut(largest: values[d - 1], size: d)
        if let kept {
          kept.update(from: vectors, count: d * d)
          for i in 0..<d { kept[d * d + i] = values[i] > cut ? values[i] : 0 }
        }
        power.matrix(scaling: vectors, values: values, size: d, cut: cut, into: root)
        narrow(root, into: output, count: d * d)
      }
    }
  }
}

/// ½ (x + xᵀ) of an n×n matrix, in double precision.
func symmetricPart<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Double>, size n: Int
) {
  widen(x, into: y, count: n * n)
  for i in 0..<n {
    for j in 0..<i {
      let mean = (y[i * n + j] + y[j * n + i]) / 2
      y[i * n + j] = mean
      y[j * n + i] = mean
    }
  }
}
