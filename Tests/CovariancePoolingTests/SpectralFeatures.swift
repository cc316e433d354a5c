import CovariancePooling
import TestSupport

/// Features `[1, d, N]` whose covariance has the eigenvalues σ²/N: X = U diag(σ) Vᵀ with random orthonormal U and V, the
/// latter's columns of mean 0.
func features(singularValues: [Double], channels d: Int, positions n: Int, scale: Double = 1) -> Tensor<Double> {
  let left = orthonormal(singularValues.count, length: d, "left", [])
  let ones = [Double](repeating: 1 / Double(n).squareRoot(), count: n)
  let right = orthonormal(singularValues.count, length: n, "right", [ones])
  var x = [Double](repeating: 0, count: d * n)
  for (value, (u, v)) in zip(singularValues, zip(left, right)) {
    for i in 0..<d { for p in 0..<n { x[i * n + p] += scale * value * u[i] * v[p] } }
  }
  return Tensor([1, d, n], x)
}

/// Gram–Schmidt of random vectors, twice, orthogonal to `others`.
private func orthonormal(_ count: Int, length: Int, _ name: String, _ others: [[Double]]) -> [[Double]] {
  var found = others
  for index in 0..<count {
    var vector = unit("\(name) \(index)", count: length).map(Double.init)
    for _ in 0..<2 {
      for other in found {
        let product = zip(vector, other).reduce(0) { $0 + $1.0 * $1.1 }
        for i in 0..<length { vector[i] -= product * other[i] }
      }
    }
    let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    found.append(vector.map { $0 / norm })
  }
  return Array(found.dropFirst(others.count))
}

/// ‖found − wanted‖ / ‖wanted‖; infinite where something is not finite.
func relativeError<Scalar: RealScalar>(_ found: Tensor<Scalar>, _ wanted: Tensor<Double>) -> Double {
  let (difference, norm) = zip(found.scalars, wanted.scalars).reduce((0.0, 0.0)) { sums, pair in
    let difference = Double(pair.0) - pair.1
    return (sums.0 + difference * difference, sums.1 + pair.1 * pair.1)
  }
  let error = difference == 0 ? 0 : (difference / norm).squareRoot()
  return error.isNaN ? .infinity : error
}
