import COpenBLAS
import Foundation

/// The Cholesky factorization A = L Lᵀ of a symmetric positive definite matrix, and what it is good for (LAPACK's
/// `potrf`, `potrs` and `potri`).
public struct Cholesky<Scalar: RealScalar>: Sendable {
  /// Rows and columns of A.
  public let size: Int
  /// L, `size` × `size`, row by row: a positive diagonal and zeros above it.
  public let factor: [Scalar]

  /// Factorizes A.
  /// - Parameters:
  ///   - matrix: A, `size` × `size` scalars, row by row, finite everywhere, of which the lower triangle counts.
  ///   - size: rows and columns; may be 0.
  /// - Throws: `LAPACKError.notPositiveDefinite` with the index of the failing pivot, or `.notFinite`.
  public init(_ matrix: [Scalar], size: Int) throws(LAPACKError) {
    precondition(size >= 0 && matrix.count == size * size, "\(matrix.count) scalars for a matrix of \(size)×\(size)")
    prepareBLAS()
    self.size = size
    var factor = matrix
    try requireFinite(&factor, count: factor.count)
    let info = Self.call(LAPACKE_spotrf_work, LAPACKE_dpotrf_work, on: &factor, size)
    try LAPACKRoutine.potrf.check(info, for: Scalar.self, size: size)
    // OpenBLAS only compares a pivot with 0, so one that has become NaN by overflow passes for positive.
    if let index = (0..<size).first(where: { !factor[$0 * size + $0].isFinite }) {
      throw .notPositiveDefinite(index: index)
    }
    factor.withUnsafeMutableBufferPointer { factor in
      forPrecision(
        of: Scalar.self, float: { clearAboveDiagonal(factor.baseAddress?.float, size) },
        double: { clearAboveDiagonal(factor.baseAddress?.double, size) })
    }
    self.factor = factor
  }

  /// The x with A x = b, for one or several b.
  /// - Parameter b: right-hand sides of `size` scalars each, one after another. NaN among them gives NaN.
  /// - Returns: the solutions, likewise.
  /// - Precondition: `b.count` is a multiple of `size`.
  public func solve(_ b: [Scalar]) -> [Scalar] {
    precondition(
      size == 0 ? b.isEmpty : b.count.isMultiple(of: size), "\(b.count) scalars are not right-hand sides of \(size)")
    guard !b.isEmpty else { return [] }
    prepareBLAS()
    var x = b
    let (n, count) = (Int32(size), Int32(b.count / size))
    let info = factor.withUnsafeBufferPointer { factor in
      x.withUnsafeMutableBufferPointer { x in
        let (factor, x) = (factor.baseAddress!, x.baseAddress!)
        return forPrecision(
          of: Scalar.self,
          float: { LAPACKE_spotrs_work(LAPACK_COL_MAJOR, Self.upper, n, count, factor.float, n, x.float, n) },
          double: { LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, Self.upper, n, count, factor.double, n, x.double, n) })
      }
    }
    Self.requireSuccess(info, .potrs, size)
    return x
  }

  /// A⁻¹, `size` × `size`, row by row; symmetric to the bit.
  public func inverse() -> [Scalar] {
    prepareBLAS()
    var inverse = factor
    let info = Self.call(LAPACKE_spotri_work, LAPACKE_dpotri_work, on: &inverse, size)
    Self.requireSuccess(info, .potri, size)
    inverse.withUnsafeMutableBufferPointer { inverse in
      forPrecision(
        of: Scalar.self, float: { copyAboveDiagonal(inverse.baseAddress?.float, size) },
        double: { copyAboveDiagonal(inverse.baseAddress?.double, size) })
    }
    return inverse
  }

  /// log det A = 2 Σᵢ log Lᵢᵢ, which neither overflows nor underflows where det A would; summed in `Double`.
  public var logDeterminant: Scalar {
    Scalar(2 * (0..<size).reduce(0.0) { $0 + log(Double(factor[$1 * size + $1])) })
  }

  /// LAPACK stores columns: our lower triangle is its upper one.
  private static var upper: CChar { CChar(UInt8(ascii: "U")) }

  /// Calls one of two routines that work in place on one triangle of a matrix.
  private static func call(
    _ float: (Int32, CChar, Int32, UnsafeMutablePointer<Float>?, Int32) -> Int32,
    _ double: (Int32, CChar, Int32, UnsafeMutablePointer<Double>?, Int32) -> Int32, on matrix: inout [Scalar],
    _ size: Int
  ) -> Int32 {
    let (n, stride) = (Int32(size), Int32(max(1, size)))
    return matrix.withUnsafeMutableBufferPointer { matrix in
      let pointer = matrix.baseAddress
      return forPrecision(
        of: Scalar.self, float: { float(LAPACK_COL_MAJOR, upper, n, pointer?.float, stride) },
        double: { double(LAPACK_COL_MAJOR, upper, n, pointer?.double, stride) })
    }
  }

  /// What remains to fail once there is a factorization is a mistake in this file.
  private static func requireSuccess(_ info: Int32, _ routine: LAPACKRoutine, _ size: Int) {
    do { try routine.check(info, for: Scalar.self, size: size) } catch { preconditionFailure("\(error)") }
  }
}

/// Replaces a symmetric positive definite matrix, of which the lower triangle counts, by its inverse, symmetric to the
/// bit. Nothing is allocated.
/// - Throws: `LAPACKError.notPositiveDefinite` or `.notFinite`; the matrix is undefined then.
package func invertPositiveDefinite<Scalar: RealScalar>(
  _ matrix: UnsafeMutablePointer<Scalar>, size: Int
) throws(LAPACKError) {
  prepareBLAS()
  try requireFinite(matrix, count: size * size)
  // LAPACK stores columns: our lower triangle is its upper one.
  let (n, stride, upper) = (Int32(size), Int32(max(1, size)), CChar(UInt8(ascii: "U")))
  try LAPACKRoutine.potrf.check(
    forPrecision(
      of: Scalar.self, float: { LAPACKE_spotrf_work(LAPACK_COL_MAJOR, upper, n, matrix.float, stride) },
      double: { LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, upper, n, matrix.double, stride) }),
    for: Scalar.self, size: size)
  try LAPACKRoutine.potri.check(
    forPrecision(
      of: Scalar.self, float: { LAPACKE_spotri_work(LAPACK_COL_MAJOR, upper, n, matrix.float, stride) },
      double: { LAPACKE_dpotri_work(LAPACK_COL_MAJOR, upper, n, matrix.double, stride) }),
    for: Scalar.self, size: size)
  forPrecision(
    of: Scalar.self, float: { copyAboveDiagonal(matrix.float, size) },
    double: { copyAboveDiagonal(matrix.double, size) })
}

// Called with concrete types only, which the compiler specializes: an unspecialized loop over an n×n matrix takes four
// times as long as its factorization (n = 256).

/// Sets what is above the diagonal to zero.
private func clearAboveDiagonal<Scalar: RealScalar>(_ matrix: UnsafeMutablePointer<Scalar>?, _ size: Int) {
  guard let matrix else { return }
  for row in 0..<size { (matrix + row * size + row + 1).update(repeating: 0, count: size - row - 1) }
}

/// Copies what is below the diagonal to above it.
private func copyAboveDiagonal<Scalar: RealScalar>(_ matrix: UnsafeMutablePointer<Scalar>?, _ size: Int) {
  guard let matrix else { return }
  for row in 0..<size {
    for column in 0..<row { matrix[column * size + row] = matrix[row * size + column] }
  }
}
