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

  /// τ where A = Σ/τ can be computed; otherwise `nil`, noting a failure where that is neither because Σ is 0 nor because
  /// it is not finite itself.
  func divisor<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, size n: Int, noting failure: (_ reason: String) -> Void = { _ in }
  ) -> Scalar? {
    let factor = factor(sigma, size: n)
    if factor > 0, factor.isFinite, (1 / factor).isFinite { return factor }
    if factor != 0, (0..<n).allSatisfy({ sigma[$0 * (n + 1)].isFinite }) {
      failure("the covariance's \(rawValue), \(factor), is out of the range of \(Scalar.name)")
    }
    return nil
  }

  /// What stands for the root, or for its gradient, where there is no divisor.
  func fillWithoutDivisor<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, size n: Int, into result: UnsafeMutablePointer<Scalar>
  ) {
    fill(result, with: factor(sigma, size: n) == 0 ? 0 : .nan, count: n * n)
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
    case .frobenius:
      let times = factorGradient / Double(factor)
      if Scalar(times).isFinite {
        accumulate(sigma, times: Scalar(times), into: result, count: n * n)
      } else {
        // A tiny Σ: only the product is in range.
        for i in 0..<n * n { result[i] += Scalar(times * Double(sigma[i])) }
      }
    }
  }
}

/// Calls `body` for each sample, with products by a thread of its own where there are enough samples, otherwise one
/// sample after another with each product shared out.
func forEachSample<Scalar: RealScalar>(
  _ batch: Int, size d: Int, isExact: Bool = false,
  _ body: (_ sample: Int, _ products: SymmetricProducts<Scalar>) -> Void
) {
  forEachSample(batch) { sample, pool in
    body(sample, SymmetricProducts(size: d, over: pool, isExact: isExact))
  }
}

/// The same with the pool that is to share out a sample's products, if there is one.
func forEachSample(_ batch: Int, _ body: (_ sample: Int, _ pool: WorkerPool?) -> Void) {
  let pool = WorkerPool.shared
  if batch >= pool.width {
    pool.forEach(batch) { body($0, nil) }
  } else {
    for sample in 0..<batch { body(sample, pool) }
  }
}
