import Foundation
import Kernels
import Tensors

/// A function of the eigenvalues of a positive semi-definite matrix Σ: U diag(λ) Uᵀ becomes U diag(f(λ)) Uᵀ.
public enum SpectralFunction: Hashable, Sendable {
  /// λ^α with α > 0; 0^α is 0. α = ½ is MPN's square root (Li et al. 2017, eq. 3).
  case power(Double)
  /// log(λ + s λ̄), λ̄ the mean eigenvalue and s > 0: the log-Euclidean metric, shifted so that a singular Σ has a
  /// logarithm whatever its scale. Σ = 0 gives 0.
  case logarithm(shift: Double = 1e-3)

  /// λ^½.
  public static let squareRoot = SpectralFunction.power(0.5)

  /// What counts as 0 beside a largest eigenvalue, for a matrix of size n: n ε λ₁.
  static func cut(largest: Double, size: Int) -> Double { Double(size) * Double.ulpOfOne * largest }

  /// Stops where a parameter is out of its range.
  func validate() {
    switch self {
    case .power(let exponent):
      check(exponent > 0, "the power of a singular covariance needs a positive exponent, not \(exponent)")
    case .logarithm(let shift):
      check(shift > 0, "the logarithm of a singular covariance needs a positive shift, not \(shift)")
    }
  }

  /// What a factor s² on the eigenvalues does to the function, as a factor and an addend.
  func effect(ofScale scale: Double) -> (gain: Double, addend: Double) {
    if scale == 1 { return (1, 0) }
    switch self {
    case .power(let exponent): return (exponent == 0.5 ? scale : pow(scale, 2 * exponent), 0)
    case .logarithm: return (1, 2 * log(scale))
    }
  }

  /// The function for a matrix whose eigenvalues have this mean.
  func evaluated(meanEigenvalue mean: Double) -> EigenvalueFunction {
    switch self {
    case .power(let exponent): EigenvalueFunction(exponent: exponent, shift: 0)
    case .logarithm(let shift): EigenvalueFunction(exponent: nil, shift: shift * mean)
    }
  }
}

/// f of one matrix, with what its derivative needs.
struct EigenvalueFunction {
  /// α; `nil` for the logarithm.
  let exponent: Double?
  /// What the logarithm adds to λ.
  let shift: Double

  /// f(λ) for λ ≥ 0.
  func callAsFunction(_ value: Double) -> Double {
    guard let exponent else { return log(value + shift) }
    if exponent == 0.5 { return value.squareRoot() }
    return value > 0 ? pow(value, exponent) : 0
  }

  /// (f(a) − f(b)) / (a − b), which is f′(a) for a = b; where both are 0 it is 0 for any power but the first, whose slope
  /// is 1 everywhere.
  ///
  /// No difference of nearly equal numbers is taken: for the square root it is 1 / (√a + √b).
  func dividedDifference(_ a: Double, _ b: Double) -> Double {
    let (high, low) = (max(a, b), min(a, b))
    guard let exponent else {
      let t = (high - low) / (low + shift)
      return t == 0 ? 1 / (low + shift) : log1p(t) / (t * (low + shift))
    }
    guard high > 0 else { return exponent == 1 ? 1 : 0 }
    if exponent == 0.5 { return 1 / (high.squareRoot() + low.squareRoot()) }
    guard low > 0 else { return pow(high, exponent - 1) }
    let ratio = log(low / high)
    return pow(high, exponent - 1) * (ratio == 0 ? exponent : expm1(exponent * ratio) / expm1(ratio))
  }

  /// The n × n divided differences between eigenvalues.
  func dividedDifferences(_ values: UnsafePointer<Double>, count n: Int, into result: UnsafeMutablePointer<Double>) {
    if exponent == 0.5 {
      return withScratch(of: Double.self, n) { roots in
        for i in 0..<n { roots[i] = values[i].squareRoot() }
        covpool_root_differences(roots, n, result)
      }
    }
    for i in 0..<n {
      for j in 0...i {
        let difference = dividedDifference(values[i], values[j])
        result[i * n + j] = difference
        result[j * n + i] = difference
      }
    }
  }
}
