import Foundation
import LinearAlgebra
import TestSupport
import Testing

private func symmetric<Scalar: RealScalar>(_ n: Int, as _: Scalar.Type, rank: Int? = nil) -> [Scalar] {
  let columns = rank ?? n
  let x = unit("matrix", count: n * columns).map { Scalar($0) }
  return (0..<n * n).map { index in
    (0..<columns).reduce(0) { $0 + x[index / n * columns + $1] * x[index % n * columns + $1] }
  }
}

/// Rounding grows with the size: a small multiple of n ε.
private func bound<Scalar: RealScalar>(_ n: Int, _: Scalar.Type) -> Double { 32 * Double(n) * Double(Scalar.ulpOfOne) }

@Suite struct EigensolverTests {
  private func check<Scalar: RealScalar>(_ matrix: [Scalar], _ n: Int) throws {
    let (values, vectors) = try symmetricEigendecomposition(of: matrix, size: n)
    let scale = Double(values.map { abs($0) }.max() ?? 0)
    #expect(values == values.sorted())
    for i in 0..<n {
      for j in 0..<n {
        let entry = (0..<n).reduce(Scalar(0)) { $0 + values[$1] * vectors[$1 * n + i] * vectors[$1 * n + j] }
        #expect(abs(Double(entry - matrix[i * n + j])) <= bound(n, Scalar.self) * max(scale, 1e-300))
        let product = (0..<n).reduce(Scalar(0)) { $0 + vectors[i * n + $1] * vectors[j * n + $1] }
        #expect(abs(Double(product) - (i == j ? 1 : 0)) <= bound(n, Scalar.self))
      }
    }
  }

  @Test(arguments: [1, 2, 5, 40]) func `A matrix is put together again from its eigenvectors`(_ n: Int) throws {
    try check(symmetric(n, as: Double.self), n)
    try check(symmetric(n, as: Float.self), n)
    try check(symmetric(n, as: Double.self, rank: max(1, n / 3)), n)
    try check([Double](repeating: 0, count: n * n), n)
  }

  @Test func `Eigenvalues of known matrices`() throws {
    #expect(largestError(try symmetricEigendecomposition(of: [2.0, 1, 1, 2], size: 2).values, [1, 3]) < 1e-15)
    // 2 on the diagonal, −1 beside it: 2 − 2 cos(k π / (n + 1)).
    let n = 20
    let laplacian = (0..<n * n).map { $0 / n == $0 % n ? 2.0 : abs($0 / n - $0 % n) == 1 ? -1 : 0 }
    let want = (1...n).map { 2 - 2 * cos(Double($0) * .pi / Double(n + 1)) }
    #expect(largestError(try symmetricEigendecomposition(of: laplacian, size: n).values, want) < 1e-14)
    let identity = (0..<n * n).map { $0 / n == $0 % n ? 1.0 : 0 }
    #expect(try symmetricEigendecomposition(of: identity, size: n).values.allSatisfy { $0 == 1 })
    #expect(try symmetricEigendecomposition(of: [Double](), size: 0).values.isEmpty)
  }

  @Test func `What is not finite is an error, not a hang`() {
    for bad in [Double.nan, .infinity] {
      #expect(throws: LAPACKError.notFinite) { try symmetricEigendecomposition(of: [1, 0, 0, bad], size: 2) }
    }
  }

  @Test func `Solvers on several threads give the bits of one`() throws {
    let n = 48
    let matrix = symmetric(n, as: Double.self)
    let want = try symmetricEigendecomposition(of: matrix, size: n)
    let results = UnsafeMutableBufferPointer<[Double]>.allocate(capacity: 16)
    results.initialize(repeating: [])
    defer { results.deallocate() }
    WorkerPool.shared.forEach(16) { index in
      results[index] = (try? symmetricEigendecomposition(of: matrix, size: n).vectors) ?? []
    }
    #expect(results.allSatisfy { $0 == want.vectors })
  }
}

@Suite struct SingularValueTests {
  @Test(arguments: [(6, 4), (4, 6), (1, 5), (30, 30)])
  func `A matrix is put together again from its singular vectors`(_ rows: Int, _ columns: Int) throws {
    let matrix = unit("svd", count: rows * columns).map(Double.init)
    let rank = min(rows, columns)
    var (copy, values) = (matrix, [Double](repeating: 0, count: rank))
    var (left, right) = ([Double](repeating: 0, count: rows * rank), [Double](repeating: 0, count: rank * columns))
    try SingularValueDecomposition(rows: rows, columns: columns).decompose(
      &copy, values: &values, left: &left, right: &right)
    #expect(values == values.sorted(by: >) && values.allSatisfy { $0 >= 0 })
    for i in 0..<rows {
      for j in 0..<columns {
        let entry = (0..<rank).reduce(0) { $0 + left[i * rank + $1] * values[$1] * right[$1 * columns + j] }
        #expect(abs(entry - matrix[i * columns + j]) < bound(max(rows, columns), Double.self))
      }
    }
  }
}

@Suite struct CholeskyTests {
  @Test func `A known factor, and a solution`() throws {
    let cholesky = try Cholesky([4.0, 2, 2, 5], size: 2)
    #expect(cholesky.factor == [2, 0, 1, 2])
    #expect(largestError(cholesky.solve([8, 9]), [1.375, 1.25]) < 1e-15)
  }

  @Test func `The failing pivot is named`() {
    #expect(throws: LAPACKError.notPositiveDefinite(index: 1)) { try Cholesky([1.0, 2, 2, 1], size: 2) }
    #expect(throws: LAPACKError.notFinite) { try Cholesky([Float.nan], size: 1) }
  }
}

@Suite struct ProductTests {
  @Test func `Products by hand: plain, transposed, symmetric, with a vector`() {
    let (a, b): ([Double], [Double]) = ([1, 2, 3, 4, 5, 6], [1, 0, 2, 1, 0, 3])
    var c = [Double](repeating: 0, count: 9)
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        let left = MatrixView(a.baseAddress!, rows: 2, columns: 3)
        let right = MatrixView(b.baseAddress!, rows: 3, columns: 2)
        multiply(left, right, into: &c)
        #expect(c[..<4] == [5, 11, 14, 23])
        multiply(left.transposed, right.transposed, into: &c)
        #expect(c == [1, 6, 12, 2, 9, 15, 3, 12, 18])
        multiply(left, right, into: &c, scale: 2, keeping: 1)
        #expect(c[..<4] == [11, 28, 40, 48])
        multiplyByTranspose(left, into: &c, scale: 0.5)
        #expect(c[..<4] == [7, 16, 16, 38.5])
        multiply(left, vector: b.baseAddress!, into: &c)
        #expect(c[..<2] == [7, 16])
        multiply(left.transposed, vector: b.baseAddress!, into: &c)
        #expect(c[..<3] == [1, 2, 3])
      }
    }
  }

  @Test func `Rows over threads give the product of one thread`() {
    let n = 130
    let a = unit("a", count: n * n)
    var (one, many) = ([Float](repeating: 0, count: n * n), [Float](repeating: 0, count: n * n))
    a.withUnsafeBufferPointer { a in
      let matrix = MatrixView(a.baseAddress!, rows: n, columns: n)
      multiply(matrix, matrix.transposed, into: &one)
      multiply(matrix, matrix.transposed, into: &many, over: .shared)
    }
    #expect(largestError(many, one.map(Double.init)) < 1e-4)
  }
}

@Suite struct WorkerPoolTests {
  @Test func `Every index is handed out once, nested jobs too`() {
    let count = 1000
    let hits = UnsafeMutableBufferPointer<Int>.allocate(capacity: count)
    defer { hits.deallocate() }
    for _ in 0..<50 {
      hits.update(repeating: 0)
      WorkerPool.shared.forEach(count / 10) { outer in
        WorkerPool.shared.forEach(10) { inner in hits[outer * 10 + inner] += 1 }
      }
      #expect(hits.allSatisfy { $0 == 1 })
    }
  }

  @Test func `Jobs of several callers do not mix`() async {
    await withTaskGroup(of: Bool.self) { group in
      for caller in 0..<8 {
        group.addTask {
          let hits = UnsafeMutableBufferPointer<Int>.allocate(capacity: 64)
          defer { hits.deallocate() }
          for round in 0..<200 {
            hits.update(repeating: -1)
            WorkerPool.shared.forEach(64) { hits[$0] = caller * 1000 + round }
            guard hits.allSatisfy({ $0 == caller * 1000 + round }) else { return false }
          }
          return true
        }
      }
      for await isRight in group { #expect(isRight) }
    }
  }
}

@Suite struct BLASInfoTests {
  @Test(arguments: [
    ("Prescott", VectorInstructions.avx512, true), ("Nehalem", .avx2, true), ("Haswell", .avx512, true),
    ("Zen", .avx512, true), ("Haswell", .avx2, false), ("SkylakeX", .avx512, false), ("Cooperlake", .avx512, false),
    ("Zen", .avx2, false), ("neoversen1", .sse, false),
  ])
  func `A kernel for lesser instructions than the processor's is warned of`(
    _ kernel: String, _ processor: VectorInstructions, _ warns: Bool
  ) {
    #expect((BLASInfo.warning(kernel: kernel, processor: processor, environment: [:]) != nil) == warns)
  }

  @Test func `The remedy is to unset the variable where it is set`() throws {
    let warning = try #require(
      BLASInfo.warning(kernel: "Haswell", processor: .avx512, environment: ["OPENBLAS_CORETYPE": "Haswell"]))
    #expect(warning.contains("unset it") && !warning.contains("\n"))
    #expect(BLASInfo.warning(kernel: "Haswell", processor: nil, environment: [:]) == nil)
  }

  @Test func `This process has a BLAS with a name, a version and one thread`() {
    let info = BLASInfo.current
    #expect(info.library == "OpenBLAS" && info.version.contains(".") && !info.kernel.isEmpty && info.threads == 1)
  }
}
