import COpenBLAS

/// Eigenvalues and eigenvectors of real symmetric matrices of one size, by divide and conquer (LAPACK's `ssyevd` and
/// `dsyevd`).
///
/// A solver owns the workspace, so that solving allocates nothing. It serves one thread at a time: make one for each.
public final class SymmetricEigensolver<Scalar: RealScalar> {
  /// Rows and columns of the matrices.
  public let size: Int
  private let workspace: Workspace<Scalar>

  /// The largest size: LAPACK counts the 2 n² + 6 n + 1 scalars of the workspace in 32 bits.
  public static var maximumSize: Int { 32_766 }

  /// A solver for matrices of `size` × `size`.
  /// - Precondition: `size` is in `0...maximumSize`.
  public init(size: Int) {
    precondition((0...Self.maximumSize).contains(size), "an eigensolver for matrices of \(size)×\(size)")
    useSingleThreadedBLAS()
    self.size = size
    var (numbers, integers) = (Scalar(0), Int32(0))
    let info = Self.syevd(size, nil, nil, &numbers, -1, &integers, -1)
    precondition(info == 0, "workspace query of syevd for size \(size) returned \(info)")
    workspace = Workspace(numbers: workspaceCount(numbers), integers: Int(integers))
  }

  /// Decomposes a matrix in place: A = Σᵢ λᵢ uᵢ uᵢᵀ = Uᵀ Λ U, where the rows of U are the eigenvectors uᵢ.
  ///
  /// - Parameters:
  ///   - matrix: A, `size` × `size`, symmetric and row-major, finite everywhere, of which the upper triangle counts;
  ///     afterwards U: **row** i is the eigenvector of unit length that belongs to `values[i]`.
  ///   - values: room for `size` eigenvalues; afterwards λ in ascending order. An eigenvalue beyond the range of
  ///     `Scalar` is infinite.
  /// - Throws: `LAPACKError.notFinite`, with both buffers untouched, or `.notConverged`, with both undefined.
  public func decompose(
    _ matrix: UnsafeMutablePointer<Scalar>, values: UnsafeMutablePointer<Scalar>
  ) throws(LAPACKError) {
    guard size > 0 else { return }
    try requireFinite(matrix, count: size * size)
    let info = Self.syevd(
      size, matrix, values, workspace.numbers.baseAddress!, workspace.numbers.count, workspace.integers.baseAddress!,
      workspace.integers.count)
    try LAPACKRoutine.syevd.check(info, for: Scalar.self, size: size)
  }

  /// The routine itself; counts of −1 ask for the workspace's sizes.
  ///
  /// LAPACK stores columns. To it a symmetric matrix is the same, our upper triangle is the lower one, and the columns
  /// of eigenvectors that it returns are our rows: nothing is ever transposed.
  private static func syevd(
    _ size: Int, _ matrix: UnsafeMutablePointer<Scalar>?, _ values: UnsafeMutablePointer<Scalar>?,
    _ numbers: UnsafeMutablePointer<Scalar>, _ numberCount: Int, _ integers: UnsafeMutablePointer<Int32>,
    _ integerCount: Int
  ) -> Int32 {
    let (vectors, lower) = (CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")))
    let (n, stride) = (Int32(size), Int32(max(1, size)))
    let (numberCount, integerCount) = (Int32(numberCount), Int32(integerCount))
    return forPrecision(
      of: Scalar.self,
      float: {
        LAPACKE_ssyevd_work(
          LAPACK_COL_MAJOR, vectors, lower, n, matrix?.float, stride, values?.float, numbers.float, numberCount,
          integers, integerCount)
      },
      double: {
        LAPACKE_dsyevd_work(
          LAPACK_COL_MAJOR, vectors, lower, n, matrix?.double, stride, values?.double, numbers.double, numberCount,
          integers, integerCount)
      })
  }
}

/// The eigenvalues and eigenvectors of a symmetric matrix.
///
/// For many matrices of one size, `SymmetricEigensolver` does the same without allocating.
/// - Parameters:
///   - matrix: `size` × `size` scalars, row by row, finite everywhere, of which the upper triangle counts.
///   - size: rows and columns; may be 0.
/// - Returns: the eigenvalues in ascending order, and the eigenvectors in the same order, one in each **row** of a
///   `size` × `size` row-major matrix.
/// - Throws: `LAPACKError.notFinite` or `.notConverged`.
public func symmetricEigendecomposition<Scalar: RealScalar>(
  of matrix: [Scalar], size: Int
) throws(LAPACKError) -> (values: [Scalar], vectors: [Scalar]) {
  let solver = SymmetricEigensolver<Scalar>(size: size)
  precondition(matrix.count == size * size, "\(matrix.count) scalars for a matrix of \(size)×\(size)")
  var (values, vectors) = ([Scalar](repeating: 0, count: size), matrix)
  try solver.decompose(&vectors, values: &values)
  return (values, vectors)
}
