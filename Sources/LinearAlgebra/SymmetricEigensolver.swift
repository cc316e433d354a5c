import COpenBLAS
import Kernels

/// How the eigenvectors of a symmetric matrix are found, once it is tridiagonal.
public enum EigenAlgorithm: String, CaseIterable, Hashable, Sendable, Codable {
  /// Divide and conquer: exact to rounding, eigenvectors orthogonal to rounding. In single precision LAPACK's `syevd`;
  /// in double precision the tridiagonal matrix is this package's own work, in less than half of the time.
  case divideAndConquer = "divide-and-conquer"
  /// Multiple relatively robust representations, LAPACK's `syevr`: fewer operations, and eigenvectors a digit or two less
  /// orthogonal.
  case mrrr
}

/// Eigenvalues and eigenvectors of real symmetric matrices of one size.
///
/// A solver owns the workspace, so that solving allocates nothing. It serves one thread at a time: make one for each.
public final class SymmetricEigensolver<Scalar: RealScalar> {
  /// Rows and columns of the matrices.
  public let size: Int
  /// How eigenvectors are found.
  public let algorithm: EigenAlgorithm
  private let workspace: Workspace<Scalar>
  /// MRRR does not work in place: it needs room for a second matrix, and two integers for each vector.
  private let vectors: Workspace<Scalar>
  /// Divides and conquers in double precision.
  private let tridiagonal: TridiagonalEigensolver?

  /// The largest size: LAPACK counts the 2 n² + 6 n + 1 scalars of the workspace in 32 bits.
  public static var maximumSize: Int { 32_766 }

  /// A solver for matrices of `size` × `size`.
  /// - Precondition: `size` is in `0...maximumSize`.
  public init(size: Int, algorithm: EigenAlgorithm = .divideAndConquer) {
    check((0...Self.maximumSize).contains(size), "an eigensolver for matrices of \(size)×\(size)")
    (self.size, self.algorithm) = (size, algorithm)
    var (numbers, integers) = (Scalar(0), Int32(0))
    var info: Int32
    tridiagonal =
      Scalar.self == Double.self && algorithm == .divideAndConquer ? TridiagonalEigensolver(size: size) : nil
    if tridiagonal != nil {
      var both = (0.0, 0.0)
      info = reduceToTridiagonal(size, nil, nil, nil, nil, &both.0, -1)
      if info == 0 { info = rotateBack(size, nil, nil, nil, &both.1, -1) }
      numbers = Scalar(max(both.0, both.1))
    } else {
      switch algorithm {
      case .divideAndConquer: info = Self.syevd(size, nil, nil, &numbers, -1, &integers, -1)
      case .mrrr: info = Self.syevr(size, nil, nil, nil, nil, &numbers, -1, &integers, -1)
      }
    }
    check(info == 0, "workspace query of \(algorithm) for size \(size) returned \(info)")
    let isInPlace = algorithm == .divideAndConquer
    // The matrix beside its diagonal and the reflections' factors, where they are this type's to keep.
    workspace = Workspace(
      numbers: workspaceCount(numbers) + (tridiagonal == nil ? 0 : 2 * size), integers: Int(integers))
    vectors = Workspace(numbers: isInPlace ? 0 : size * size, integers: isInPlace ? 0 : 2 * size)
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
    let (numbers, integers) = (workspace.numbers, workspace.integers)
    if let tridiagonal, let matrix = matrix as? UnsafeMutablePointer<Double>,
      let values = values as? UnsafeMutablePointer<Double>,
      let numbers = workspace.numbers as? UnsafeMutableBufferPointer<Double>
    {
      return try decompose(matrix, values: values, numbers, tridiagonal)
    }
    switch algorithm {
    case .divideAndConquer:
      let info = Self.syevd(
        size, matrix, values, numbers.baseAddress!, numbers.count, integers.baseAddress!, integers.count)
      try LAPACKRoutine.syevd.check(info, for: Scalar.self, size: size)
    case .mrrr:
      let found = vectors.numbers.baseAddress!
      let info = Self.syevr(
        size, matrix, values, found, vectors.integers.baseAddress!, numbers.baseAddress!, numbers.count,
        integers.baseAddress!, integers.count)
      try LAPACKRoutine.syevr.check(info, for: Scalar.self, size: size)
      matrix.update(from: found, count: size * size)
    }
  }

  /// A = Q T Qᵀ, T = Vᵀ Λ V and U = V Qᵀ.
  private func decompose(
    _ matrix: UnsafeMutablePointer<Double>, values: UnsafeMutablePointer<Double>,
    _ numbers: UnsafeMutableBufferPointer<Double>, _ tridiagonal: TridiagonalEigensolver
  ) throws(LAPACKError) {
    let (offDiagonal, factors) = (numbers.baseAddress!, numbers.baseAddress! + size)
    let (scratch, count) = (factors + size, numbers.count - 2 * size)
    let scale = safeScale(matrix, count: size * size)
    if scale != 1 { covpool_scale_f64(matrix, scale, matrix, size * size) }
    let reduction = reduceToTridiagonal(size, matrix, values, offDiagonal, factors, scratch, count)
    try LAPACKRoutine.sytrd.check(reduction, for: Double.self, size: size)
    let found = try tridiagonal.decompose(diagonal: values, offDiagonal: offDiagonal)
    let rotation = rotateBack(size, matrix, factors, found, scratch, count)
    try LAPACKRoutine.ormtr.check(rotation, for: Double.self, size: size)
    matrix.update(from: found, count: size * size)
    if scale != 1 { for i in 0..<size { values[i] /= scale } }
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
    prepareBLAS()
    let (vectors, lower) = (CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")))
    let (n, stride) = (Int32(size), Int32(max(1, size)))
    let (numberCount, integerCount) = (Int32(numberCount), Int32(integerCount))
    return Scalar.routines.lapack.syevd(
      LAPACK_COL_MAJOR, vectors, lower, n, matrix, stride, values, numbers, numberCount, integers, integerCount)
  }

  /// The same for MRRR, which leaves the eigenvectors in `found`.
  private static func syevr(
    _ size: Int, _ matrix: UnsafeMutablePointer<Scalar>?, _ values: UnsafeMutablePointer<Scalar>?,
    _ found: UnsafeMutablePointer<Scalar>?, _ support: UnsafeMutablePointer<Int32>?,
    _ numbers: UnsafeMutablePointer<Scalar>, _ numberCount: Int, _ integers: UnsafeMutablePointer<Int32>,
    _ integerCount: Int
  ) -> Int32 {
    prepareBLAS()
    let (vectors, all, lower) = (CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "A")), CChar(UInt8(ascii: "L")))
    let (n, stride) = (Int32(size), Int32(max(1, size)))
    let (numberCount, integerCount) = (Int32(numberCount), Int32(integerCount))
    var count: Int32 = 0
    return Scalar.routines.lapack.syevr(
      LAPACK_COL_MAJOR, vectors, all, lower, n, matrix, stride, 0, 0, 0, 0, 0, &count, values, found, stride, support,
      numbers, numberCount, integers, integerCount)
  }
}

/// A = Q T Qᵀ: the diagonal of T, the numbers beside it, and in the matrix and `factors` the reflections of Q. A count of
/// −1 asks for the scratch's size.
private func reduceToTridiagonal(
  _ size: Int, _ matrix: UnsafeMutablePointer<Double>?, _ diagonal: UnsafeMutablePointer<Double>?,
  _ offDiagonal: UnsafeMutablePointer<Double>?, _ factors: UnsafeMutablePointer<Double>?,
  _ scratch: UnsafeMutablePointer<Double>, _ count: Int
) -> Int32 {
  prepareBLAS()
  return LAPACKE_dsytrd_work(
    LAPACK_COL_MAJOR, CChar(UInt8(ascii: "L")), Int32(size), matrix, Int32(max(1, size)), diagonal, offDiagonal,
    factors, scratch, Int32(count))
}

/// Multiplies rows by Qᵀ from the right: to LAPACK they are columns, and it multiplies by Q from the left.
private func rotateBack(
  _ size: Int, _ reflections: UnsafePointer<Double>?, _ factors: UnsafePointer<Double>?,
  _ rows: UnsafeMutablePointer<Double>?, _ scratch: UnsafeMutablePointer<Double>, _ count: Int
) -> Int32 {
  prepareBLAS()
  let (left, lower, asItIs) = (CChar(UInt8(ascii: "L")), CChar(UInt8(ascii: "L")), CChar(UInt8(ascii: "N")))
  let (n, stride) = (Int32(size), Int32(max(1, size)))
  return LAPACKE_dormtr_work(
    LAPACK_COL_MAJOR, left, lower, asItIs, n, n, reflections, stride, factors, rows, stride, scratch, Int32(count))
}

/// A power of two that brings the largest of `count` numbers near 1 where their squares may leave the range; else 1.
private func safeScale(_ numbers: UnsafePointer<Double>, count: Int) -> Double {
  let squares = covpool_dot_f64(numbers, numbers, count)
  guard squares < 0x1p-800 || squares > 0x1p800 else { return 1 }
  var largest = 0.0
  for i in 0..<count { largest = max(largest, abs(numbers[i])) }
  // The smallest numbers need a power out of range: what they are brought to is near enough.
  return largest > 0 ? Double(sign: .plus, exponent: min(-largest.exponent, 1000), significand: 1) : 1
}

/// The eigenvalues and eigenvectors of a symmetric matrix.
///
/// For many matrices of one size, `SymmetricEigensolver` does the same without allocating.
/// - Parameters:
///   - matrix: `size` × `size` scalars, row by row, finite everywhere, of which the upper triangle counts.
///   - size: rows and columns; may be 0.
///   - algorithm: how eigenvectors are found.
/// - Returns: the eigenvalues in ascending order, and the eigenvectors in the same order, one in each **row** of a
///   `size` × `size` row-major matrix.
/// - Throws: `LAPACKError.notFinite` or `.notConverged`.
public func symmetricEigendecomposition<Scalar: RealScalar>(
  of matrix: [Scalar], size: Int, algorithm: EigenAlgorithm = .divideAndConquer
) throws(LAPACKError) -> (values: [Scalar], vectors: [Scalar]) {
  let solver = SymmetricEigensolver<Scalar>(size: size, algorithm: algorithm)
  check(matrix.count == size * size, "\(matrix.count) scalars for a matrix of \(size)×\(size)")
  var (values, vectors) = ([Scalar](repeating: 0, count: size), matrix)
  try solver.decompose(&vectors, values: &values)
  return (values, vectors)
}
