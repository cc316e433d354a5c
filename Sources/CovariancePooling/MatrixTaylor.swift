import Kernels
import Tensors

/// An approximate matrix square root by the Taylor polynomial of √(1 − x): MTP (Song et al. 2022, FastDifferentiableMatSqrt).
///
/// Input `[B, d, d]`, symmetric positive semi-definite; result `[B, d, d]`: √c (I − Σₖ |C(½, k)| Eᵏ), k = 1 … K, with
/// E = I − Σ/c and c = ‖Σ‖_F; K − 1 products. It converges slowly for small eigenvalues, whose x is near 1. Σ = 0 gives 0.
public struct MatrixTaylor: TensorOperation, Hashable {
  /// K.
  public var degree: Int

  /// A square root by a polynomial of this degree.
  /// - Precondition: `degree` is at least 1.
  public init(degree: Int = 10) {
    check(degree >= 1, "a Taylor polynomial needs a degree of at least 1, not \(degree)")
    self.degree = degree
  }

  private static let scaling = NewtonSchulz.Scaling.frobenius

  /// The coefficients of √(1 − x): 1, then −|C(½, k)|.
  private func coefficient(_ k: Int) -> Double {
    var value = 1.0
    for i in 0..<k { value *= (Double(i) - 0.5) / Double(i + 1) }
    return value
  }

  public func outputShape(_ inputs: [Shape]) -> Shape { MatrixFunction().outputShape(inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let (sigma, root, failures) = (inputs[0].pointer, result.baseAddress!, FailureLog())
    forEachSample(batch, size: d) { (sample, products: SymmetricProducts<Scalar>) in
      let size = products.scalarCount
      withScratch(of: Scalar.self, 3 * size) { scratch in
        squareRoot(
          sigma + sample * d * d, into: root + sample * d * d, error: scratch, products, sample, failures
        ) { scratch + (1 + $0 % 2) * size }
      }
    }
    failures.report()
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let size = SymmetricProducts<Scalar>(size: d).scalarCount
    let kept = (degree + 1) * size
    let saved = Tensor<Scalar>(shape: [batch, kept], storage: TensorStorage(count: batch * kept))
    let failures = FailureLog()
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      forEachSample(batch, size: d) { (sample, products: SymmetricProducts<Scalar>) in
        let base = UnsafeMutablePointer(mutating: saved.pointer) + sample * kept
        squareRoot(
          inputs[0].pointer + sample * d * d, into: result.baseAddress! + sample * d * d, error: base, products,
          sample, failures
        ) { base + (1 + $0) * size }
      }
    }
    failures.report()
    return Application(inputs: inputs, output: output, saved: [saved], needsGradient: needsGradient)
  }

  /// The derivative of Horner's rule, Pₖ = cₖ I + E Pₖ₊₁, in the direction of Gₛ, which is its own transpose:
  /// ∂Pₖ = Gₛ Pₖ₊₁ + E ∂Pₖ₊₁. Then ∂A = −√c ∂P₀, and ∂Σ from it as with Newton–Schulz.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (batch, d) = (shape[0], shape[1])
    let size = SymmetricProducts<Scalar>(size: d).scalarCount
    let kept = (degree + 1) * size
    let (sigma, root, saved) = (
      application.inputs[0].pointer, application.output.pointer, application.saved[0].pointer
    )
    return [
      Tensor(shape) { result in
        forEachSample(batch, size: d) { (sample, products: SymmetricProducts<Scalar>) in
          let offset = sample * d * d
          let (base, target) = (saved + sample * kept, result.baseAddress! + offset)
          guard let factor = Self.scaling.divisor(sigma + offset, size: d) else {
            return Self.scaling.fillWithoutDivisor(sigma + offset, size: d, into: target)
          }
          withScratch(of: Scalar.self, 4 * size) { scratch in
            let (g, product) = (scratch, scratch + size)
            var (slope, next) = (scratch + 2 * size, scratch + 3 * size)
            products.load(gradient.pointer + offset, scale: -factor.squareRoot() / 2, into: product)
            products.combine(0, product, 1, product, transposed: 1, into: g)
            scaled(g, by: Scalar(coefficient(degree)), into: slope, count: size)
            for k in stride(from: degree - 2, through: 0, by: -1) {
              products.multiply(g, base + (2 + k) * size, into: next, isSymmetric: false)
              products.multiply(base, slope, into: product, isSymmetric: false)
              accumulate(product, times: 1, into: next, count: size)
              swap(&slope, &next)
            }
            // A sum of two products that are not symmetric each; what rounding leaves is taken out.
            products.combine(0, slope, 0.5, slope, transposed: 0.5, into: next)
            products.unload(next, scale: 1 / factor, into: target)
            Self.scaling.addFactorGradient(
              gradient.pointer + offset, sigma: sigma + offset, root: root + offset, factor: factor, size: d, to: target
            )
          }
        }
      }
    ]
  }

  /// - Parameters:
  ///   - error: room for E.
  ///   - horner: room for Pₖ, k < K.
  private func squareRoot<Scalar: RealScalar>(
    _ sigma: UnsafePointer<Scalar>, into root: UnsafeMutablePointer<Scalar>, error: UnsafeMutablePointer<Scalar>,
    _ products: SymmetricProducts<Scalar>, _ sample: Int, _ failures: FailureLog,
    horner: (_ k: Int) -> UnsafeMutablePointer<Scalar>
  ) {
    let (d, size) = (products.size, products.scalarCount)
    let divisor = Self.scaling.divisor(sigma, size: d) { failures.note(name, sample: sample, $0) }
    guard let factor = divisor else { return Self.scaling.fillWithoutDivisor(sigma, size: d, into: root) }
    products.load(sigma, scale: -1 / factor, into: error)
    products.add(1, toDiagonalOf: error)
    // P_{K−1} = c_{K−1} I + c_K E.
    scaled(error, by: Scalar(coefficient(degree)), into: horner(degree - 1), count: size)
    products.add(Scalar(coefficient(degree - 1)), toDiagonalOf: horner(degree - 1))
    for k in stride(from: degree - 2, through: 0, by: -1) {
      products.multiply(
        error, horner(k + 1), into: horner(k), plusIdentity: Scalar(coefficient(k)), isSymmetric: true)
    }
    products.unload(horner(0), scale: factor.squareRoot(), into: root)
  }
}
