import COpenBLAS

/// Thin singular value decompositions of matrices of one shape, by divide and conquer: `sgesdd`, `dgesdd`.
///
/// The workspace is made once; a decomposer serves one thread at a time and allocates nothing while it works.
public final class SingularValueDecomposition<Scalar: RealScalar> {
  /// The matrices' shape.
  public let rows, columns: Int
  private let workspace: Workspace<Scalar>

  /// The number of singular values: the lesser of rows and columns.
  public var rank: Int { min(rows, columns) }

  /// A decomposer for `rows` × `columns` matrices.
  public init(rows: Int, columns: Int) {
    precondition(rows > 0 && columns > 0 && max(rows, columns) <= 1 << 20, "a decomposer for \(rows)×\(columns)")
    useSingleThreadedBLAS()
    (self.rows, self.columns) = (rows, columns)
    let least = min(rows, columns)
    let job = CChar(UInt8(ascii: "S"))
    // A call with lwork = −1 asks how much is best; row-major A is column-major Aᵀ, hence columns before rows.
    let (m, n, k) = (Int32(columns), Int32(rows), Int32(least))
    let best = forPrecision(
      of: Scalar.self,
      float: {
        var best: Float = 0
        LAPACKE_sgesdd_work(LAPACK_COL_MAJOR, job, m, n, nil, m, nil, nil, m, nil, k, &best, -1, nil)
        return Int(best)
      },
      double: {
        var best = 0.0
        LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, job, m, n, nil, m, nil, nil, m, nil, k, &best, -1, nil)
        return Int(best)
      })
    workspace = Workspace(numbers: best, integers: 8 * least)
  }

  /// A = U diag(s) V with rank r = min(rows, columns): U `rows` × r, V r × `columns`, all row-major; `matrix` is overwritten.
  /// - Parameters:
  ///   - matrix: `rows` × `columns`.
  ///   - values: r numbers; afterwards the singular values in descending order.
  ///   - left: U, `rows` × r.
  ///   - right: V, r × `columns`.
  /// - Throws: `LAPACKError.notFinite`, or `.notConverged`.
  public func decompose(
    _ matrix: UnsafeMutablePointer<Scalar>, values: UnsafeMutablePointer<Scalar>,
    left: UnsafeMutablePointer<Scalar>, right: UnsafeMutablePointer<Scalar>
  ) throws(LAPACKError) {
    try requireFinite(matrix, count: rows * columns)
    let (m, n, k) = (Int32(columns), Int32(rows), Int32(rank))
    let (job, work) = (CChar(UInt8(ascii: "S")), workspace.numbers)
    let integers = workspace.integers.baseAddress
    // Aᵀ = Vᵀ diag(s) Uᵀ, column-major: LAPACK's left vectors are our V's rows, its right ones our U's columns.
    let info = forPrecision(
      of: Scalar.self,
      float: {
        LAPACKE_sgesdd_work(
          LAPACK_COL_MAJOR, job, m, n, matrix.float, m, values.float, right.float, m, left.float, k,
          work.baseAddress!.float, Int32(work.count), integers)
      },
      double: {
        LAPACKE_dgesdd_work(
          LAPACK_COL_MAJOR, job, m, n, matrix.double, m, values.double, right.double, m, left.double, k,
          work.baseAddress!.double, Int32(work.count), integers)
      })
    try LAPACKError.check(info, "\(Scalar.self == Float.self ? "s" : "d")gesdd")
  }
}
