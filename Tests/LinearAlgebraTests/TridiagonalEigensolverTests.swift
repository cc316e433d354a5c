import Foundation
import LinearAlgebra
import Testing

/// A symmetric tridiagonal matrix: its diagonal and the numbers beside it.
struct Tridiagonal: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let diagonal: [Double], offDiagonal: [Double]

  init(_ name: String, _ diagonal: [Double], _ offDiagonal: [Double]) {
    (testDescription, self.diagonal, self.offDiagonal) = ("\(name), n = \(diagonal.count)", diagonal, offDiagonal)
  }

  var size: Int { diagonal.count }
  /// The largest sum of a row's magnitudes: no eigenvalue is larger.
  var norm: Double {
    (0..<size).map { i in
      abs(diagonal[i]) + (i > 0 ? abs(offDiagonal[i - 1]) : 0) + (i + 1 < size ? abs(offDiagonal[i]) : 0)
    }.max() ?? 0
  }

  func scaled(by factor: Double) -> Tridiagonal {
    Tridiagonal("\(testDescription) · \(factor)", diagonal.map { $0 * factor }, offDiagonal.map { $0 * factor })
  }

  /// Wilkinson's W⁺: pairs of eigenvalues that agree to many digits.
  static func wilkinson(_ n: Int) -> Tridiagonal {
    Tridiagonal(
      "Wilkinson", (0..<n).map { abs(Double($0) - Double(n - 1) / 2) }, Array(repeating: 1, count: max(n - 1, 0)))
  }

  /// Matrices that make divide and conquer work for its digits.
  static let difficult: [Tridiagonal] = {
    var all: [Tridiagonal] = []
    for n in [1, 2, 3, 4, 7, 8, 9, 16, 17, 33, 100, 129, 257] {
      let noise = randomMatrix(2, n, seed: UInt64(n), as: Double.self)
      let beside = Array(noise[n..<2 * n - 1])
      all.append(Tridiagonal("random", Array(noise[..<n]), beside))
      all.append(Tridiagonal("second difference", Array(repeating: 2, count: n), Array(repeating: -1, count: n - 1)))
      all.append(Tridiagonal("diagonal", noise[..<n].map { ($0 * 3).rounded() }, Array(repeating: 0, count: n - 1)))
      all.append(Tridiagonal("zeros on the diagonal", Array(repeating: 0, count: n), beside))
      all.append(
        Tridiagonal("nearly diagonal", Array(repeating: 1, count: n), beside.map { $0 * 1e-15 }))
      all.append(
        Tridiagonal(
          "graded", (0..<n).map { pow(10, -Double($0) / 4) }, (0..<n - 1).map { pow(10, -Double($0) / 4 - 1) }))
      all.append(
        Tridiagonal(
          "graded upwards", (0..<n).map { pow(10, Double($0) / 4) }, (0..<n - 1).map { pow(10, Double($0) / 4) }))
      all.append(
        Tridiagonal("in pieces", Array(noise[..<n]), beside.enumerated().map { $0.offset % 5 == 4 ? 0 : $0.element }))
      all.append(
        Tridiagonal("couplings of all sizes", Array(noise[..<n]), beside.map { pow(10, $0 * 18) }))
      all.append(.wilkinson(n))
      // λ = −(n − 1), −(n − 3), …, n − 1.
      all.append(
        Tridiagonal(
          "Clement", Array(repeating: 0, count: n), (1..<max(n, 1)).map { Double($0 * (n - $0)).squareRoot() }))
    }
    for coupling in [1e-4, 1e-8, 1e-14, 1e-17] {
      let piece = Tridiagonal.wilkinson(21)
      let diagonal = (0..<7).flatMap { _ in piece.diagonal }
      var beside = (0..<7).flatMap { _ in piece.offDiagonal + [coupling] }
      beside.removeLast()
      all.append(Tridiagonal("glued Wilkinson \(coupling)", diagonal, beside))
    }
    return all
  }()
}

@Suite struct TridiagonalEigensolverTests {
  /// Eigenvalues, and eigenvectors row by row, copied from the solver.
  private func decompose(
    _ matrix: Tridiagonal, _ solver: TridiagonalEigensolver? = nil
  ) throws -> (values: [Double], vectors: [Double]) {
    let (n, solver) = (matrix.size, solver ?? TridiagonalEigensolver(size: matrix.size))
    var values = matrix.diagonal
    return try withExtendedLifetime(solver) {
      let vectors = try solver.decompose(diagonal: &values, offDiagonal: matrix.offDiagonal + [0])
      return (values, Array(UnsafeBufferPointer(start: vectors, count: n * n)))
    }
  }

  private func check(_ matrix: Tridiagonal, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let n = matrix.size
    let (values, vectors) = try decompose(matrix)
    #expect(values == values.sorted(), sourceLocation: sourceLocation)
    // A few units of the last place, growing with the levels rather than with n.
    let bound = 12 * Double.ulpOfOne * (1 + log2(Double(n)))
    var residual = 0.0, overlap = 0.0
    for i in 0..<n {
      let u = vectors[i * n..<(i + 1) * n].map { $0 }
      for p in 0..<n {
        var sum = (matrix.diagonal[p] - values[i]) * u[p]
        if p > 0 { sum += matrix.offDiagonal[p - 1] * u[p - 1] }
        if p + 1 < n { sum += matrix.offDiagonal[p] * u[p + 1] }
        residual = max(residual, abs(sum))
      }
      for j in 0...i {
        var sum = i == j ? -1.0 : 0.0
        for p in 0..<n { sum += u[p] * vectors[j * n + p] }
        overlap = max(overlap, abs(sum))
      }
    }
    // A denormal number is its own last place.
    #expect(
      residual <= bound * matrix.norm + .leastNonzeroMagnitude * Double(n), "T u − λ u", sourceLocation: sourceLocation)
    #expect(overlap <= bound, "orthogonality", sourceLocation: sourceLocation)
  }

  @Test(arguments: Tridiagonal.difficult)
  func `Difficult matrices are decomposed to rounding`(_ matrix: Tridiagonal) throws {
    try check(matrix)
  }

  @Test(arguments: [.leastNonzeroMagnitude, 1e-305, 1e-160, 1e160, 1e305])
  func `Magnitude does not matter`(_ scale: Double) throws {
    for n in [2, 21, 64] { try check(Tridiagonal.wilkinson(n).scaled(by: scale)) }
  }

  @Test func `A solver's second matrix does not see its first`() throws {
    let n = 40
    let solver = TridiagonalEigensolver(size: n)
    _ = try decompose(.wilkinson(n), solver)
    let noise = Tridiagonal(
      "random", randomMatrix(1, n, seed: 3, as: Double.self), randomMatrix(1, n - 1, seed: 4, as: Double.self))
    let (again, fresh) = (try decompose(noise, solver), try decompose(noise, TridiagonalEigensolver(size: n)))
    #expect(again == fresh)
  }

  @Test func `Clement's matrix has the integers that it is known for`() throws {
    let n = 50
    let beside = (1..<n).map { Double($0 * (n - $0)).squareRoot() }
    let values = try decompose(Tridiagonal("Clement", Array(repeating: 0, count: n), beside)).values
    for (i, value) in values.enumerated() { #expect(abs(value - Double(2 * i - n + 1)) <= 1e-13 * Double(n)) }
  }

  @Test func `A zero matrix has the axes`() throws {
    let (values, vectors) = try decompose(Tridiagonal("zero", [0, 0, 0], [0, 0]))
    #expect(values == [0, 0, 0] && vectors == [1, 0, 0, 0, 1, 0, 0, 0, 1])
  }
}
