import COpenBLAS

/// Eigenvalues and eigenvectors of real symmetric matrices of one size, by divide and conquer.
///
/// | `Scalar` | routine |
/// |---|---|
/// | `Float` | `ssyevd` |
/// | `Double` | `dsyevd` |
///
/// The workspace is made once; a solver serves one thread at a time and allocates nothing while it solves.
public final class SymmetricEigensolver<Scalar: RealScalar> {
  /// Rows and columns of the matrices.
  public let size: Int
  private let workspace: Workspace<Scalar>

  /// A solver for `size` × `size` matrices.
  public init(size: Int) {
    precondition(size >= 0 && size <= 1 << 15, "an eigensolver for a size of \(size)")
    useSingleThreadedBLAS()
    self.size = size
    // The sizes that LAPACK's documentation of ?syevd asks for with eigenvectors.
    workspace = Workspace(numbers: 1 + 6 * size + 2 * size * size, integers: 3 + 5 * size)
  }

  /// Decomposes a row-major matrix in place: A = Σᵢ λᵢ uᵢ uᵢᵀ.
  /// - Parameters:
  ///   - matrix: `size` × `size`, symmetric; afterwards **row** i holds the eigenvector uᵢ.
  ///   - values: `size` numbers; afterwards the eigenvalues in ascending order.
  /// - Throws: `LAPACKError.notFinite`, or `.notConverged`.
  public func decompose(
    _ matrix: UnsafeMutablePointer<Scalar>, values: UnsafeMutablePointer<Scalar>
  ) throws(LAPACKError) {
    guard size > 0 else { return }
    try requireFinite(matrix, count: size * size)
    let (n, work, integers) = (Int32(size), workspace.numbers, workspace.integers)
    let (vectors, lower) = (CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")))
    // LAPACK reads columns: a symmetric matrix is the same, and its columns of vectors are our rows.
    let info = forPrecision(
      of: Scalar.self,
      float: {
        LAPACKE_ssyevd_work(
          LAPACK_COL_MAJOR, vectors, lower, n, matrix.float, n, values.float, work.baseAddress!.float,
          Int32(work.count), integers.baseAddress, Int32(integers.count))
      },
      double: {
        LAPACKE_dsyevd_work(
          LAPACK_COL_MAJOR, vectors, lower, n, matrix.double, n, values.double, work.baseAddress!.double,
          Int32(work.count), integers.baseAddress, Int32(integers.count))
      })
    try LAPACKError.check(info, "\(Scalar.self == Float.self ? "s" : "d")syevd")
  }
}

/// The eigenvalues, ascending, and the eigenvectors, one after another, of a symmetric matrix.
/// - Parameter matrix: `size` × `size` scalars, row by row.
/// - Throws: `LAPACKError`.
public func symmetricEigendecomposition<Scalar: RealScalar>(
  of matrix: [Scalar], size: Int
) throws(LAPACKError) -> (values: [Scalar], vectors: [Scalar]) {
  precondition(matrix.count == size * size, "\(matrix.count) scalars for a matrix of size \(size)")
  let result = UnsafeMutableBufferPointer<Scalar>.allocate(capacity: size * size + size + 1)
  defer { result.deallocate() }
  _ = result.update(fromContentsOf: matrix)
  let values = result.baseAddress! + size * size
  try SymmetricEigensolver(size: size).decompose(result.baseAddress!, values: values)
  return (Array(UnsafeBufferPointer(start: values, count: size)), Array(result[..<(size * size)]))
}
