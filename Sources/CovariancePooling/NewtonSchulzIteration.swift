/// The coupled Newton–Schulz iteration on one stored matrix A, forwards and backwards.
///
/// Y₀ = A, Z₀ = I; Tₖ = ½ (3 I − Zₖ Yₖ), Yₖ₊₁ = Yₖ Tₖ, Zₖ₊₁ = Tₖ Zₖ: Yₙ approximates the root of A and Zₙ its inverse, and
/// Yₙ = A Zₙ. All of them are polynomials of A, and so symmetric and commuting.
struct NewtonSchulzIteration<Scalar: RealScalar> {
  /// Which of the two is wanted: the other's last product is not made.
  enum Result { case root, inverseRoot }

  /// How an iteration ended.
  enum Outcome {
    /// The result is stored here, after so many iterations.
    case found(UnsafeMutablePointer<Scalar>, count: Int)
    /// The tolerance was not reached; `residual` was.
    case unreached(residual: Double)
  }

  let iterations: Int
  let tolerance: Double?
  let result: Result
  let products: SymmetricProducts<Scalar>

  init(_ operation: NewtonSchulz, _ result: Result, _ products: SymmetricProducts<Scalar>) {
    (iterations, tolerance) = (operation.iterations, operation.tolerance)
    (self.result, self.products) = (result, products)
  }

  private var size: Int { products.scalarCount }

  /// Scalars of the iterates that a pullback needs.
  var keptCount: Int { 2 * iterations * size }

  /// Scalars that `run` works in.
  func workCount(keeping: Bool) -> Int {
    keeping ? temporaryCount : makesPairs ? 5 * size : 4 * size + temporaryCount
  }

  private var temporaryCount: Int { (tolerance == nil ? 2 : 4) * size }
  private var makesPairs: Bool { tolerance == nil && iterations <= NewtonSchulz.mostMirrored }

  /// The result, which lies in `work` or in `kept`.
  /// - Parameters:
  ///   - work: where it is computed; overwritten.
  ///   - kept: where all iterates are to be left for a pullback; `nil` where there will be none. It begins with A; without
  ///     it `work` does.
  func run(in work: UnsafeMutablePointer<Scalar>, keeping kept: UnsafeMutablePointer<Scalar>?) -> Outcome {
    if let kept { return run(Iterates(kept, size: size, keeping: iterations), temporary: work) }
    if makesPairs { return .found(runInPairs(work), count: iterations) }
    return run(Iterates(work, size: size), temporary: work + 4 * size)
  }

  /// A and, where that is wanted, the inverse root, as `run` left them in `kept`.
  func kept(_ kept: UnsafePointer<Scalar>, count: Int) -> (a: UnsafePointer<Scalar>, inverseRoot: UnsafePointer<Scalar>)
  {
    let iterates = Iterates(UnsafeMutablePointer(mutating: kept), size: size, keeping: iterations)
    return (UnsafePointer(iterates.y(0)), UnsafePointer(iterates.z(count)))
  }

  /// Two iterations at a time, in place of six products five, and four at the beginning; ten in place of twelve for five
  /// iterations.
  ///
  /// Sₖ = Zₖ Yₖ goes its own way without Z: Sₖ₊₁ = Sₖ Tₖ², Yₖ₊₁ = Yₖ Tₖ, since all of them are polynomials of A and commute.
  /// Two iterations multiply Y, or Z, by one polynomial, q, and S by its square: q(S) = Tₖ Tₖ₊₁ =
  /// ½ (3 − S) · ½ (3 − ¼ S (3 − S)²) is of the fourth degree, which two products make: with the square completed,
  /// V = S² − 9/2 S + 27/8 I and q = 1/16 V² − 69/128 S + 1575/1024 I. At the beginning S = Y = A, and S q is the next Y;
  /// Z = I, and q is the next Z. In exact arithmetic that is Yₙ; rounding is a little smaller than step by step.
  private func runInPairs(_ work: UnsafeMutablePointer<Scalar>) -> UnsafeMutablePointer<Scalar> {
    let (s, v) = (work, work + size)
    // Where q and the result go, and the buffer that is free.
    var (q, x, free) = (work + 2 * size, work + 3 * size, work + 4 * size)
    for k in stride(from: 0, to: iterations - 1, by: 2) {
      products.multiply(s, s, into: v, adding: -4.5, s, plusIdentity: 3.375, isSymmetric: true)
      products.multiply(
        v, v, into: q, scale: 0.0625, adding: -0.5390625, s, plusIdentity: 1.5380859375, isSymmetric: true)
      let isLast = k + 2 >= iterations
      // S q, where it is not the next Y.
      if !isLast, k > 0 || result == .inverseRoot { products.multiply(s, q, into: v, isSymmetric: true) }
      if k > 0 {
        products.multiply(x, q, into: free, isSymmetric: true)
        swap(&x, &free)
      } else if result == .root {
        products.multiply(s, q, into: x, isSymmetric: true)
      }
      if !isLast { products.multiply(k == 0 && result == .root ? x : v, q, into: s, isSymmetric: true) }
      if k == 0, result == .inverseRoot { swap(&x, &q) }
    }
    guard iterations % 2 == 1 else { return x }
    if iterations > 1 {
      products.multiply(x, s, into: free, scale: -0.5, adding: 1.5, x, isSymmetric: true)
    } else if result == .root {
      products.multiply(s, s, into: free, scale: -0.5, adding: 1.5, s, isSymmetric: true)
    } else {
      makeFirstFactor(s, into: free)
    }
    return free
  }

  /// T₀ = ½ (3 I − A), which is Z₁.
  private func makeFirstFactor(_ a: UnsafePointer<Scalar>, into t: UnsafeMutablePointer<Scalar>) {
    scaled(a, by: -0.5, into: t, count: size)
    products.add(1.5, toDiagonalOf: t)
  }

  /// Step by step. Z₀ = I makes the first iteration cheap, and of the last one only the result is needed: 3 n − 3 products
  /// in all, and two for each test of the residual ‖Y² − A‖ / ‖A‖.
  private func run(_ iterates: Iterates<Scalar>, temporary: UnsafeMutablePointer<Scalar>) -> Outcome {
    let (factor, lastRoot) = (temporary, temporary + size)
    let (a, square) = (temporary + 2 * size, temporary + 3 * size)
    var norm = 0.0, residual = Double.infinity
    if tolerance != nil {
      a.update(from: iterates.y(0), count: size)
      norm = sumOfSquares(a, count: size).squareRoot()
    }
    for k in 0..<iterations {
      let (y, isLast) = (iterates.y(k), k == iterations - 1)
      let t = k == 0 && (!isLast || result == .inverseRoot) ? iterates.z(1) : factor
      let next = isLast ? lastRoot : iterates.y(k + 1)
      if k == 0 {
        makeFirstFactor(y, into: t)
      } else {
        products.multiply(iterates.z(k), y, into: t, scale: -0.5, plusIdentity: 1.5, isSymmetric: true)
      }
      if !isLast || result == .root || tolerance != nil { products.multiply(y, t, into: next, isSymmetric: true) }
      var isFound = isLast && tolerance == nil
      if let tolerance {
        products.multiply(next, next, into: square, isSymmetric: true)
        accumulate(a, times: -1, into: square, count: size)
        residual = sumOfSquares(square, count: size).squareRoot() / norm
        isFound = residual <= tolerance
      }
      if k > 0, result == .inverseRoot || !(isLast || isFound) {
        products.multiply(t, iterates.z(k), into: iterates.z(k + 1), isSymmetric: true)
      }
      if isFound { return .found(result == .root ? next : iterates.z(k + 1), count: k + 1) }
    }
    return .unreached(residual: residual)
  }

  /// From the gradient with respect to the result, a symmetric matrix, to that with respect to A.
  ///
  /// With P = Yₖ ∂Yₖ₊₁ and Q = Zₖ ∂Zₖ₊₁ four products make a step: ∂Yₖ = 3/2 ∂Yₖ₊₁ − ½ (U + Uᵀ), U = Zₖ (P + ½ Qᵀ), and
  /// ∂Zₖ = 3/2 ∂Zₖ₊₁ − ½ (V + Vᵀ), V = Yₖ (Q + ½ Pᵀ). That is the derivative of Yₖ₊₁ = ½ (3 Yₖ − Yₖ Zₖ Yₖ) and
  /// Zₖ₊₁ = ½ (3 Zₖ − Zₖ Yₖ Zₖ), whose factors are symmetric. At the beginning one of the two gradients is 0, and at the end
  /// Z₀ = I is no variable.
  /// - Parameters:
  ///   - work: six stored matrices, the first of which is the gradient; overwritten.
  ///   - kept: the iterates as `run` left them.
  /// - Returns: where in `work` ∂A is.
  func pullback(
    in work: UnsafeMutablePointer<Scalar>, kept: UnsafePointer<Scalar>, count: Int
  ) -> UnsafeMutablePointer<Scalar> {
    let iterates = Iterates(UnsafeMutablePointer(mutating: kept), size: size, keeping: iterations)
    let (p, q, sum) = (work + 3 * size, work + 4 * size, work + 5 * size)
    var (dy, dz, next) = (work, work + size, work + 2 * size)
    if result == .inverseRoot { swap(&dy, &dz) }
    for k in (1..<max(count, 1)).reversed() {
      let (y, z) = (iterates.y(k), iterates.z(k))
      if k < count - 1 {
        products.multiply(y, dy, into: p, isSymmetric: false)
        products.multiply(z, dz, into: q, isSymmetric: false)
        // The next ∂Y goes to `next`, then the next ∂Z to where ∂Y was.
        products.combine(1, p, 0, q, transposed: 0.5, into: sum)
        products.multiplySymmetrized(z, sum, scale: -0.5, adding: 1.5, dy, into: next)
        products.combine(1, q, 0, p, transposed: 0.5, into: sum)
        products.multiplySymmetrized(y, sum, scale: -0.5, adding: 1.5, dz, into: dy)
        (dy, dz, next) = (next, dy, dz)
      } else if result == .root {
        pullbackLast(y, z, dy, into: next, other: dz, p, sum)
        swap(&dy, &next)
      } else {
        pullbackLast(z, y, dz, into: next, other: dy, p, sum)
        swap(&dz, &next)
      }
    }
    if count == 1, result == .inverseRoot {
      scaled(dz, by: -0.5, into: next, count: size)
      return next
    }
    products.multiply(iterates.y(0), dy, into: p, isSymmetric: false)
    products.combine(1.5, dy, -0.5, p, transposed: -0.5, into: next)
    if count > 1 { accumulate(dz, times: -0.5, into: next, count: size) }
    return next
  }

  /// The step of the last iteration, where one of the gradients is 0: with y, z and ∂y the result's, or z, y and ∂z.
  private func pullbackLast(
    _ y: UnsafePointer<Scalar>, _ z: UnsafePointer<Scalar>, _ dy: UnsafePointer<Scalar>,
    into next: UnsafeMutablePointer<Scalar>, other: UnsafeMutablePointer<Scalar>, _ p: UnsafeMutablePointer<Scalar>,
    _ transposed: UnsafeMutablePointer<Scalar>
  ) {
    products.multiply(y, dy, into: p, isSymmetric: false)
    products.multiplySymmetrized(z, p, scale: -0.5, adding: 1.5, dy, into: next)
    products.combine(0, p, 0, p, transposed: 1, into: transposed)
    products.multiply(y, transposed, into: other, scale: -0.5, isSymmetric: true)
  }
}

/// Where Yₖ and Zₖ of one sample live: all of them for a pullback, or two of each in turn. Z₀ = I is never stored: where
/// all are kept Zₙ is in its place.
private struct Iterates<Scalar: RealScalar> {
  private let base: UnsafeMutablePointer<Scalar>
  private let size: Int
  private let depth: Int

  /// - Parameter keeping: the number of iterations, all of which are kept; `nil` to keep none.
  init(_ base: UnsafeMutablePointer<Scalar>, size: Int, keeping: Int? = nil) {
    (self.base, self.size, depth) = (base, size, keeping ?? 2)
  }

  func y(_ k: Int) -> UnsafeMutablePointer<Scalar> { base + k % depth * size }
  func z(_ k: Int) -> UnsafeMutablePointer<Scalar> { base + (depth + k % depth) * size }
}
