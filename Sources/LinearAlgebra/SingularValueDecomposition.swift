import COpenBLAS

/// Thin singular value decompositions of matrices of one shape, by divide and conquer (LAPACK's `sgesdd` and `dgesdd`).
///
/// A = U diag(σ) V, where U is `rows` × r, V is r × `columns` and r = min(`rows`, `columns`). A decomposer owns the
/// workspace, so that decomposing allocates nothing. It serves one thread at a time: make one for each.
public final class SingularValueDecomposition<Scalar: RealScalar> {
  /// Rows of the matrices.
  public let rows: Int
  /// Columns of the matrices.
  public let columns: Int
  private let workspace: Workspace<Scalar>

  /// How many singular values there are: r = min(`rows`, `columns`).
  public var rank: Int { min(rows, columns) }

  /// A decomposer for matrices of `rows` × `columns`.
  /// - Precondition: neither is negative, the lesser is at most 2¹⁴ and the greater at most 2²⁰: LAPACK counts the
  ///   scalars of the workspace, about 4 r², in 32 bits.
  public init(rows: Int, columns: Int) {
    let (lesser, greater) = (min(rows, columns), max(rows, columns))
    check(
      lesser >= 0 && lesser <= 1 << 14 && greater <= 1 << 20,
      "a singular value decomposition of matrices of \(rows)×\(columns)")
    (self.rows, self.columns) = (rows, columns)
    var numbers = Scalar(0)
    let info = Self.gesdd(rows, columns, nil, nil, nil, nil, &numbers, -1, nil)
    check(info == 0, "workspace query of gesdd for \(rows)×\(columns) returned \(info)")
    workspace = Workspace(numbers: workspaceCount(numbers), integers: 8 * lesser)
  }

  /// Decomposes a matrix: A = U diag(σ) V. All matrices are row-major.
  /// - Parameters:
  ///   - matrix: A, `rows` × `columns`; overwritten with intermediate results.
  ///   - values: room for r singular values; afterwards σ in descending order. A singular value beyond the range of
  ///     `Scalar` is infinite.
  ///   - left: room for U, `rows` × r; afterwards **column** i is the left singular vector of `values[i]`.
  ///   - right: room for V, r × `columns`; afterwards **row** i is the right singular vector of `values[i]`.
  /// - Throws: `LAPACKError.notFinite`, with all buffers untouched, or `.notConverged`, with all undefined.
  public func decompose(
    _ matrix: UnsafeMutablePointer<Scalar>, values: UnsafeMutablePointer<Scalar>,
    left: UnsafeMutablePointer<Scalar>, right: UnsafeMutablePointer<Scalar>
  ) throws(LAPACKError) {
    guard rank > 0 else { return }
    try requireFinite(matrix, count: rows * columns)
    let info = Self.gesdd(
      rows, columns, matrix, values, left, right, workspace.numbers.baseAddress!, workspace.numbers.count,
      workspace.integers.baseAddress!)
    try LAPACKRoutine.gesdd.check(info, for: Scalar.self, size: rank)
  }

  /// The routine itself; a count of −1 asks for the workspace's size.
  ///
  /// LAPACK stores columns, so it sees Aᵀ = Vᵀ diag(σ) Uᵀ: its left vectors are our right ones and the reverse, and
  /// nothing is ever transposed.
  private static func gesdd(
    _ rows: Int, _ columns: Int, _ matrix: UnsafeMutablePointer<Scalar>?, _ values: UnsafeMutablePointer<Scalar>?,
    _ left: UnsafeMutablePointer<Scalar>?, _ right: UnsafeMutablePointer<Scalar>?,
    _ numbers: UnsafeMutablePointer<Scalar>, _ numberCount: Int, _ integers: UnsafeMutablePointer<Int32>?
  ) -> Int32 {
    prepareBLAS()
    let thin = CChar(UInt8(ascii: "S"))
    let (m, n, numberCount) = (Int32(columns), Int32(rows), Int32(numberCount))
    let (stride, rank) = (max(1, m), max(1, min(m, n)))
    return Scalar.routines.lapack.gesdd(
      LAPACK_COL_MAJOR, thin, m, n, matrix, stride, values, right, stride, left, rank, numbers, numberCount, integers)
  }
}

/// The thin singular value decomposition A = U diag(σ) V of a matrix.
///
/// For many matrices of one shape, `SingularValueDecomposition` does the same without allocating.
/// - Parameters:
///   - matrix: A, `rows` × `columns` scalars, row by row.
///   - rows: rows of A; may be 0.
///   - columns: columns of A; may be 0.
/// - Returns: U, `rows` × r, row by row, with a singular vector in each column; σ, r numbers in descending order; V,
///   r × `columns`, with a singular vector in each row. r = min(`rows`, `columns`).
/// - Throws: `LAPACKError.notFinite` or `.notConverged`.
public func singularValueDecomposition<Scalar: RealScalar>(
  of matrix: [Scalar], rows: Int, columns: Int
) throws(LAPACKError) -> (left: [Scalar], values: [Scalar], right: [Scalar]) {
  let decomposer = SingularValueDecomposition<Scalar>(rows: rows, columns: columns)
  check(matrix.count == rows * columns, "\(matrix.count) scalars for a matrix of \(rows)×\(columns)")
  let rank = decomposer.rank
  var (copy, values) = (matrix, [Scalar](repeating: 0, count: rank))
  var left = [Scalar](repeating: 0, count: rows * rank)
  var right = [Scalar](repeating: 0, count: rank * columns)
  try decomposer.decompose(&copy, values: &values, left: &left, right: &right)
  return (left, values, right)
}
