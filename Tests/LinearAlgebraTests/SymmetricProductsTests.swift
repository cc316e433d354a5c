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
}
