import Foundation
import Kernels
import Tensors

/// An approximate matrix square root by the [m/m] Padé approximant of √(1 − x): MPA (Song et al. 2022,
/// FastDifferentiableMatSqrt).
///
/// Input `[B, d, d]`, symmetric positive semi-definite; result `[B, d, d]`. In partial fractions with A = Σ/c, c = ‖Σ‖_F,
/// X = A − I, θⱼ = jπ/(2m+1), aⱼ = 2 sin²θⱼ/(2m+1), bⱼ = cos²θⱼ and Rⱼ = (I + bⱼX)⁻¹: S = √c (I + Σⱼ aⱼ Rⱼ X), where
/// Rⱼ X = (I − Rⱼ)/bⱼ: m inverses of positive definite matrices and no product (Higham 2008, *Functions of Matrices*,
/// §6.4). Σ = 0 gives 0.
public struct MatrixPade: TensorOperation, Hashable {
  /// m.
  public var degree: Int

  /// A square root by the approximant of this degree.
  /// - Precondition: `degree` is at least 1.
  public init(degree: Int = 5) {
    check(degree >= 1, "a Padé approximant needs a degree of at least 1, not \(degree)")
    self.degree = degree
  }

  private static let scaling = NewtonSchulz.Scaling.frobenius

  /// aⱼ and bⱼ, j from 1.
  private func pole(_ j: Int) -> (a: Double, b: Double) {
    let angle = Double(j) * Double.pi / Double(2 * degree + 1)
    return (2 * sin(angle) * sin(angle) / Double(2 * degree + 1), cos(angle) * cos(angle))
  }

  public func outputShape(_ inputs: [Shape]) -> Shape { MatrixFunction().outputShape(inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let d = inputs[0].shape[1]
    squareRoots(inputs[0], into: result.baseAddress!) { _, body in
      withScratch(of: Scalar.self, d * d) { inverse in body { _ in inverse } }
    }
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let saved = Tensor<Scalar>(
      shape: [batch, degree, d, d], storage: TensorStorage(count: batch * degree * d * d))
    let inverses = UnsafeMutablePointer(mutating: saved.pointer)
    let output = Tensor<Scalar>(inputs[0].shape) { result in
      squareRoots(inputs[0], into: result.baseAddress!) { sample, body in
        body { inverses + (sample * degree + $0 - 1) * d * d }
      }
    }
    return Application(inputs: inputs, output: output, saved: [saved], needsGradient: needsGradient)
  }

  /// ∂A = √c Σⱼ aⱼ Rⱼ Gₛ Rⱼ, and ∂Σ from it as with Newton–Schulz.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (batch, d) = (shape[0], shape[1])
    let (sigma, root, saved) = (
      application.inputs[0].pointer, application.output.pointer, application.saved[0].pointer
    )
    return [
      Tensor(shape) { result in
        forEachSample(batch, size: d) { (sample, products: SymmetricProducts<Scalar>) in
          let (offset, size) = (sample * d * d, products.scalarCount)
          let target = result.baseAddress! + offset
          guard let factor = Self.scaling.divisor(sigma + offset, size: d) else {
            return Self.scaling.fillWithoutDivisor(sigma + offset, size: d, into: target)
          }
          withScratch(of: Scalar.self, 5 * size) { scratch in
            let (g, r, p, q, sum) = (
              scratch, scratch + size, scratch + 2 * size, scratch + 3 * size, scratch + 4 * size
            )
            products.load(gradient.pointer + offset, scale: factor.squareRoot() / 2, into: p)
            products.combine(0, p, 1, p, transposed: 1, into: g)
            for j in 1...degree {
              products.load(saved + (sample * degree + j - 1) * d * d, scale: 1, into: r)
              products.multiply(r, g, into: p, isSymmetric: false)
              products.combine(0, p, 0, p, transposed: 1, into: q)
              products.multiply(r, q, into: p, scale: Scalar(pole(j).a), isSymmetric: true)
              if j == 1 { sum.update(from: p, count: size) } else { accumulate(p, times: 1, into: sum, count: size) }
            }
            products.unload(sum, scale: 1 / factor, into: target)
            Self.scaling.addFactorGradient(
              gradient.pointer + offset, sigma: sigma + offset, root: root + offset, factor: factor, size: d, to: target
            )
          }
        }
      }
    ]
  }

  /// - Parameter withInverses: lends room for each Rⱼ of a sample.
  private func squareRoots<Scalar: RealScalar>(
    _ input: Tensor<Scalar>, into result: UnsafeMutablePointer<Scalar>,
    withInverses: (_ sample: Int, _ body: (_ inverse: (_ j: Int) -> UnsafeMutablePointer<Scalar>) -> Void) -> Void
  ) {
    let (batch, d, sigma) = (input.shape[0], input.shape[1], input.pointer)
    let failures = FailureLog()
    WorkerPool.shared.forEach(batch) { sample in
      withInverses(sample) { inverse in
        let (source, root) = (sigma + sample * d * d, result + sample * d * d)
        let divisor = Self.scaling.divisor(source, size: d) { failures.note(name, sample: sample, $0) }
        guard let factor = divisor else { return Self.scaling.fillWithoutDivisor(source, size: d, into: root) }
        let unit = Double(factor).squareRoot()
        fill(root, with: 0, count: d * d)
        var diagonal = 1.0
        for j in 1...degree {
          let (r, (a, b)) = (inverse(j), pole(j))
          scaled(source, by: Scalar(b) / factor, into: r, count: d * d)
          for i in 0..<d { r[i * (d + 1)] += Scalar(1 - b) }
          do throws(LAPACKError) {
            try invertPositiveDefinite(r, size: d)
          } catch {
            if error != .notFinite { failures.note(name, sample: sample, "\(error)") }
            return fill(root, with: .nan, count: d * d)
          }
          diagonal += a / b
          accumulate(r, times: Scalar(-unit * a / b), into: root, count: d * d)
        }
        for i in 0..<d { root[i * (d + 1)] += Scalar(unit * diagonal) }
      }
    }
    failures.report()
  }
}
