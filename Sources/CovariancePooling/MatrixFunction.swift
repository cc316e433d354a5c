import Foundation
import Kernels

/// An exact function of each matrix by eigendecomposition in double precision: MPN's square root, any power, the
/// logarithm.
///
/// Input `[B, d, d]`, symmetric positive semi-definite; result `[B, d, d]`. Eigenvalues that are no more than rounding,
/// that of the matrix itself and of its decomposition (at most 4 d ε λ₁), count as 0. A matrix that is not finite gives NaN, and so does one whose decomposition does not
/// converge, which `checkingNumerics` makes an error.
///
/// A covariance that was rounded to single precision has lost its small eigenvalues: for networks use
/// `CovarianceFunction`, which starts from the features.
public struct MatrixFunction: TensorOperation, Hashable {
  /// f.
  public var function: SpectralFunction
  /// How the matrices are decomposed.
  public var algorithm: EigenAlgorithm

  /// The matrices' square roots, or another function of them.
  /// - Precondition: an exponent or a shift is positive.
  public init(_ function: SpectralFunction = .squareRoot, by algorithm: EigenAlgorithm = .divideAndConquer) {
    function.validate()
    (self.function, self.algorithm) = (function, algorithm)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 3 && inputs[0][1] == inputs[0][2], "expected [B, d, d]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let d = inputs[0].shape[1]
    decompose(inputs[0], into: result.baseAddress!) { _, body in
      withScratch(of: Double.self, d) { values in
        withScratch(of: Scalar.self, d * d) { body(EigenSpectrum(size: d, vectors: $0, values: values, capacity: d)) }
      }
    }
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let vectors = Tensor<Scalar>(shape: [batch, d, d], storage: TensorStorage(count: batch * d * d))
    let values = Tensor<Double>(shape: [batch, d], storage: TensorStorage(count: batch * d))
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      decompose(inputs[0], into: result.baseAddress!) { sample, body in
        body(Self.spectrum(sample, vectors, values, size: d))
      }
    }
    var application = Application(inputs: inputs, output: output, saved: [vectors], needsGradient: needsGradient)
    application.savedInDouble = [values]
    return application
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// ∂Σ = Uᵀ (K ∘ U Gₛ Uᵀ) U with the divided differences K of f (Ionescu et al. 2015, eq. 14, for a function of the
  /// eigenvalues alone); equal eigenvalues need no care. The logarithm's shift moves with the trace: (s / d) tr ∂Σ is
  /// added to the diagonal.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (batch, d) = (shape[0], shape[1])
    let (g, vectors, values) = (gradient.pointer, application.saved[0], application.savedInDouble[0])
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        WorkerPool.shared.forEach(batch) { sample in
          let spectrum = Self.spectrum(sample, vectors, values, size: d)
          let output = target + sample * d * d
          let f = function.evaluated(meanEigenvalue: spectrum.meanEigenvalue)
          guard spectrum.values[0] != 0 else { return fill(output, with: 0, count: d * d) }
          sylvesterGradient(
            g + sample * d * d, vectors: spectrum.vectors, size: d, into: output
          ) { f.dividedDifferences(spectrum.values, count: d, into: $0) }
          if case .logarithm(let shift) = function {
            let sum = trace(output, size: d)
            for i in 0..<d { output[i * (d + 1)] += Scalar(shift / Double(d)) * sum }
          }
        }
      }
    ]
  }

  private static func spectrum<Scalar>(
    _ sample: Int, _ vectors: Tensor<Scalar>, _ values: Tensor<Double>, size d: Int
  ) -> EigenSpectrum<Scalar> {
    EigenSpectrum(
      size: d, vectors: UnsafeMutablePointer(mutating: vectors.pointer) + sample * d * d,
      values: UnsafeMutablePointer(mutating: values.pointer) + sample * d, capacity: d)
  }

  /// Decomposes each sample into the spectrum that `withSpectrum` lends for it: all eigenvectors, those of the null space
  /// last.
  private func decompose<Scalar: RealScalar>(
    _ input: Tensor<Scalar>, into result: UnsafeMutablePointer<Scalar>,
    withSpectrum: (_ sample: Int, _ body: (EigenSpectrum<Scalar>) -> Void) -> Void
  ) {
    let (batch, d, sigma) = (input.shape[0], input.shape[1], input.pointer)
    let failures = FailureLog()
    WorkerPool.shared.forEach(batch) { sample in
      withSpectrum(sample) { spectrum in
        withScratch(of: Double.self, d * d + d) { matrix in
          let values = matrix + d * d
          let output = result + sample * d * d
          Scalar.routines.kernels.toDouble(sigma + sample * d * d, matrix, d * d)
          do throws(LAPACKError) {
            try SolverCache.decompose(matrix, values: values, size: d, by: algorithm)
          } catch {
            if error != .notFinite { failures.note(name, sample: sample, "\(error)") }
            spectrum.fillWithNaN()
            return fill(output, with: .nan, count: d * d)
          }
          let cut = 4 * SpectralFunction.cut(largest: values[d - 1], size: d)
          spectrum.keep(values, above: cut, vectors: matrix, count: d)
          // The gradient needs the null space as well, where f has a slope there.
          let zeros = d - spectrum.rank
          convert(matrix, into: spectrum.vectors + (d - zeros) * d, count: zeros * d)
          if !spectrum.compose(function, into: output) {
            failures.note(name, sample: sample, "\(function) of an eigenvalue is out of range")
          }
        }
      }
    }
    failures.report()
  }
}

/// ∂ = Uᵀ (K ∘ U Gₛ Uᵀ) U for symmetric K, which `differences` writes: n × n, like U, whose rows are orthonormal.
func sylvesterGradient<Scalar: RealScalar>(
  _ gradient: UnsafePointer<Scalar>, vectors: UnsafePointer<Scalar>, size n: Int,
  into result: UnsafeMutablePointer<Scalar>, _ differences: (UnsafeMutablePointer<Double>) -> Void
) {
  let u = MatrixView(vectors, rows: n, columns: n)
  withScratch(of: Double.self, n * n) { k in
    differences(k)
    withScratch(of: Scalar.self, 2 * n * n) { p in
      let q = p + n * n
      Scalar.routines.kernels.combine(0.5, gradient, 0, gradient, 0.5, p, n)
      multiply(u, MatrixView(p, rows: n, columns: n), into: q)
      multiply(MatrixView(q, rows: n, columns: n), u.transposed, into: p)
      Scalar.routines.kernels.multiplyByDouble(k, p, n * n)
      multiply(u.transposed, MatrixView(p, rows: n, columns: n), into: q)
      multiply(MatrixView(q, rows: n, columns: n), u, into: result)
    }
  }
}
