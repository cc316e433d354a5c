import Kernels

/// An approximate matrix square root by coupled Newton–Schulz iterations: Fast-MPN, iSQRT-COV (Li et al. 2018, eq. 4–6).
///
/// Input `[B, d, d]`, symmetric positive semi-definite; result `[B, d, d]`. With A = Σ/τ, Y₀ = A, Z₀ = I:
/// Tₖ = ½ (3 I − Zₖ Yₖ), Yₖ₊₁ = Yₖ Tₖ, Zₖ₊₁ = Tₖ Zₖ; the result is √τ Yₙ. Five iterations are what the published
/// networks use; they are 30–40 % away from the exact root, so a network runs with the count it was trained with. With a
/// tolerance the iteration goes on until its result is a root to that tolerance. Σ = 0 gives 0.
public struct NewtonSchulz: TensorOperation, Hashable {
  /// What a matrix is divided by before iterating, and its root multiplied by the root of afterwards.
  public enum Scaling: String, CaseIterable, Hashable, Sendable, Codable {
    /// The trace, as in the published networks: convergence is certain.
    case trace
    /// The Frobenius norm: closer to the root for the same n where the spectrum is flat.
    case frobenius
  }

  /// The number of iterations n; with a tolerance the most there may be.
  public var iterations: Int
  /// The factor τ.
  public var scaling: Scaling
  /// The relative residual ‖S·S − Σ‖ / ‖Σ‖, in Frobenius norms, at which to stop; `nil` to make n iterations whatever comes
  /// out. It is taken of the result itself, one product an iteration. A sample that does not get there is NaN, and an
  /// error in `checkingNumerics`.
  public var tolerance: Double?

  /// A square root by `iterations` iterations, or by as many as `tolerance` asks for.
  /// - Parameters:
  ///   - iterations: by default 5, with a tolerance at most 30.
  ///   - scaling: what Σ is divided by.
  ///   - tolerance: the relative residual at which to stop.
  /// - Precondition: `iterations` is at least 1, and a tolerance is positive.
  public init(iterations: Int? = nil, scaling: Scaling = .trace, tolerance: Double? = nil) {
    let iterations = iterations ?? (tolerance == nil ? 5 : 30)
    precondition(iterations >= 1, "Newton–Schulz needs at least one iteration, not \(iterations)")
    precondition(tolerance.map { $0 > 0 } ?? true, "Newton–Schulz needs a positive tolerance")
    (self.iterations, self.scaling, self.tolerance) = (iterations, scaling, tolerance)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 3 && inputs[0][1] == inputs[0][2], "expected [B, d, d]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let (sigma, root, failures) = (inputs[0].pointer, result.baseAddress!, FailureLog())
    forEachSample(batch, size: d, isExact: isLong) { (sample, products: SymmetricProducts<Scalar>) in
      let (sigma, root, size) = (sigma + sample * d * d, root + sample * d * d, products.scalarCount)
      if tolerance == nil, !isLong { return rootAlone(sigma, into: root, products, sample, failures) }
      withScratch(of: Scalar.self, 4 * size) {
        _ = squareRoot(sigma, into: root, Iterates($0, size: size), products, sample, failures)
      }
    }
    failures.report()
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let size = SymmetricProducts<Scalar>(size: d, isExact: isLong).scalarCount
    let kept = 2 * iterations * size
    // Pages of iterations that are never made are never touched.
    let saved = Tensor<Scalar>(shape: [batch, kept], storage: TensorStorage(count: batch * kept))
    let counts = Tensor<Double>(shape: [batch], storage: TensorStorage(count: batch))
    let failures = FailureLog()
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      let (root, counts) = (result.baseAddress!, UnsafeMutablePointer(mutating: counts.pointer))
      forEachSample(batch, size: d, isExact: isLong) { (sample, products: SymmetricProducts<Scalar>) in
        let iterates = Iterates(
          UnsafeMutablePointer(mutating: saved.pointer) + sample * kept, size: size, keeping: iterations)
        counts[sample] = Double(
          squareRoot(
            inputs[0].pointer + sample * d * d, into: root + sample * d * d, iterates, products, sample, failures))
      }
    }
    failures.report()
    var application = Application(inputs: inputs, output: output, saved: [saved], needsGradient: needsGradient)
    application.savedInDouble = [counts]
    return application
  }

  /// The derivative of the iteration itself, walked backwards over the iterates that `apply` kept.
  ///
  /// With Gₛ the symmetric part of the gradient ∂Yₙ = √τ Gₛ and ∂Zₙ = 0. All iterates are symmetric and commute, so that
  /// with A = Yₖ ∂Yₖ₊₁ and B = Zₖ ∂Zₖ₊₁ four products make a step: ∂Yₖ = 3/2 ∂Yₖ₊₁ − ½ (P + Pᵀ), P = Zₖ (A + ½ Bᵀ), and
  /// ∂Zₖ = 3/2 ∂Zₖ₊₁ − ½ (Q + Qᵀ), Q = Yₖ (B + ½ Aᵀ). Then ∂Σ = ∂Y₀/τ + (⟨G, S⟩/(2τ) − ⟨∂Y₀, Σ⟩/τ²) ∂τ/∂Σ, where ∂τ/∂Σ is
  /// I for the trace and Σ/τ for the Frobenius norm. The result is symmetric: it is the gradient with respect to a
  /// symmetric Σ.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (batch, d) = (shape[0], shape[1])
    let size = SymmetricProducts<Scalar>(size: d, isExact: isLong).scalarCount
    let kept = 2 * iterations * size
    let (sigma, root, saved) = (
      application.inputs[0].pointer, application.output.pointer, application.saved[0].pointer
    )
    let counts = application.savedInDouble[0].pointer
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        forEachSample(batch, size: d, isExact: isLong) { (sample, products: SymmetricProducts<Scalar>) in
          let offset = sample * d * d
          let iterates = Iterates(
            UnsafeMutablePointer(mutating: saved) + sample * kept, size: size, keeping: iterations)
          squareRootGradient(
            gradient.pointer + offset, sigma + offset, root + offset, into: target + offset, iterates,
            count: Int(counts[sample]), products)
        }
      }
    ]
  }

  /// Step by step rounding grows about tenfold with each iteration after the eighth if triangles are mirrored; until then
  /// results are as exact as with full products.
  private var isLong: Bool { iterations > 8 }

  /// One matrix, where only the root is wanted: in place of six products for two iterations five, and four at the
  /// beginning; ten in place of twelve for five iterations.
  ///
  /// Sₖ = Zₖ Yₖ goes its own way without Z: Sₖ₊₁ = Sₖ Tₖ², Yₖ₊₁ = Yₖ Tₖ, since all of them are polynomials of A and commute.
  /// Two iterations multiply Y by one polynomial, q, and S by its square: q(S) = Tₖ Tₖ₊₁ = ½ (3 − S) · ½ (3 − ¼ S (3 − S)²)
  /// is of the fourth degree, which two products make: with the square completed, V = S² − 9/2 S + 27/8 I and
  /// q = 1/16 V² − 69/128 S + 1575/1024 I. At the beginning S = Y = A, and S q is the next Y. In exact arithmetic that is
  /// Yₙ; rounding is a little smaller than step by step.
  private func rootAlone<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, _ products: SymmetricProducts<Scalar>,
    _ sample: Int, _ failures: FailureLog
  ) {
    let (d, size) = (products.size, products.scalarCount)
    let divisor = scaling.divisor(sigma, size: d) { failures.note(name, sample: sample, $0) }
    guard let factor = divisor else { return scaling.fillWithoutDivisor(sigma, size: d, into: root) }
    withScratch(of: Scalar.self, 5 * size) { scratch in
      let (s, v, q) = (scratch, scratch + size, scratch + 2 * size)
      var (y, next) = (s, scratch + 3 * size)
      products.load(sigma, scale: 1 / factor, into: s)
      for k in stride(from: 0, to: iterations - 1, by: 2) {
        products.multiply(s, s, into: v, adding: -4.5, s, plusIdentity: 3.375, isSymmetric: true)
        products.multiply(
          v, v, into: q, scale: 0.0625, adding: -0.5390625, s, plusIdentity: 1.5380859375, isSymmetric: true)
        products.multiply(y, q, into: next, isSymmetric: true)
        if k + 2 < iterations {
          if k > 0 { products.multiply(s, q, into: v, isSymmetric: true) }
          products.multiply(k > 0 ? v : next, q, into: s, isSymmetric: true)
        }
        (y, next) = (next, k == 0 ? scratch + 4 * size : y)  // S stays where it is
      }
      if iterations % 2 == 1 {
        products.multiply(y, s, into: next, scale: -0.5, adding: 1.5, y, isSymmetric: true)
        y = next
      }
      products.unload(y, scale: factor.squareRoot(), into: root)
    }
  }

  /// One matrix, step by step. Z₀ = I makes the first iteration cheap, and Zₙ is not needed: 3 n − 3 products in all.
  /// - Returns: the number of iterations; 0 where there is no result.
  private func squareRoot<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, _ iterates: Iterates<Scalar>,
    _ products: SymmetricProducts<Scalar>, _ sample: Int, _ failures: FailureLog
  ) -> Int {
    let (d, size) = (products.size, products.scalarCount)
    let divisor = scaling.divisor(sigma, size: d) { failures.note(name, sample: sample, $0) }
    guard let factor = divisor else {
      scaling.fillWithoutDivisor(sigma, size: d, into: root)
      return 0
    }
    return withScratch(of: Scalar.self, (tolerance == nil ? 2 : 4) * size) { scratch in
      let (temporary, result, scaledSigma, square) = (scratch, scratch + size, scratch + 2 * size, scratch + 3 * size)
      products.load(sigma, scale: 1 / factor, into: iterates.y(0))
      var norm = 0.0, residual = Double.infinity
      if tolerance != nil {
        scaledSigma.update(from: iterates.y(0), count: size)
        norm = sumOfSquares(scaledSigma, count: size).squareRoot()
      }
      for k in 0..<iterations {
        let (y, isLast) = (iterates.y(k), k == iterations - 1)
        let t = k == 0 && !isLast ? iterates.z(1) : temporary  // Z₁ = T₀
        let next = isLast ? result : iterates.y(k + 1)
        if k == 0 {
          scaled(y, by: -0.5, into: t, count: size)
          products.add(1.5, toDiagonalOf: t)
        } else {
          products.multiply(iterates.z(k), y, into: t, scale: -0.5, plusIdentity: 1.5, isSymmetric: true)
        }
        products.multiply(y, t, into: next, isSymmetric: true)
        if let tolerance {
          products.multiply(next, next, into: square, isSymmetric: true)
          accumulate(scaledSigma, times: -1, into: square, count: size)
          residual = sumOfSquares(square, count: size).squareRoot() / norm
          if residual <= tolerance {
            products.unload(next, scale: factor.squareRoot(), into: root)
            return k + 1
          }
        }
        if k > 0, !isLast { products.multiply(t, iterates.z(k), into: iterates.z(k + 1), isSymmetric: true) }
      }
      if let tolerance {
        failures.note(
          name, sample: sample,
          "no square root to a relative residual of \(tolerance) after \(iterations) iterations; found \(residual)")
        fill(root, with: .nan, count: d * d)
        return 0
      }
      products.unload(result, scale: factor.squareRoot(), into: root)
      return iterations
    }
  }

  private func squareRootGradient<Scalar: RealScalar>(
    _ gradient: UnsafePointer<Scalar>, _ sigma: UnsafePointer<Scalar>, _ root: UnsafePointer<Scalar>,
    into result: UnsafeMutablePointer<Scalar>, _ iterates: Iterates<Scalar>, count: Int,
    _ products: SymmetricProducts<Scalar>
  ) {
    let (d, size) = (products.size, products.scalarCount)
    let factor = scaling.factor(sigma, size: d)
    guard count > 0 else { return scaling.fillWithoutDivisor(sigma, size: d, into: result) }
    withScratch(of: Scalar.self, 6 * size) { scratch in
      var (dy, dz, next) = (scratch, scratch + size, scratch + 2 * size)
      let (a, b, sum) = (scratch + 3 * size, scratch + 4 * size, scratch + 5 * size)
      products.load(gradient, scale: factor.squareRoot() / 2, into: a)
      products.combine(0, a, 1, a, transposed: 1, into: dy)
      for k in (0..<count).reversed() {
        let (y, hasDZ) = (iterates.y(k), k < count - 1)
        products.multiply(y, dy, into: a, isSymmetric: false)
        guard k > 0 else {
          products.combine(1.5, dy, -0.5, a, transposed: -0.5, into: next)
          if hasDZ { accumulate(dz, times: -0.5, into: next, count: size) }
          swap(&dy, &next)
          break
        }
        let z = iterates.z(k)
        // The next ∂Y goes to `next`, then the next ∂Z to where ∂Y was.
        if hasDZ {
          products.multiply(z, dz, into: b, isSymmetric: false)
          products.combine(1, a, 0, b, transposed: 0.5, into: sum)
          products.multiplySymmetrized(z, sum, scale: -0.5, adding: 1.5, dy, into: next)
          products.combine(1, b, 0, a, transposed: 0.5, into: sum)
          products.multiplySymmetrized(y, sum, scale: -0.5, adding: 1.5, dz, into: dy)
        } else {
          products.multiplySymmetrized(z, a, scale: -0.5, adding: 1.5, dy, into: next)
          products.combine(0, a, 0, a, transposed: 1, into: sum)
          products.multiply(y, sum, into: dy, scale: -0.5, isSymmetric: true)
        }
        (dy, dz, next) = (next, dy, dz)
      }
      products.unload(dy, scale: 1 / factor, into: result)
      scaling.addFactorGradient(gradient, sigma: sigma, root: root, factor: factor, size: d, to: result)
    }
  }
}

/// Where Yₖ and Zₖ of one sample live: all of them for a pullback, or two of each in turn.
private struct Iterates<Scalar: RealScalar> {
  private let base: UnsafeMutablePointer<Scalar>
  private let size: Int
  private let depth: Int

  /// - Parameter keeping: the number of iterations, all of which are kept; `nil` to keep none.
  init(_ base: UnsafeMutablePointer<Scalar>, size: Int, keeping: Int? = nil) {
    (self.base, self.size, depth) = (base, size, keeping ?? 2)
  }

  func y(_ k: Int) -> UnsafeMutablePointer<Scalar> { base + k % depth * size }

  /// Z₀ = I is never needed.
  func z(_ k: Int) -> UnsafeMutablePointer<Scalar> { base + (depth + k % depth) * size }
}
