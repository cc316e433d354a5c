import Kernels
import Tensors

/// Square roots that are found for A = Σ/τ and multiplied by √τ.
extension NewtonSchulz.Scaling {
  /// τ of an n×n matrix.
  func factor<Scalar: RealScalar>(_ sigma: UnsafePointer<Scalar>, size n: Int) -> Scalar {
    switch self {
    case .trace: CovariancePooling.trace(sigma, size: n)
    case .frobenius: Scalar(sumOfSquares(sigma, count: n * n).squareRoot())
    }
  }

  /// Adds to ∂A/τ what reaches Σ through τ: (⟨G, S⟩/(2τ) − ⟨∂A, Σ⟩/τ²) ∂τ/∂Σ, where ∂τ/∂Σ is I for the trace and Σ/τ for
  /// the Frobenius norm.
  /// - Parameter result: ∂A/τ; afterwards ∂Σ.
  func addFactorGradient<Scalar: RealScalar>(
    _ gradient: UnsafePointer<Scalar>, sigma: UnsafePointer<Scalar>, root: UnsafePointer<Scalar>, factor: Scalar,
    size n: Int, to result: UnsafeMutablePointer<Scalar>
  ) {
    let slope = dot(gradient, root, count: n * n) / (2 * Double(factor))
    let factorGradient = slope - dot(result, sigma, count: n * n) / Double(factor)
    switch self {
    case .trace: for i in 0..<n { result[i * (n + 1)] += Scalar(factorGradient) }
    case .frobenius: accumulate(sigma, times: Scalar(factorGradient / Double(factor)), into: result, count: n * n)
    }
  }
}

/// Calls `body` for each sample, with products by a thread of its own where there are enough samples, otherwise one
/// sample after another with each product shared out.
func forEachSample<Scalar: RealScalar>(
  _ batch: Int, size d: Int, isExact: Bool = false,
  _ body: (_ sample: Int, _ products: SymmetricProducts<Scalar>) -> Void
) {
  let pool = WorkerPool.shared
  if batch >= pool.width {
    let products = SymmetricProducts<Scalar>(size: d, isExact: isExact)
    pool.forEach(batch) { body($0, products) }
  } else {
    let products = SymmetricProducts<Scalar>(size: d, over: pool, isExact: isExact)
    for sample in 0..<batch { body(sample, products) }
  }
}
