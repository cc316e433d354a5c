import Kernels

/// An approximate matrix square root by coupled Newton–Schulz iterations: Fast-MPN, iSQRT-COV (Li et al. 2018, eq. 4–6).
///
/// Input `[B, d, d]`, symmetric positive semi-definite; result `[B, d, d]`. With A = Σ/τ, Y₀ = A, Z₀ = I:
/// Tₖ = ½ (3 I − Zₖ Yₖ), Yₖ₊₁ = Yₖ Tₖ, Zₖ₊₁ = Tₖ Zₖ; the result is √τ Yₙ. Five iterations are what the published
/// networks use; they are 30–40 % away from the exact root, so a network runs with the count it was trained with.
/// Σ = 0 gives 0.
public struct NewtonSchulz: TensorOperation {
  /// What the matrix is divided by before iterating, and multiplied by the root of afterwards.
  public enum Scaling: String, Hashable, Sendable, Codable {
    /// The trace, as in the published networks: convergence is certain.
    case trace
    /// The Frobenius norm: closer to the root for the same n where the spectrum is flat.
    case frobenius
  }

  /// The number of iterations n.
  public var iterations: Int
  /// The factor τ.
  public var scaling: Scaling

  /// A square root by `iterations` iterations.
  /// - Precondition: `iterations` is at least 1.
  public init(iterations: Int = 5, scaling: Scaling = .trace) {
    precondition(iterations >= 1, "Newton–Schulz needs at least one iteration, not \(iterations)")
    (self.iterations, self.scaling) = (iterations, scaling)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 3 && inputs[0][1] == inputs[0][2], "expected [B, d, d]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let (sigma, root) = (inputs[0].pointer, result.baseAddress!)
    forEachSample(batch, size: d) { (sample, products: SymmetricProducts<Scalar>) in
      let size = products.scalarCount
      withScratch(of: Scalar.self, 6 * size) { scratch in
        let iterates = Iterates(scratch, size: size)
        squareRoot(
          sigma + sample * d * d, into: root + sample * d * d, iterates, temporary: scratch + 4 * size, products)
      }
    }
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let size = products(of: Scalar.self, size: d).scalarCount
    let kept = 2 * iterations * size
    let saved = Tensor<Scalar>(shape: [batch, kept], storage: TensorStorage(count: batch * kept))
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      let root = result.baseAddress!
      forEachSample(batch, size: d) { (sample, products: SymmetricProducts<Scalar>) in
        let iterates = Iterates(
          UnsafeMutablePointer(mutating: saved.pointer) + sample * kept, size: size, keeping: iterations)
        withScratch(of: Scalar.self, 2 * size) { scratch in
          squareRoot(
            inputs[0].pointer + sample * d * d, into: root + sample * d * d, iterates, temporary: scratch, products)
        }
      }
    }
    return Application(inputs: inputs, output: output, saved: [saved], needsGradient: needsGradient)
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
    let size = products(of: Scalar.self, size: d).scalarCount
    let kept = 2 * iterations * size
    let (sigma, root, saved) = (
      application.inputs[0].pointer, application.output.pointer, application.saved[0].pointer
    )
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        forEachSample(batch, size: d) { (sample, products: SymmetricProducts<Scalar>) in
          let offset = sample * d * d
          let iterates = Iterates(
            UnsafeMutablePointer(mutating: saved) + sample * kept, size: size, keeping: iterations)
          squareRootGradient(
            gradient.pointer + offset, sigma + offset, root + offset, into: target + offset, iterates, products)
        }
      }
    ]
  }

  /// Rounding grows about tenfold with each iteration after the eighth if triangles are mirrored; until then results are
  /// as exact as with full products.
  private func products<Scalar: RealScalar>(
    of _: Scalar.Type = Scalar.self, size d: Int, over pool: WorkerPool? = nil
  ) -> SymmetricProducts<Scalar> {
    SymmetricProducts(size: d, over: pool, isExact: iterations > 8)
  }

  /// Calls `body` for each sample, with products by a thread of its own where there are enough samples, otherwise one
  /// sample after another with each product shared out.
  private func forEachSample<Scalar: RealScalar>(
    _ batch: Int, size d: Int, _ body: (_ sample: Int, _ products: SymmetricProducts<Scalar>) -> Void
  ) {
    let pool = WorkerPool.shared
    if batch >= pool.width {
      pool.forEach(batch) { body($0, products(size: d)) }
    } else {
      for sample in 0..<batch { body(sample, products(size: d, over: pool)) }
    }
  }

  /// One matrix. Z₀ = I makes the first iteration cheap, and Zₙ is not needed: 3 n − 3 products in all.
  private func squareRoot<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, _ iterates: Iterates<Scalar>,
    temporary: UnsafeMutablePointer<Scalar>, _ products: SymmetricProducts<Scalar>
  ) {
    let (d, size) = (products.size, products.scalarCount)
    let factor = normalizer(sigma, size: d)
    guard factor > 0 else {
      // Zero stays zero; NaN passes, for the caller to see.
      return fill(root, with: factor == 0 ? 0 : factor, count: d * d)
    }
    let result = temporary + size
    products.load(sigma, scale: 1 / factor, into: iterates.y(0))
    for k in 0..<iterations {
      let (y, isLast) = (iterates.y(k), k == iterations - 1)
      let t = k == 0 && !isLast ? iterates.z(1) : temporary  // Z₁ = T₀
      if k == 0 {
        scaled(y, by: -0.5, into: t, count: size)
        products.add(1.5, toDiagonalOf: t)
      } else {
        products.multiply(iterates.z(k), y, into: t, scale: -0.5, plusIdentity: 1.5, isSymmetric: true)
      }
      products.multiply(y, t, into: isLast ? result : iterates.y(k + 1), isSymmetric: true)
      if k > 0, !isLast { products.multiply(t, iterates.z(k), into: iterates.z(k + 1), isSymmetric: true) }
    }
    products.unload(result, scale: factor.squareRoot(), into: root)
  }

  private func squareRootGradient<Scalar: RealScalar>(
    _ gradient: UnsafePointer<Scalar>, _ sigma: UnsafePointer<Scalar>, _ root: UnsafePointer<Scalar>,
    into result: UnsafeMutablePointer<Scalar>, _ iterates: Iterates<Scalar>, _ products: SymmetricProducts<Scalar>
  ) {
    let (d, size) = (products.size, products.scalarCount)
    let factor = normalizer(sigma, size: d)
    guard factor > 0 else { return fill(result, with: factor == 0 ? 0 : factor, count: d * d) }
    withScratch(of: Scalar.self, 6 * size) { scratch in
      var (dy, dz, next) = (scratch, scratch + size, scratch + 2 * size)
      let (a, b, p) = (scratch + 3 * size, scratch + 4 * size, scratch + 5 * size)
      products.load(gradient, scale: factor.squareRoot() / 2, into: p)
      products.combine(0, p, 1, p, transposed: 1, into: dy)
      for k in (0..<iterations).reversed() {
        let (y, hasDZ) = (iterates.y(k), k < iterations - 1)
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
          products.combine(1, a, 0, b, transposed: 0.5, into: next)
          products.multiply(z, next, into: p, isSymmetric: false)
          products.combine(1.5, dy, -0.5, p, transposed: -0.5, into: next)
          products.combine(1, b, 0, a, transposed: 0.5, into: dy)
          products.multiply(y, dy, into: p, isSymmetric: false)
          products.combine(1.5, dz, -0.5, p, transposed: -0.5, into: dy)
        } else {
          products.multiply(z, a, into: p, isSymmetric: false)
          products.combine(1.5, dy, -0.5, p, transposed: -0.5, into: next)
          products.combine(0, a, 0, a, transposed: 1, into: p)
          products.multiply(y, p, into: dy, scale: -0.5, isSymmetric: true)
        }
        (dy, dz, next) = (next, dy, dz)
      }
      products.unload(dy, scale: 1 / factor, into: result)
      let slope = dot(gradient, root, count: d * d) / (2 * Double(factor))
      let factorGradient = slope - dot(result, sigma, count: d * d) / Double(factor)
      switch scaling {
      case .trace: for i in 0..<d { result[i * (d + 1)] += Scalar(factorGradient) }
      case .frobenius: accumulate(sigma, times: Scalar(factorGradient / Double(factor)), into: result, count: d * d)
      }
    }
  }

  private func normalizer<Scalar: RealScalar>(_ sigma: UnsafePointer<Scalar>, size d: Int) -> Scalar {
    switch scaling {
    case .trace: return trace(sigma, size: d)
    case .frobenius:
      return Scalar(sumOfSquares(sigma, count: d * d).squareRoot())
    }
  }
}

/// y ← y + factor x.
private func accumulate<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, times factor: Scalar, into y: UnsafeMutablePointer<Scalar>, count: Int
) {
  forPrecision(
    of: Scalar.self, float: { covpool_accumulate_f32(Float(factor), x.float, y.float, count) },
    double: { covpool_accumulate_f64(Double(factor), x.double, y.double, count) })
}

/// Σ aᵢ bᵢ in double precision.
private func dot<Scalar: RealScalar>(_ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, count: Int) -> Double {
  forPrecision(
    of: Scalar.self, float: { covpool_dot_f32(a.float, b.float, count) },
    double: { covpool_dot_f64(a.double, b.double, count) })
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
