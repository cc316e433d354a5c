import Kernels

/// An approximate matrix square root by coupled Newton–Schulz iterations: Fast-MPN, iSQRT-COV (Li et al. 2018, eq. 4–6).
///
/// Input `[B, d, d]`, symmetric positive semi-definite; result `[B, d, d]`. With A = Σ/τ, Y₀ = A, Z₀ = I:
/// Tₖ = ½ (3 I − Zₖ Yₖ), Yₖ₊₁ = Yₖ Tₖ, Zₖ₊₁ = Tₖ Zₖ; the result is √τ Yₙ. Five iterations are what the published
/// networks use; they are 30–40 % away from the exact root, so a network runs with the count it was trained with.
/// Σ = 0 gives 0.
public struct NewtonSchulz: TensorOperation {
  /// What the matrix is divided by before iterating, and multiplied by the root of afterwards.
  public enum Scaling: String, Hashable, Sendable {
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
    let (sigma, root, pool) = (inputs[0].pointer, result.baseAddress!, WorkerPool.shared)
    // A matrix for each thread where there are enough of them; otherwise the rows of each product are shared out.
    guard batch < pool.width else {
      pool.forEach(batch) { sample in
        squareRoot(sigma + sample * d * d, into: root + sample * d * d, size: d) { a, b, product in
          multiply(MatrixView(a, rows: d, columns: d), MatrixView(b, rows: d, columns: d), into: product)
        }
      }
      return
    }
    for sample in 0..<batch {
      squareRoot(sigma + sample * d * d, into: root + sample * d * d, size: d) { a, b, product in
        multiply(MatrixView(a, rows: d, columns: d), MatrixView(b, rows: d, columns: d), into: product, over: pool)
      }
    }
  }

  private typealias Product<Scalar> = (
    _ a: UnsafeMutablePointer<Scalar>, _ b: UnsafeMutablePointer<Scalar>, _ product: UnsafeMutablePointer<Scalar>
  ) -> Void

  /// One matrix. Z₀ = I makes the first iteration cheap, and Zₙ is not needed: 3 n − 3 products in all.
  private func squareRoot<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, size d: Int, product: Product<Scalar>
  ) {
    let size = d * d
    let factor = normalizer(sigma, size: d)
    guard factor > 0 else {
      // Zero stays zero; NaN passes, for the caller to see.
      root.update(repeating: factor == 0 ? 0 : factor, count: size)
      return
    }
    withScratch(of: Scalar.self, 4 * size) { scratch in
      var (y, z, t, spare) = (scratch, scratch + size, scratch + 2 * size, scratch + 3 * size)
      scale(sigma, by: 1 / factor, into: y, count: size)
      if iterations > 1 {
        scaledIdentity(1.5, plus: -0.5, times: y, into: z, size: d)
        product(y, z, spare)
        swap(&y, &spare)
        for _ in 0..<iterations - 2 {
          product(z, y, t)
          scaledIdentity(1.5, plus: -0.5, times: t, into: t, size: d)
          product(y, t, spare)
          swap(&y, &spare)
          product(t, z, spare)
          swap(&z, &spare)
        }
        product(z, y, t)
      } else {
        t.update(from: y, count: size)
      }
      scaledIdentity(1.5, plus: -0.5, times: t, into: t, size: d)
      product(y, t, root)
      scale(root, by: factor.squareRoot(), into: root, count: size)
    }
  }

  private func normalizer<Scalar: RealScalar>(_ sigma: UnsafePointer<Scalar>, size d: Int) -> Scalar {
    switch scaling {
    case .trace: return trace(sigma, size: d)
    case .frobenius:
      var sum = 0.0
      for i in 0..<d * d { sum += Double(sigma[i]) * Double(sigma[i]) }
      return Scalar(sum.squareRoot())
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
