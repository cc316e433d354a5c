import Foundation
import LinearAlgebra

/// The function λ^α on the spectrum of a positive semi-definite matrix, with what its derivative needs.
///
/// Eigenvalues of at most `cut` are rounding and count as 0; 0^α is 0.
struct SpectralPower {
  let exponent: Double

  /// What counts as 0 beside a largest eigenvalue, for a matrix of size n: n ε λ₁.
  static func cut(largest: Double, size: Int) -> Double { Double(size) * Double.ulpOfOne * largest }

  /// U diag(λ^α) Uᵀ from eigenvectors in rows and ascending eigenvalues. The rows are multiplied by λ^(α/2).
  func matrix(
    scaling vectors: UnsafeMutablePointer<Double>, values: UnsafePointer<Double>, size n: Int, cut: Double,
    into result: UnsafeMutablePointer<Double>
  ) {
    for i in 0..<n {
      let factor = values[i] > cut ? pow(values[i], exponent / 2) : 0
      for j in 0..<n { vectors[i * n + j] *= factor }
    }
    multiplyByTranspose(MatrixView(vectors, rows: n, columns: n).transposed, into: result)
  }

  /// (a^α − b^α) / (a − b), which is α a^(α−1) for a = b, and 0 where both are.
  ///
  /// No difference of nearly equal numbers is taken: for the square root it is 1 / (√a + √b).
  func dividedDifference(_ a: Double, _ b: Double) -> Double {
    let (high, low) = (max(a, b), min(a, b))
    guard high > 0 else { return 0 }
    if exponent == 0.5 { return 1 / (high.squareRoot() + low.squareRoot()) }
    guard low > 0 else { return pow(high, exponent - 1) }
    let ratio = log(low / high)
    return pow(high, exponent - 1) * (ratio == 0 ? exponent : expm1(exponent * ratio) / expm1(ratio))
  }
}
