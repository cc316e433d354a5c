import LinearAlgebra
import Testing

@Suite struct SingularValueDecompositionTests {
  /// A = U diag(σ) V, Uᵀ U = V Vᵀ = I and descending σ ≥ 0.
  private func checkDecomposition<Scalar: RealScalar>(of matrix: [Scalar], rows: Int, columns: Int) throws {
    let (left, values, right) = try singularValueDecomposition(of: matrix, rows: rows, columns: columns)
    let rank = min(rows, columns)
    let size = max(rows, columns)
    let rebuilt = product(
      left, scaleRows(right, by: values, columns: max(columns, 1)), rows, rank, columns)
    let identity = diagonalMatrix([Scalar](repeating: 1, count: rank))
    let leftGram = product(transpose(left, rows, rank), left, rank, rows, rank)
    let rightGram = product(right, transpose(right, rank, columns), rank, columns, rank)
    #expect(values.count == rank && values == values.sorted(by: >) && values.allSatisfy { $0 >= 0 })
    #expect(largestDifference(rebuilt, matrix) <= roundingBound(size, scale: values.first ?? 0))
    #expect(largestDifference(leftGram, identity) <= roundingBound(size))
    #expect(largestDifference(rightGram, identity) <= roundingBound(size))
  }

  private func checkFamilies<Scalar: RealScalar>(_ rows: Int, _ columns: Int, as type: Scalar.Type) throws {
    let count = rows * columns
    try checkDecomposition(of: randomMatrix(rows, columns, seed: 11, as: type), rows: rows, columns: columns)
    try checkDecomposition(of: [Scalar](repeating: 0, count: count), rows: rows, columns: columns)
    try checkDecomposition(of: [Scalar](repeating: 1, count: count), rows: rows, columns: columns)
  }

  // Tall, wide and square; so tall or wide that LAPACK starts with a QR or LQ factorization.
  @Test(arguments: [(0, 0), (0, 3), (3, 0), (1, 1), (1, 7), (7, 1), (9, 5), (5, 9), (40, 40), (90, 8), (8, 90)])
  func `A matrix is put together again from its singular vectors`(_ rows: Int, _ columns: Int) throws {
    try checkFamilies(rows, columns, as: Float.self)
    try checkFamilies(rows, columns, as: Double.self)
  }

  @Test func `A 2×3 matrix by hand: U's columns and V's rows are the singular vectors`() throws {
    // A Aᵀ = [17 8; 8 17] has the eigenvalues 25 of (1, 1) / √2 and 9 of (1, −1) / √2.
    let (left, values, right) = try singularValueDecomposition(of: [3.0, 2, 2, 2, 3, -2], rows: 2, columns: 3)
    #expect(largestDifference(values, [5, 3]) <= roundingBound(3, scale: 5))
    let signs = (left[0] < 0 ? -1.0 : 1, left[1] < 0 ? -1.0 : 1)
    let half = 0.5.squareRoot()
    #expect(
      largestDifference(left, [signs.0 * half, signs.1 * half, signs.0 * half, -signs.1 * half]) <= roundingBound(3))
    // Aᵀ u / σ: (1, 1, 0) / √2 and (1, −1, 4) / √18.
    let eighteenth = 1 / 18.0.squareRoot()
    let expected = [
      signs.0 * half, signs.0 * half, 0, signs.1 * eighteenth, -signs.1 * eighteenth, 4 * signs.1 * eighteenth,
    ]
    #expect(largestDifference(right, expected) <= roundingBound(3))
  }

  private func checkAgainstEigenvalues<Scalar: RealScalar>(as type: Scalar.Type) throws {
    let n = 33
    let matrix = symmetricMatrix(n, seed: 12, as: type)
    let singular = try singularValueDecomposition(of: matrix, rows: n, columns: n).values
    let eigen = try symmetricEigendecomposition(of: matrix, size: n).values
    #expect(largestDifference(singular, eigen.map(abs).sorted(by: >)) <= roundingBound(n, scale: singular[0]))
  }

  @Test func `The singular values of a symmetric matrix are its eigenvalues without sign`() throws {
    try checkAgainstEigenvalues(as: Float.self)
    try checkAgainstEigenvalues(as: Double.self)
  }

  private func checkReuse<Scalar: RealScalar>(as type: Scalar.Type) throws {
    let (rows, columns) = (12, 20)
    let decomposer = SingularValueDecomposition<Scalar>(rows: rows, columns: columns)
    #expect(decomposer.rank == rows)
    var values = [Scalar](repeating: 0, count: rows)
    var (left, right) = ([Scalar](repeating: 0, count: rows * rows), [Scalar](repeating: 0, count: rows * columns))
    var bad = [Scalar](repeating: 1, count: rows * columns)
    bad[17] = .nan
    #expect(throws: LAPACKError.notFinite) {
      try decomposer.decompose(&bad, values: &values, left: &left, right: &right)
    }
    for seed in [13, 14] as [UInt64] {
      let matrix = randomMatrix(rows, columns, seed: seed, as: type)
      var copy = matrix
      try decomposer.decompose(&copy, values: &values, left: &left, right: &right)
      let fresh = try singularValueDecomposition(of: matrix, rows: rows, columns: columns)
      #expect(values == fresh.values && left == fresh.left && right == fresh.right)
    }
  }

  @Test(.timeLimit(.minutes(1))) func `A decomposer refuses NaN and serves the next matrices as a new one would`()
    throws
  {
    try checkReuse(as: Float.self)
    try checkReuse(as: Double.self)
  }
}
