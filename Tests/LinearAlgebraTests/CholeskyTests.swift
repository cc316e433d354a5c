import LinearAlgebra
import Testing

@Suite struct CholeskyFactorizationTests {
  private func checkKnown<Scalar: RealScalar>(as type: Scalar.Type) throws {
    // L = [2 0 0; 6 1 0; −8 5 3], all numbers exact.
    let cholesky = try Cholesky([4, 12, -16, 12, 37, -43, -16, -43, 98] as [Scalar], size: 3)
    #expect(cholesky.factor == [2, 0, 0, 6, 1, 0, -8, 5, 3])
    // det A = (2 · 1 · 3)²; the logarithm of 36.
    #expect(abs(cholesky.logDeterminant - 3.583518938456110) <= roundingBound(1, scale: 4))
    // A (1, 2, 3) = (−20, −43, 192), and A (1, 0, 0), in one go. The condition number is about 4000.
    let x = cholesky.solve([-20, -43, 192, 4, 12, -16])
    #expect(largestDifference(x, [1, 2, 3, 1, 0, 0]) <= roundingBound(3, scale: 4000))
  }

  @Test func `A known matrix has a known factor, determinant and solutions`() throws {
    try checkKnown(as: Float.self)
    try checkKnown(as: Double.self)
  }

  private func checkProperties<Scalar: RealScalar>(_ n: Int, as type: Scalar.Type) throws {
    // A Gram matrix plus n I: condition number of a few units.
    let identity = diagonalMatrix([Scalar](repeating: 1, count: n))
    let gram = gramMatrix(n, rank: n, seed: 21, as: type)
    let matrix = zip(gram, identity).map { $0 + Scalar(n) * $1 }
    let scale = matrix.map(abs).max() ?? 0
    let cholesky = try Cholesky(matrix, size: n)
    let factor = cholesky.factor
    #expect(
      largestDifference(product(factor, transpose(factor, n, n), n, n, n), matrix) <= roundingBound(n, scale: scale))
    #expect((0..<n * n).allSatisfy { $0 % n <= $0 / n || factor[$0] == 0 })
    let inverse = cholesky.inverse()
    #expect(inverse == transpose(inverse, n, n))
    #expect(largestDifference(product(matrix, inverse, n, n, n), identity) <= roundingBound(n, scale: 4))
    let b = randomMatrix(3, n, seed: 22, as: type)
    // Rows are right-hand sides, so X A = B.
    #expect(largestDifference(product(cholesky.solve(b), matrix, 3, n, n), b) <= roundingBound(n, scale: 4))
    let eigenvalues = try symmetricEigendecomposition(of: matrix, size: n).values
    let product = eigenvalues.reduce(1.0) { $0 * Double($1) }
    let determinant = (0..<n).reduce(1.0) { $0 * Double(factor[$1 * n + $1]) * Double(factor[$1 * n + $1]) }
    #expect(abs(determinant / product - 1) <= Double(roundingBound(n, scale: Scalar(4))) * Double(max(n, 1)))
  }

  @Test(arguments: [0, 1, 2, 17, 64, 100]) func `Factor, inverse and solutions fit the matrix`(_ n: Int) throws {
    try checkProperties(n, as: Float.self)
    try checkProperties(n, as: Double.self)
  }

  @Test func `Only the lower triangle counts`() throws {
    #expect(try Cholesky([4.0, 99, 2, 5], size: 2).factor == [2, 0, 1, 2])
  }

  @Test func `The logarithm of a determinant beyond the largest number`() throws {
    let n = 100
    let logDeterminant = try Cholesky(diagonalMatrix([Float](repeating: 1e30, count: n)), size: n).logDeterminant
    // 100 · 30 · log 10
    #expect(abs(logDeterminant - 6907.755) <= 0.005)
    #expect(try Cholesky([Float](), size: 0).logDeterminant == 0)
  }

  private func checkFailures<Scalar: RealScalar>(as type: Scalar.Type) throws {
    // Definite up to and without row `index`, at sizes on both sides of LAPACK's blocks.
    for (n, index) in [(1, 0), (2, 1), (5, 3), (150, 0), (150, 97), (150, 149)] {
      var diagonal = [Scalar](repeating: 1, count: n)
      diagonal[index] = -1
      #expect(throws: LAPACKError.notPositiveDefinite(index: index)) {
        try Cholesky(diagonalMatrix(diagonal), size: n)
      }
    }
    #expect(throws: LAPACKError.notPositiveDefinite(index: 1)) { try Cholesky([1, 1, 1, 1] as [Scalar], size: 2) }
    #expect(throws: LAPACKError.notPositiveDefinite(index: 0)) { try Cholesky([0] as [Scalar], size: 1) }
    // Overflow in column 0 makes infinity, times 0 NaN: the last pivot is neither positive nor negative.
    let (huge, tiny) = (type.greatestFiniteMagnitude, type.ulpOfOne)
    #expect(throws: LAPACKError.notPositiveDefinite(index: 2)) {
      try Cholesky([tiny, 0, huge, 0, 1, 0, huge, 0, 1], size: 3)
    }
    #expect(throws: LAPACKError.notFinite) { try Cholesky([1, 0, Scalar.nan, 1], size: 2) }
    #expect(throws: LAPACKError.notFinite) { try Cholesky([Scalar.infinity], size: 1) }
  }

  @Test func `A pivot that is not positive is named, and NaN refused`() throws {
    try checkFailures(as: Float.self)
    try checkFailures(as: Double.self)
  }
}
