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
    forEachSample(batch, size: d) { sample, product in
      withScratch(of: Scalar.self, Iterates<Scalar>.fewest * d * d) { scratch in
        let iterates = Iterates(scratch, size: d)
        squareRoot(sigma + sample * d * d, into: root + sample * d * d, iterates, product)
      }
    }
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let kept = 3 * iterations * d * d
    let saved = Tensor<Scalar>(shape: [batch, kept], storage: TensorStorage(count: batch * kept))
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      let root = result.baseAddress!
      forEachSample(batch, size: d) { sample, product in
        let iterates = Iterates(
          UnsafeMutablePointer(mutating: saved.pointer) + sample * kept, size: d, keeping: iterations)
        squareRoot(inputs[0].pointer + sample * d * d, into: root + sample * d * d, iterates, product)
      }
    }
    return Application(inputs: inputs, output: output, saved: [saved], needsGradient: needsGradient)
  }

  /// The derivative of the iteration itself, walked backwards over the iterates that `apply` kept.
  ///
  /// With Gₛ the symmetric part of the gradient: ∂Yₙ = √τ Gₛ, ∂Zₙ = 0, and, since all iterates are symmetric and commute,
  /// ∂Yₖ = ∂Yₖ₊₁ Tₖ + Tₖ ∂Yₖ₊₁ − 3/2 ∂Yₖ₊₁ − ½ Zₖ ∂Zₖ₊₁ Zₖ and ∂Zₖ = Tₖ ∂Zₖ₊₁ + ∂Zₖ₊₁ Tₖ − 3/2 ∂Zₖ₊₁ − ½ Yₖ ∂Yₖ₊₁ Yₖ.
  /// Then ∂Σ = ∂Y₀/τ + (⟨G, S⟩/(2τ) − ⟨∂Y₀, Σ⟩/τ²) ∂τ/∂Σ, where ∂τ/∂Σ is I for the trace and Σ/τ for the Frobenius norm.
  /// The result is symmetric: it is the gradient with respect to a symmetric Σ.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (batch, d) = (shape[0], shape[1])
    let kept = 3 * iterations * d * d
    let (sigma, root, saved) = (
      application.inputs[0].pointer, application.output.pointer, application.saved[0].pointer
    )
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        forEachSample(batch, size: d) { sample, product in
          let offset = sample * d * d
          let iterates = Iterates(
            UnsafeMutablePointer(mutating: saved) + sample * kept, size: d, keeping: iterations)
          squareRootGradient(
            gradient.pointer + offset, sigma + offset, root + offset, into: target + offset, iterates, product)
        }
      }
    ]
  }

  private typealias Product<Scalar> = (
    _ a: UnsafeMutablePointer<Scalar>, _ b: UnsafeMutablePointer<Scalar>, _ product: UnsafeMutablePointer<Scalar>
  ) -> Void

  /// Calls `body` for each sample, with the product of two matrices: a matrix for each thread where there are enough of
  /// them, otherwise one after another with the rows of each product shared out.
  private func forEachSample<Scalar: RealScalar>(
    _ batch: Int, size d: Int, _ body: (_ sample: Int, _ product: Product<Scalar>) -> Void
  ) {
    let pool = WorkerPool.shared
    if batch >= pool.width {
      pool.forEach(batch) { sample in
        body(sample) { multiply(MatrixView($0, rows: d, columns: d), MatrixView($1, rows: d, columns: d), into: $2) }
      }
    } else {
      for sample in 0..<batch {
        body(sample) {
          multiply(MatrixView($0, rows: d, columns: d), MatrixView($1, rows: d, columns: d), into: $2, over: pool)
        }
      }
    }
  }

  /// One matrix. Z₀ = I makes the first iteration cheap, and Zₙ is not needed: 3 n − 3 products in all.
  private func squareRoot<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, _ iterates: Iterates<Scalar>,
    _ product: Product<Scalar>
  ) {
    let d = iterates.size
    let factor = normalizer(sigma, size: d)
    guard factor > 0 else {
      // Zero stays zero; NaN passes, for the caller to see.
      return fill(root, with: factor == 0 ? 0 : factor, count: d * d)
    }
    scale(sigma, by: 1 / factor, into: iterates.y(0), count: d * d)
    for k in 0..<iterations {
      let (y, t) = (iterates.y(k), iterates.t(k))
      if k == 0 {
        scaledIdentity(1.5, plus: -0.5, times: y, into: t, size: d)
      } else {
        product(iterates.z(k), y, t)
        scaledIdentity(1.5, plus: -0.5, times: t, into: t, size: d)
      }
      if k == iterations - 1 {
        product(y, t, root)
      } else {
        product(y, t, iterates.y(k + 1))
        if k > 0 { product(t, iterates.z(k), iterates.z(k + 1)) }
      }
    }
    scale(root, by: factor.squareRoot(), into: root, count: d * d)
  }

  private func squareRootGradient<Scalar: RealScalar>(
    _ gradient: UnsafePointer<Scalar>, _ sigma: UnsafePointer<Scalar>, _ root: UnsafePointer<Scalar>,
    into result: UnsafeMutablePointer<Scalar>, _ iterates: Iterates<Scalar>, _ product: Product<Scalar>
  ) {
    let d = iterates.size
    let count = d * d
    let factor = normalizer(sigma, size: d)
    guard factor > 0 else { return fill(result, with: factor == 0 ? 0 : factor, count: count) }
    withScratch(of: Scalar.self, 6 * count) { scratch in
      var (dy, dz, nextDY, nextDZ) = (scratch, scratch + count, scratch + 2 * count, scratch + 3 * count)
      let (p, q) = (scratch + 4 * count, scratch + 5 * count)
      plusTranspose(gradient, into: dy, size: d)
      scale(dy, by: factor.squareRoot() / 2, into: dy, count: count)
      for k in (0..<iterations).reversed() {
        let hasDZ = k < iterations - 1
        /// x Tₖ + Tₖ x − 3/2 x for a symmetric x.
        func commute(_ x: UnsafeMutablePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>) {
          product(x, iterates.t(k), p)
          plusTranspose(p, into: y, size: d)
          accumulate(x, times: -1.5, into: y, count: count)
        }
        commute(dy, into: nextDY)
        if hasDZ, k > 0 {
          product(iterates.z(k), dz, p)
          product(p, iterates.z(k), q)
          accumulate(q, times: -0.5, into: nextDY, count: count)
        } else if hasDZ {
          accumulate(dz, times: -0.5, into: nextDY, count: count)
        }
        if k > 0 {
          if hasDZ { commute(dz, into: nextDZ) } else { fill(nextDZ, with: 0, count: count) }
          product(iterates.y(k), dy, p)
          product(p, iterates.y(k), q)
          accumulate(q, times: -0.5, into: nextDZ, count: count)
        }
        swap(&dy, &nextDY)
        swap(&dz, &nextDZ)
      }
      scale(dy, by: 1 / factor, into: result, count: count)
      let slope = dot(gradient, root, count: count) / (2 * Double(factor))
      let factorGradient = slope - dot(dy, sigma, count: count) / (Double(factor) * Double(factor))
      switch scaling {
      case .trace: for i in 0..<d { result[i * (d + 1)] += Scalar(factorGradient) }
      case .frobenius: accumulate(sigma, times: Scalar(factorGradient / Double(factor)), into: result, count: count)
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

private func scale<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, by factor: Scalar, into y: UnsafeMutablePointer<Scalar>, count: Int
) {
  forPrecision(
    of: Scalar.self, float: { covpool_scale_f32(x.float, Float(factor), y.float, count) },
    double: { covpool_scale_f64(x.double, Double(factor), y.double, count) })
}

/// y ← a I + b x.
private func scaledIdentity<Scalar: RealScalar>(
  _ a: Scalar, plus b: Scalar, times x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>, size: Int
) {
  forPrecision(
    of: Scalar.self, float: { covpool_scaled_identity_plus_f32(Float(a), Float(b), x.float, y.float, size) },
    double: { covpool_scaled_identity_plus_f64(Double(a), Double(b), x.double, y.double, size) })
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

/// Where Yₖ, Zₖ and Tₖ of one sample live: all of them for a pullback, or two of each in turn.
private struct Iterates<Scalar: RealScalar> {
  private let base: UnsafeMutablePointer<Scalar>
  let size: Int
  private let depth: Int

  /// Matrices needed where nothing is kept.
  static var fewest: Int { 6 }

  /// - Parameter keeping: the number of iterations, all of which are kept; `nil` to keep none.
  init(_ base: UnsafeMutablePointer<Scalar>, size: Int, keeping: Int? = nil) {
    (self.base, self.size, depth) = (base, size, keeping ?? 2)
  }

  func y(_ k: Int) -> UnsafeMutablePointer<Scalar> { base + k % depth * size * size }

  func t(_ k: Int) -> UnsafeMutablePointer<Scalar> { base + (depth + k % depth) * size * size }

  /// Z₁ = T₀, and Z₀ = I is never needed.
  func z(_ k: Int) -> UnsafeMutablePointer<Scalar> { k == 1 ? t(0) : base + (2 * depth + k % depth) * size * size }
}
