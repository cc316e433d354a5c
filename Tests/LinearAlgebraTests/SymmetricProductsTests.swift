import LinearAlgebra
import TestSupport
import Testing

@Suite struct SymmetricProductsTests {
  /// Two symmetric matrices that commute, so that their product is symmetric too: a matrix and its square.
  private func matrices(_ n: Int) -> (a: [Double], square: [Double]) {
    let u = unit("a", count: n * n).map(Double.init)
    let a = (0..<n * n).map { (u[$0] + u[$0 % n * n + $0 / n]) / 2 }
    return (a, product(a, a, n))
  }

  private func product(_ a: [Double], _ b: [Double], _ n: Int) -> [Double] {
    (0..<n * n).map { at in (0..<n).reduce(0) { $0 + a[at / n * n + $1] * b[$1 * n + at % n] } }
  }

  private func check<Scalar: RealScalar>(_ n: Int, _ tolerance: Double, over pool: WorkerPool?, as _: Scalar.Type) {
    let (a, square) = matrices(n)
    let products = SymmetricProducts<Scalar>(size: n, over: pool)
    func stored(_ x: [Double]) -> [Scalar] {
      var y = [Scalar](repeating: .nan, count: products.scalarCount)
      products.load(x.map { Scalar($0) }, scale: 1, into: &y)
      return y
    }
    func rows(_ x: [Scalar]) -> [Scalar] {
      var y = [Scalar](repeating: .nan, count: n * n)
      products.unload(x, scale: 1, into: &y)
      return y
    }
    let cube = product(a, square, n)
    for isSymmetric in [true, false] {
      var c = [Scalar](repeating: .nan, count: products.scalarCount)
      products.multiply(stored(a), stored(square), into: &c, scale: -0.5, plusIdentity: 1.5, isSymmetric: isSymmetric)
      let want = cube.enumerated().map { ($0 / n == $0 % n ? 1.5 : 0) - 0.5 * $1 }
      #expect(largestError(rows(c), want) <= tolerance * Double(n))
    }
    for isSymmetric in [true, false] {
      var c = [Scalar](repeating: .nan, count: products.scalarCount)
      products.multiply(
        stored(a), stored(square), into: &c, scale: 0.25, adding: -2, stored(a), plusIdentity: 3,
        isSymmetric: isSymmetric)
      let want = (0..<n * n).map { 0.25 * cube[$0] - 2 * a[$0] + ($0 / n == $0 % n ? 3 : 0) }
      #expect(largestError(rows(c), want) <= tolerance * Double(n))
    }
    let other = unit("other", count: n * n).map(Double.init)
    var z = [Scalar](repeating: .nan, count: products.scalarCount)
    products.combine(2, stored(a), -1, stored(other), transposed: 3, into: &z)
    let want = (0..<n * n).map { 2 * a[$0] - other[$0] + 3 * other[$0 % n * n + $0 / n] }
    #expect(largestError(rows(z), want) <= tolerance)
    products.multiplySymmetrized(stored(a), stored(other), scale: -0.5, adding: 2, stored(square), into: &z)
    let half = product(a, other, n)
    let symmetrized = (0..<n * n).map { 2 * square[$0] - 0.5 * (half[$0] + half[$0 % n * n + $0 / n]) }
    #expect(largestError(rows(z), symmetrized) <= tolerance * Double(n))
  }

  @Test(arguments: [1, 5, 31, 32, 33, 64, 100])
  func `Products, sums and the identity by their definitions`(_ n: Int) {
    for pool in [nil, WorkerPool.shared] {
      check(n, 2e-6, over: pool, as: Float.self)
      check(n, 1e-14, over: pool, as: Double.self)
    }
  }

  @Test(arguments: [(1, 1, 1), (5, 49, 17), (70, 33, 100), (64, 32, 96)], [false, true])
  private func `Products of matrices of any shapes by their definitions`(
    _ sizes: (depth: Int, rows: Int, columns: Int), _ isExact: Bool
  ) {
    func check<Scalar: RealScalar>(_ tolerance: Double, over pool: WorkerPool?, as _: Scalar.Type) {
      let (depth, rows, columns) = sizes
      let products = SymmetricProducts<Scalar>(size: rows, over: pool, isExact: isExact)
      func random(_ name: String, _ rows: Int, _ columns: Int) -> [Scalar] {
        unit(name, count: rows * columns).map { Scalar($0) }
      }
      func stored(_ x: [Scalar], _ rows: Int, _ columns: Int) -> [Scalar] {
        var y = [Scalar](repeating: .nan, count: products.scalarCount(rows: rows, columns: columns))
        products.load(x, rows: rows, columns: columns, into: &y)
        return y
      }
      func unloadedTranspose(_ x: [Scalar], _ rows: Int, _ columns: Int) -> [Scalar] {
        var y = [Scalar](repeating: .nan, count: rows * columns)
        products.unloadTranspose(x, rows: rows, columns: columns, into: &y)
        return y
      }
      func transpose<Element>(_ x: [Element], _ rows: Int, _ columns: Int) -> [Element] {
        (0..<rows * columns).map { x[$0 % rows * columns + $0 / rows] }
      }
      let (a, b, x) = (random("a", depth, rows), random("b", depth, columns), random("x", rows, columns))
      var c = [Scalar](repeating: .nan, count: products.scalarCount(rows: rows, columns: columns))
      products.multiplyTranspose(
        stored(a, depth, rows), stored(b, depth, columns), depth: depth, rows: rows, columns: columns, into: &c,
        scale: -2, adding: 3, stored(x, rows, columns))
      let want = (0..<rows * columns).map { at in
        let (i, j) = (at / columns, at % columns)
        return (0..<depth).reduce(3 * Double(x[at])) {
          $0 - 2 * Double(a[$1 * rows + i]) * Double(b[$1 * columns + j])
        }
      }
      #expect(
        largestError(unloadedTranspose(c, rows, columns), transpose(want, rows, columns)) <= tolerance * Double(depth))

      // aᵀ a, of which half is computed; and a, stored as the transpose of a transpose.
      var square = [Scalar](repeating: .nan, count: products.scalarCount)
      products.multiplyTranspose(
        stored(a, depth, rows), stored(a, depth, rows), depth: depth, rows: rows, columns: rows, into: &square,
        scale: 0.5, isSymmetric: true)
      let half = (0..<rows * rows).map { at in
        (0..<depth).reduce(0) { $0 + 0.5 * Double(a[$1 * rows + at / rows]) * Double(a[$1 * rows + at % rows]) }
      }
      #expect(largestError(unloadedTranspose(square, rows, rows), half) <= tolerance * Double(depth))
      var inRows = [Scalar](repeating: .nan, count: rows * rows)
      products.multiplyTransposeToRows(
        stored(a, depth, rows), stored(a, depth, rows), depth: depth, columns: rows, into: &inRows)
      #expect(largestError(inRows, half.map { 2 * $0 }) <= 2 * tolerance * Double(depth))
      var again = [Scalar](repeating: .nan, count: products.scalarCount(rows: depth, columns: rows))
      products.loadTranspose(transpose(a, depth, rows), rows: rows, columns: depth, into: &again)
      #expect(again == stored(a, depth, rows))
    }
    for pool in [nil, WorkerPool.shared] {
      check(2e-6, over: pool, as: Float.self)
      check(1e-14, over: pool, as: Double.self)
    }
  }
}
