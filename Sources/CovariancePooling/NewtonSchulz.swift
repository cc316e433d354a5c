import Kernels
import Tensors

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

  /// Which matrix is iterated on where the operation starts from features with d channels and N positions. Both forms are
  /// the same function, up to rounding.
  public enum Form: String, CaseIterable, Hashable, Sendable, Codable {
    /// `gram` where there are fewer positions than channels, by an eighth at least, and `direct` otherwise: the less work.
    case automatic
    /// Σ, d × d.
    case direct
    /// The Gram matrix X̃ᵀX̃/N, N × N, which has the same eigenvalues that are not 0. A square root with another gradient
    /// than its own is found in the direct form all the same. With more positions than channels this is not only more
    /// work: Σ may have full rank, the Gram matrix has not, and more than some ten iterations raise the rounding errors of
    /// its null space.
    case gram
  }

  /// The number of iterations n; with a tolerance the most there may be.
  public var iterations: Int
  /// The factor τ.
  public var scaling: Scaling
  /// The relative residual ‖S·S − Σ‖ / ‖Σ‖, in Frobenius norms, at which to stop; `nil` to make n iterations whatever comes
  /// out. It is taken of the result itself, one product an iteration. A sample that does not get there is NaN, and an
  /// error in `checkingNumerics`.
  public var tolerance: Double?
  /// Which matrix is iterated on; the covariance where only that is given.
  public var form: Form

  /// A square root by `iterations` iterations, or by as many as `tolerance` asks for.
  /// - Parameters:
  ///   - iterations: by default 5, with a tolerance at most 30.
  ///   - scaling: what Σ is divided by.
  ///   - tolerance: the relative residual at which to stop.
  ///   - form: which matrix is iterated on where the features are given.
  /// - Precondition: `iterations` is at least 1, and a tolerance is positive.
  public init(
    iterations: Int? = nil, scaling: Scaling = .trace, tolerance: Double? = nil, form: Form = .automatic
  ) {
    let iterations = iterations ?? (tolerance == nil ? 5 : 30)
    check(iterations >= 1, "Newton–Schulz needs at least one iteration, not \(iterations)")
    check(tolerance.map { $0 > 0 } ?? true, "Newton–Schulz needs a positive tolerance")
    (self.iterations, self.scaling) = (iterations, scaling)
    (self.tolerance, self.form) = (tolerance, form)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 3 && inputs[0][1] == inputs[0][2], "expected [B, d, d]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, d, failures) = (inputs[0].shape[0], inputs[0].shape[1], FailureLog())
    let (sigma, root) = (inputs[0].pointer, result.baseAddress!)
    forEachSample(batch, size: d, isExact: isLong) { (sample, products: SymmetricProducts<Scalar>) in
      _ = squareRoot(
        sigma + sample * d * d, into: root + sample * d * d, NewtonSchulzIteration(self, .root, products), keeping: nil,
        sample, failures)
    }
    failures.report()
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d, failures) = (inputs[0].shape[0], inputs[0].shape[1], FailureLog())
    let kept = NewtonSchulzIteration(self, .root, SymmetricProducts<Scalar>(size: d, isExact: isLong)).keptCount
    // Pages of iterations that are never made are never touched.
    let saved = Tensor<Scalar>(shape: [batch, kept], storage: TensorStorage(count: batch * kept))
    let counts = Tensor<Double>(shape: [batch], storage: TensorStorage(count: batch))
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      let (root, counts) = (result.baseAddress!, UnsafeMutablePointer(mutating: counts.pointer))
      let iterates = UnsafeMutablePointer(mutating: saved.pointer)
      forEachSample(batch, size: d, isExact: isLong) { (sample, products: SymmetricProducts<Scalar>) in
        counts[sample] = Double(
          squareRoot(
            inputs[0].pointer + sample * d * d, into: root + sample * d * d,
            NewtonSchulzIteration(self, .root, products), keeping: iterates + sample * kept, sample, failures))
      }
    }
    failures.report()
    var application = Application(inputs: inputs, output: output, saved: [saved], needsGradient: needsGradient)
    application.savedInDouble = [counts]
    return application
  }

  /// The derivative of the iteration itself, walked backwards over the iterates that `apply` kept.
  ///
  /// It begins with ∂Yₙ = √τ Gₛ, where Gₛ is the symmetric part of the gradient. From ∂Y₀ = ∂A it is ∂Σ = ∂A/τ +
  /// (⟨G, S⟩/(2τ) − ⟨∂A, Σ⟩/τ²) ∂τ/∂Σ, where ∂τ/∂Σ is I for the trace and Σ/τ for the Frobenius norm. The result is symmetric:
  /// it is the gradient with respect to a symmetric Σ.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (batch, d) = (shape[0], shape[1])
    let (sigma, root, saved) = (
      application.inputs[0].pointer, application.output.pointer, application.saved[0].pointer
    )
    let (counts, kept) = (application.savedInDouble[0].pointer, application.saved[0].shape[1])
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        forEachSample(batch, size: d, isExact: isLong) { (sample, products: SymmetricProducts<Scalar>) in
          let offset = sample * d * d
          squareRootGradient(
            gradient.pointer + offset, sigma + offset, root + offset, into: target + offset,
            NewtonSchulzIteration(self, .root, products), kept: saved + sample * kept, count: Int(counts[sample]))
        }
      }
    ]
  }

  /// How many iterations there may be if triangles are mirrored. Until then results are as exact as with full products;
  /// afterwards rounding grows about tenfold with each iteration.
  static let mostMirrored = 8

  var isLong: Bool { iterations > Self.mostMirrored }

  /// Whether features of this shape, `[B, d, …]`, are iterated on in Gram form.
  func usesGramForm(ofShape shape: Shape) -> Bool {
    switch form {
    // By multiplications it would be as far as N = d; but the products of features are whole ones, and those of Σ are half.
    case .automatic: 8 * shape.dropFirst(2).reduce(1, *) <= 7 * shape[1]
    case .direct: false
    case .gram: true
    }
  }

  /// Says that the tolerance was not reached.
  func note(_ residual: Double, sample: Int, _ failures: FailureLog) {
    failures.note(
      name, sample: sample,
      "no square root to a relative residual of \(tolerance ?? 0) after \(iterations) iterations; found \(residual)")
  }

  /// One matrix.
  /// - Returns: the number of iterations; 0 where there is no result.
  private func squareRoot<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, _ iteration: NewtonSchulzIteration<Scalar>,
    keeping kept: UnsafeMutablePointer<Scalar>?, _ sample: Int, _ failures: FailureLog
  ) -> Int {
    let (products, d) = (iteration.products, iteration.products.size)
    let divisor = scaling.divisor(sigma, size: d) { failures.note(name, sample: sample, $0) }
    guard let factor = divisor else {
      scaling.fillWithoutDivisor(sigma, size: d, into: root)
      return 0
    }
    return withScratch(of: Scalar.self, iteration.workCount(keeping: kept != nil)) { work in
      products.load(sigma, scale: 1 / factor, into: kept ?? work)
      switch iteration.run(in: work, keeping: kept) {
      case .found(let y, let count):
        products.unload(y, scale: factor.squareRoot(), into: root)
        return count
      case .unreached(let residual):
        note(residual, sample: sample, failures)
        fill(root, with: .nan, count: d * d)
        return 0
      }
    }
  }

  private func squareRootGradient<Scalar: RealScalar>(
    _ gradient: UnsafePointer<Scalar>, _ sigma: UnsafePointer<Scalar>, _ root: UnsafePointer<Scalar>,
    into result: UnsafeMutablePointer<Scalar>, _ iteration: NewtonSchulzIteration<Scalar>,
    kept: UnsafePointer<Scalar>, count: Int
  ) {
    let (products, d) = (iteration.products, iteration.products.size)
    let factor = scaling.factor(sigma, size: d)
    guard count > 0 else { return scaling.fillWithoutDivisor(sigma, size: d, into: result) }
    withScratch(of: Scalar.self, 6 * products.scalarCount) { work in
      let unsymmetric = work + products.scalarCount
      products.load(gradient, scale: factor.squareRoot() / 2, into: unsymmetric)
      products.combine(0, unsymmetric, 1, unsymmetric, transposed: 1, into: work)
      let da = iteration.pullback(in: work, kept: kept, count: count)
      products.unload(da, scale: 1 / factor, into: result)
    }
    scaling.addFactorGradient(gradient, sigma: sigma, root: root, factor: factor, size: d, to: result)
  }
}
