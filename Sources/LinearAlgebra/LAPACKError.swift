import Foundation

/// Why a decomposition failed.
public enum LAPACKError: Error, Equatable, Sendable, CustomStringConvertible {
  /// LAPACK refused an argument: a mistake in this package, not in the data. `position` counts from 1 in the
  /// parameter list of `lapacke.h`, where the memory layout comes first.
  case badArgument(routine: String, position: Int)
  /// The iteration gave up. `block` holds the rows and columns, from 0, that it was working on, if the routine tells.
  case notConverged(routine: String, block: ClosedRange<Int>?)
  /// The leading minor that ends with row `index`, from 0, is not positive: neither is the matrix positive definite.
  case notPositiveDefinite(index: Int)
  /// The matrix holds NaN or infinity. LAPACK may loop for ever on them, so it is never asked.
  case notFinite

  /// One line that says what failed.
  public var description: String {
    switch self {
    case .badArgument(let routine, let position):
      "\(routine) was called with an invalid argument at position \(position)"
    case .notConverged(let routine, let block):
      "\(routine) did not converge" + (block.map { ", in rows \($0.lowerBound) to \($0.upperBound)" } ?? "")
    case .notPositiveDefinite(let index):
      "the matrix is not positive definite: pivot \(index) of its Cholesky factorization is not positive"
    case .notFinite:
      "the matrix holds NaN or infinity"
    }
  }
}

/// The LAPACK routines in use, without the letter of their precision.
package enum LAPACKRoutine: String {
  /// Eigenvalues and eigenvectors of a symmetric matrix, by divide and conquer.
  case syevd
  /// Eigenvalues and eigenvectors of a symmetric matrix, by relatively robust representations.
  case syevr
  /// Reduction of a symmetric matrix to a tridiagonal one.
  case sytrd
  /// Multiplication with the orthogonal matrix of that reduction.
  case ormtr
  /// Singular values and vectors, by divide and conquer.
  case gesdd
  /// Cholesky factorization.
  case potrf
  /// Solution of linear systems by a Cholesky factorization.
  case potrs
  /// Inverse by a Cholesky factorization.
  case potri

  /// Throws what `info`, which a routine returns, says: the only place that knows.
  ///
  /// Zero is success and a negative number a bad argument, in every routine. What a positive number means is in the
  /// comments that head each routine of the LAPACK reference implementation.
  /// - Parameter size: rows of the (square) matrix, which `syevd` encodes its `info` with.
  package func check<Scalar: RealScalar>(_ info: Int32, for _: Scalar.Type, size: Int) throws(LAPACKError) {
    guard info != 0 else { return }
    let name = Scalar.routines.lapack.prefix + rawValue
    let info = Int(info)
    guard info > 0 else { throw .badArgument(routine: name, position: -info) }
    switch self {
    case .syevd:
      // info = first · (size + 1) + last, both from 1.
      let (first, last) = info.quotientAndRemainder(dividingBy: size + 1)
      throw .notConverged(routine: name, block: first >= 1 && first <= last ? first - 1...last - 1 : nil)
    case .gesdd, .syevr:
      throw .notConverged(routine: name, block: nil)
    case .potrf, .potri:
      throw .notPositiveDefinite(index: info - 1)
    case .potrs, .sytrd, .ormtr:
      preconditionFailure("\(name) has no positive info, but returned \(info)")
    }
  }
}

extension LAPACKError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
