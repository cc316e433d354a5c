import LinearAlgebra
import Synchronization

/// Decomposers that are idle, one for each thread that ever worked on matrices of a size: their workspaces are made once
/// and reused, so that decomposing allocates nothing after the first time.
enum SolverCache {
  /// Replaces a symmetric matrix by its eigenvectors, one in each row, and gives the eigenvalues in ascending order.
  static func decompose<Scalar: RealScalar>(
    _ matrix: UnsafeMutablePointer<Scalar>, values: UnsafeMutablePointer<Scalar>, size: Int,
    by algorithm: EigenAlgorithm
  ) throws(LAPACKError) {
    let key = Key(rows: size, columns: size, algorithm: algorithm, isDouble: Scalar.self == Double.self)
    let solver =
      take(key) as? SymmetricEigensolver<Scalar> ?? SymmetricEigensolver<Scalar>(size: size, algorithm: algorithm)
    defer { put(back: solver, key) }
    try solver.decompose(matrix, values: values)
  }

  /// The thin singular value decomposition of a matrix, as `SingularValueDecomposition.decompose` has it.
  static func decompose<Scalar: RealScalar>(
    _ matrix: UnsafeMutablePointer<Scalar>, rows: Int, columns: Int, values: UnsafeMutablePointer<Scalar>,
    left: UnsafeMutablePointer<Scalar>, right: UnsafeMutablePointer<Scalar>
  ) throws(LAPACKError) {
    let key = Key(rows: rows, columns: columns, algorithm: nil, isDouble: Scalar.self == Double.self)
    let solver =
      take(key) as? SingularValueDecomposition<Scalar>
      ?? SingularValueDecomposition<Scalar>(rows: rows, columns: columns)
    defer { put(back: solver, key) }
    try solver.decompose(matrix, values: values, left: left, right: right)
  }

  private struct Key: Equatable {
    /// `nil` for a singular value decomposition.
    let rows, columns: Int, algorithm: EigenAlgorithm?, isDouble: Bool

    init(rows: Int, columns: Int, algorithm: EigenAlgorithm?, isDouble: Bool) {
      (self.rows, self.columns, self.algorithm, self.isDouble) = (rows, columns, algorithm, isDouble)
    }
  }

  /// A solver belongs to whoever took it.
  private struct Entry: @unchecked Sendable {
    let key: Key
    let solver: AnyObject
  }

  /// How many solvers may lie idle; of more, the longest idle are freed.
  private static let capacity = 64
  private static let idle = Mutex<[Entry]>([])

  private static func take(_ key: Key) -> AnyObject? {
    idle.withLock { idle in
      idle.lastIndex { $0.key == key }.map { idle.remove(at: $0) }
    }?.solver
  }

  private static func put(back solver: AnyObject, _ key: Key) {
    idle.withLock { idle in
      if idle.count == capacity { idle.removeFirst() }
      idle.append(Entry(key: key, solver: solver))
    }
  }
}
