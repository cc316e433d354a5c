import Foundation
import LinearAlgebra
import Synchronization
import Testing

/// What threads found wrong. A class, since they cannot capture a `Mutex` itself.
private final class Mismatches: Sendable {
  let list = Mutex<[String]>([])
}

@Suite struct SymmetricEigensolverTests {
  /// A = Uᵀ Λ U, U Uᵀ = I and ascending λ.
  private func checkDecomposition<Scalar: RealScalar>(
    of matrix: [Scalar], size n: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let (values, vectors) = try symmetricEigendecomposition(of: matrix, size: n)
    let scale = values.map(abs).max() ?? 0
    let rebuilt = product(
      transpose(vectors, n, n), scaleRows(vectors, by: values, columns: max(n, 1)), n, n, n)
    let gram = product(vectors, transpose(vectors, n, n), n, n, n)
    let identity = diagonalMatrix([Scalar](repeating: 1, count: n))
    #expect(values.count == n && values == values.sorted(), sourceLocation: sourceLocation)
    #expect(largestDifference(rebuilt, matrix) <= roundingBound(n, scale: scale), sourceLocation: sourceLocation)
    #expect(largestDifference(gram, identity) <= roundingBound(n), sourceLocation: sourceLocation)
  }

  private func checkFamilies<Scalar: RealScalar>(_ n: Int, as type: Scalar.Type) throws {
    try checkDecomposition(of: symmetricMatrix(n, seed: 1, as: type), size: n)
    try checkDecomposition(of: gramMatrix(n, rank: n, seed: 2, as: type), size: n)
    try checkDecomposition(of: gramMatrix(n, rank: max(1, n / 3), seed: 3, as: type), size: n)
    try checkDecomposition(of: [Scalar](repeating: 0, count: n * n), size: n)
    // One eigenvalue n times, and n − 1 times.
    try checkDecomposition(of: diagonalMatrix([Scalar](repeating: 3, count: n)), size: n)
    try checkDecomposition(of: [Scalar](repeating: 1, count: n * n), size: n)
    // Far from 1 in magnitude, where squares overflow or underflow.
    let scale = type.greatestFiniteMagnitude.squareRoot()
    try checkDecomposition(of: symmetricMatrix(n, seed: 4, as: type).map { $0 * scale }, size: n)
    try checkDecomposition(of: symmetricMatrix(n, seed: 5, as: type).map { $0 / scale }, size: n)
  }

  // Sizes on both sides of 25, where divide and conquer begins to divide.
  @Test(arguments: [0, 1, 2, 3, 25, 26, 64, 101])
  func `A matrix is the sum of its eigenvectors' projections`(_ n: Int) throws {
    try checkFamilies(n, as: Float.self)
    try checkFamilies(n, as: Double.self)
  }

  private func checkTwoByTwo<Scalar: RealScalar>(as type: Scalar.Type) throws {
    // (λ − 2)² = 1, with eigenvectors (1, −1) / √2 and (1, 1) / √2.
    let (values, vectors) = try symmetricEigendecomposition(of: [2, 1, 1, 2] as [Scalar], size: 2)
    let half = Scalar(0.5).squareRoot()
    #expect(largestDifference(values, [1, 3]) <= roundingBound(2, scale: 3))
    #expect(largestDifference(vectors.map(abs), [half, half, half, half]) <= roundingBound(2))
    #expect(vectors[0] * vectors[1] < 0 && vectors[2] * vectors[3] > 0)
  }

  @Test func `A 2×2 matrix by hand: each row is the eigenvector of its eigenvalue`() throws {
    try checkTwoByTwo(as: Float.self)
    try checkTwoByTwo(as: Double.self)
  }

  @Test func `Rows, not columns, are eigenvectors where the two differ`() throws {
    // Eigenvector (1, 2) / √5 of 10 and (2, −1) / √5 of 5.
    let (values, vectors) = try symmetricEigendecomposition(of: [6.0, 2, 2, 9], size: 2)
    #expect(largestDifference(values, [5, 10]) <= roundingBound(2, scale: 10))
    #expect(abs(vectors[0] / vectors[1] + 2) <= roundingBound(2, scale: 2))
    #expect(abs(vectors[3] / vectors[2] - 2) <= roundingBound(2, scale: 2))
  }

  private func checkSecondDifference<Scalar: RealScalar>(_ n: Int, as type: Scalar.Type) throws {
    let matrix = (0..<n * n).map { index -> Scalar in
      switch abs(index / n - index % n) {
      case 0: 2
      case 1: -1
      default: 0
      }
    }
    let expected = (1...n).map { Scalar(2 - 2 * cos(Double($0) * .pi / Double(n + 1))) }
    let values = try symmetricEigendecomposition(of: matrix, size: n).values
    #expect(largestDifference(values, expected) <= roundingBound(n, scale: 4))
  }

  @Test func `The second difference matrix has the eigenvalues 2 − 2 cos(kπ / (n + 1))`() throws {
    try checkSecondDifference(50, as: Float.self)
    try checkSecondDifference(50, as: Double.self)
  }

  private func checkRank<Scalar: RealScalar>(as type: Scalar.Type) throws {
    let (n, rank) = (40, 12)
    let values = try symmetricEigendecomposition(of: gramMatrix(n, rank: rank, seed: 6, as: type), size: n).values
    let bound: Scalar = roundingBound(n, scale: values[n - 1])
    #expect(values[..<(n - rank)].allSatisfy { abs($0) <= bound })
    #expect(values[(n - rank)...].allSatisfy { $0 > 100 * bound })
  }

  @Test func `A matrix of rank 12 has 12 eigenvalues that are not zero`() throws {
    try checkRank(as: Float.self)
    try checkRank(as: Double.self)
  }

  @Test func `Only the upper triangle counts`() throws {
    let symmetric = try symmetricEigendecomposition(of: [2.0, 1, 1, 2], size: 2)
    let upper = try symmetricEigendecomposition(of: [2.0, 1, 77, 2], size: 2)
    #expect(upper.values == symmetric.values && upper.vectors == symmetric.vectors)
  }

  private func checkOverflow<Scalar: RealScalar>(as type: Scalar.Type) throws {
    // n times the largest number, with the vector (1, …, 1) / √n, and zeros.
    let n = 30
    let matrix = [Scalar](repeating: type.greatestFiniteMagnitude, count: n * n)
    let (values, vectors) = try symmetricEigendecomposition(of: matrix, size: n)
    #expect(values[n - 1] == .infinity && values[..<(n - 1)].allSatisfy { $0.isFinite })
    let last = [Scalar](repeating: 1 / Scalar(n).squareRoot(), count: n)
    #expect(largestDifference(vectors[(n * n - n)...].map(abs), last) <= roundingBound(n))
  }

  @Test func `An eigenvalue out of range is infinite, and its eigenvector right`() throws {
    try checkOverflow(as: Float.self)
    try checkOverflow(as: Double.self)
  }

  private func checkRefusal<Scalar: RealScalar>(as type: Scalar.Type) throws {
    let n = 30
    let solver = SymmetricEigensolver<Scalar>(size: n)
    let sound = symmetricMatrix(n, seed: 7, as: type)
    var values = [Scalar](repeating: -1, count: n)
    for bad in [Scalar.nan, .signalingNaN, .infinity, -.infinity] {
      for position in [0, 5 * n + 8, 8 * n + 5, n * n - 1] {
        var matrix = sound
        matrix[position] = bad
        #expect(throws: LAPACKError.notFinite) { try solver.decompose(&matrix, values: &values) }
        #expect(values.allSatisfy { $0 == -1 })
        #expect(matrix.indices.allSatisfy { $0 == position || matrix[$0] == sound[$0] })
      }
    }
    // The solver is as good as new after that.
    var matrix = sound
    try solver.decompose(&matrix, values: &values)
    let fresh = try symmetricEigendecomposition(of: sound, size: n)
    #expect(matrix == fresh.vectors && values == fresh.values)
  }

  @Test(.timeLimit(.minutes(1))) func `NaN and infinity are an error that touches nothing`() throws {
    try checkRefusal(as: Float.self)
    try checkRefusal(as: Double.self)
  }

  private func checkThreads<Scalar: RealScalar>(as type: Scalar.Type) throws {
    let (n, count, threads) = (70, 24, 4)
    let matrices = (0..<count).map { symmetricMatrix(n, seed: UInt64(100 + $0), as: type) }
    let expected = try matrices.map { try symmetricEigendecomposition(of: $0, size: n) }
    let mismatches = Mismatches()
    let done = DispatchGroup()
    for thread in 0..<threads {
      done.enter()
      // One solver for each thread, each matrix on every thread, in an order of the thread's own.
      Thread.detachNewThread {
        defer { done.leave() }
        let solver = SymmetricEigensolver<Scalar>(size: n)
        for step in 0..<count {
          let index = (step * 7 + thread * 5) % count
          var (matrix, values) = (matrices[index], [Scalar](repeating: 0, count: n))
          let isSolved = (try? solver.decompose(&matrix, values: &values)) != nil
          if !isSolved || matrix != expected[index].vectors || values != expected[index].values {
            mismatches.list.withLock { $0.append("matrix \(index) on thread \(thread)") }
          }
        }
      }
    }
    done.wait()
    #expect(mismatches.list.withLock { $0 } == [])
  }

  @Test func `Solvers on several threads give the bits of one`() throws {
    try checkThreads(as: Float.self)
    try checkThreads(as: Double.self)
  }
}
