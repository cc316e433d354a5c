import COpenBLAS

/// The Cholesky factorisation A = L Lᵀ of a symmetric positive definite matrix: `spotrf`, `dpotrf`.
public struct Cholesky<Scalar: RealScalar>: Sendable {
  /// Rows and columns.
  public let size: Int
  /// L, row by row, `size` × `size`; zeros above the diagonal.
  public let factor: [Scalar]

  /// Factorises a matrix of `size` × `size` scalars, row by row, of which the lower triangle is read.
  /// - Throws: `LAPACKError.notPositiveDefinite` with the index of the failing pivot, or `.notFinite`.
  public init(_ matrix: [Scalar], size: Int) throws(LAPACKError) {
    precondition(matrix.count == size * size, "\(matrix.count) scalars for a matrix of size \(size)")
    useSingleThreadedBLAS()
    self.size = size
    var factor = matrix
    guard size > 0 else {
      self.factor = []
      return
    }
    var failure: LAPACKError?
    factor.withUnsafeMutableBufferPointer { buffer in
      let pointer = buffer.baseAddress!
      do throws(LAPACKError) {
        try requireFinite(pointer, count: size * size)
        // Our lower triangle by rows is LAPACK's upper by columns.
        let (upper, n) = (CChar(UInt8(ascii: "U")), Int32(size))
        let info = forPrecision(
          of: Scalar.self, float: { LAPACKE_spotrf_work(LAPACK_COL_MAJOR, upper, n, pointer.float, n) },
          double: { LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, upper, n, pointer.double, n) })
        try LAPACKError.check(info, "potrf") { .notPositiveDefinite(index: $0 - 1) }
      } catch { failure = error }
      for row in 0..<size {
        for column in row + 1..<max(size, row + 1) { buffer[row * size + column] = 0 }
      }
    }
    if let failure { throw failure }
    self.factor = factor
  }

  /// The x with A x = b.
  public func solve(_ b: [Scalar]) -> [Scalar] {
    precondition(b.count == size, "a right-hand side of \(b.count) for a matrix of size \(size)")
    var x = b
    for i in 0..<size {
      for j in 0..<i { x[i] -= factor[i * size + j] * x[j] }
      x[i] /= factor[i * size + i]
    }
    for i in (0..<size).reversed() {
      for j in i + 1..<max(size, i + 1) { x[i] -= factor[j * size + i] * x[j] }
      x[i] /= factor[i * size + i]
    }
    return x
  }
}
