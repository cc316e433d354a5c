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
    check(size >= 0 && matrix.count == size * size, "\(matrix.count) scalars for a matrix of \(size)×\(size)")
    prepareBLAS()
    self.size = size
    var factor = matrix
    try requireFinite(&factor, count: factor.count)
    let info = Scalar.routines.lapack.potrf(LAPACK_COL_MAJOR, upper, Int32(size), &factor, Int32(max(1, size)))
    try LAPACKRoutine.potrf.check(info, for: Scalar.self, size: size)
    // OpenBLAS only compares a pivot with 0, so one that has become NaN by overflow passes for positive.
    if let index = (0..<size).first(where: { !factor[$0 * size + $0].isFinite }) {
      throw .notPositiveDefinite(index: index)
    }
    factor.withUnsafeMutableBufferPointer { factor in
      for row in 0..<size { fill(factor.baseAddress! + row * size + row + 1, with: 0, count: size - row - 1) }
    }
    self.factor = factor
  }

  /// The x with A x = b, for one or several b.
  /// - Parameter b: right-hand sides of `size` scalars each, one after another. NaN among them gives NaN.
  /// - Returns: the solutions, likewise.
  /// - Precondition: `b.count` is a multiple of `size`.
  public func solve(_ b: [Scalar]) -> [Scalar] {
    check(
      size == 0 ? b.isEmpty : b.count.isMultiple(of: size), "\(b.count) scalars are not right-hand sides of \(size)")
    guard !b.isEmpty else { return [] }
    prepareBLAS()
    var x = b
    let (n, count) = (Int32(size), Int32(b.count / size))
    let info = factor.withUnsafeBufferPointer { factor in
      x.withUnsafeMutableBufferPointer { x in
        Scalar.routines.lapack.potrs(LAPACK_COL_MAJOR, upper, n, count, factor.baseAddress!, n, x.baseAddress!, n)
      }
    }
    Self.requireSuccess(info, .potrs, size)
    return x
  }

  /// A⁻¹, `size` × `size`, row by row; symmetric to the bit.
  public func inverse() -> [Scalar] {
    prepareBLAS()
    var inverse = factor
    let info = Scalar.routines.lapack.potri(LAPACK_COL_MAJOR, upper, Int32(size), &inverse, Int32(max(1, size)))
    Self.requireSuccess(info, .potri, size)
    Scalar.routines.kernels.mirrorLower(&inverse, size)
    return inverse
  }

  /// log det A = 2 Σᵢ log Lᵢᵢ, which neither overflows nor underflows where det A would; summed in `Double`.
  public var logDeterminant: Scalar {
    Scalar(2 * (0..<size).reduce(0.0) { $0 + log(Double(factor[$1 * size + $1])) })
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
  let (n, stride) = (Int32(size), Int32(max(1, size)))
  let lapack = Scalar.routines.lapack
  try LAPACKRoutine.potrf.check(
    lapack.potrf(LAPACK_COL_MAJOR, upper, n, matrix, stride), for: Scalar.self, size: size)
  try LAPACKRoutine.potri.check(
    lapack.potri(LAPACK_COL_MAJOR, upper, n, matrix, stride), for: Scalar.self, size: size)
  Scalar.routines.kernels.mirrorLower(matrix, size)
}

/// LAPACK stores columns: our lower triangle is its upper one.
private let upper = CChar(UInt8(ascii: "U"))
