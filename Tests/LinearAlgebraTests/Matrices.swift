import LinearAlgebra

/// Pseudo-random numbers, the same on every run, as a row-major matrix with entries in −1 ..< 1.
func randomMatrix<Scalar: RealScalar>(_ rows: Int, _ columns: Int, seed: UInt64, as _: Scalar.Type) -> [Scalar] {
  // SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
  var state = seed
  return (0..<rows * columns).map { _ in
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Scalar(Double((z ^ (z >> 31)) >> 11) / Double(1 << 52) - 1)
  }
}

/// X Xᵀ of a random n×rank matrix X: symmetric to the bit and positive semidefinite, of that rank.
func gramMatrix<Scalar: RealScalar>(_ n: Int, rank: Int, seed: UInt64, as type: Scalar.Type) -> [Scalar] {
  let x = randomMatrix(n, rank, seed: seed, as: type)
  return product(x, transpose(x, n, rank), n, rank, n)
}

/// A random symmetric matrix with eigenvalues of both signs.
func symmetricMatrix<Scalar: RealScalar>(_ n: Int, seed: UInt64, as type: Scalar.Type) -> [Scalar] {
  let a = randomMatrix(n, n, seed: seed, as: type)
  return zip(a, transpose(a, n, n)).map { ($0 + $1) / 2 }
}

/// The matrix with these numbers on its diagonal.
func diagonalMatrix<Scalar: RealScalar>(_ diagonal: [Scalar]) -> [Scalar] {
  let n = diagonal.count
  return (0..<n * n).map { $0 / n == $0 % n ? diagonal[$0 / n] : 0 }
}

/// The transpose of a row-major `rows` × `columns` matrix.
func transpose<Scalar: RealScalar>(_ a: [Scalar], _ rows: Int, _ columns: Int) -> [Scalar] {
  (0..<rows * columns).map { a[$0 % rows * columns + $0 / rows] }
}

/// The product of m×k and k×n, summed in `Double` and without BLAS, so that it can judge what BLAS has done.
func product<Scalar: RealScalar>(_ a: [Scalar], _ b: [Scalar], _ m: Int, _ k: Int, _ n: Int) -> [Scalar] {
  (0..<m * n).map { index in
    Scalar((0..<k).reduce(0.0) { $0 + Double(a[index / n * k + $1]) * Double(b[$1 * n + index % n]) })
  }
}

/// Multiplies row i of a row-major matrix by `factors[i]`.
func scaleRows<Scalar: RealScalar>(_ a: [Scalar], by factors: [Scalar], columns: Int) -> [Scalar] {
  a.indices.map { a[$0] * factors[$0 / columns] }
}

/// The largest absolute difference; infinite where the counts differ or a difference is not a number.
func largestDifference<Scalar: RealScalar>(_ a: [Scalar], _ b: [Scalar]) -> Scalar {
  guard a.count == b.count else { return .infinity }
  return zip(a, b).reduce(0) { worst, pair in
    let difference = abs(pair.0 - pair.1)
    return difference.isNaN ? .infinity : max(worst, difference)
  }
}

/// What a backward stable method of size n may be off, for a result of magnitude `scale`: 8 n ε · scale. With seven of
/// OpenBLAS's kernels, Prescott to Cooperlake, errors stay below 2 n ε; the rest is room for others.
func roundingBound<Scalar: RealScalar>(_ n: Int, scale: Scalar = 1) -> Scalar {
  8 * Scalar(max(1, n)) * Scalar.ulpOfOne * scale
}
