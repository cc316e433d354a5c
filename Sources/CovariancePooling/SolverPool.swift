import Synchronization

/// Eigensolvers of one size, one for each thread that works on a batch; their workspaces are made once and reused.
final class SolverPool: Sendable {
  private struct Box: @unchecked Sendable { let solver: SymmetricEigensolver<Double> }
  private let size: Int
  private let idle = Mutex<[Box]>([])

  init(size: Int) { self.size = size }

  /// Replaces a symmetric matrix by its eigenvectors, one in each row, and gives the eigenvalues in ascending order.
  /// - Returns: whether there was a decomposition; there is none of a matrix that is not finite.
  func decompose(_ matrix: UnsafeMutablePointer<Double>, values: UnsafeMutablePointer<Double>) -> Bool {
    let box = idle.withLock { $0.popLast() } ?? Box(solver: SymmetricEigensolver(size: size))
    defer { idle.withLock { $0.append(box) } }
    return (try? box.solver.decompose(matrix, values: values)) != nil
  }
}
