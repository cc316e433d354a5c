import CovariancePooling
import Foundation
import TestSupport
import Testing

/// Newton–Schulz in panels, for each class of processor, against rows in double precision.
@Suite(.serialized) struct InstructionSetTests {
  @Test(arguments: 0...2, [(1, 3), (31, 7), (32, 40), (33, 2), (100, 1)])
  func `The root and its gradient`(_ level: Int, _ sizes: (d: Int, batch: Int)) {
    let (d, batch) = sizes
    let features = Tensor<Double>([batch, d, 2 * d + 3], unit("x", count: batch * d * (2 * d + 3)).map(Double.init))
    let sigma = Covariance().applied(to: features)
    let single = Tensor<Float>(sigma.shape, sigma.scalars.map(Float.init))
    for iterations in [1, 2, 5] {
      let operation = NewtonSchulz(iterations: iterations)
      let want = (operation.applied(to: sigma), valueWithGradients(at: [sigma]) { probe(operation.applied(to: $0[0])) })
      let got = withInstructions(ofLevel: level) {
        (
          operation.applied(to: single), valueWithGradients(at: [single]) { probe(operation.applied(to: $0[0])) }
        )
      }
      #expect(largestError(got.0.scalars, want.0.scalars) <= 1e-5 * largest(want.0.scalars))
      let gradient = want.1.gradients[0].scalars
      #expect(largestError(got.1.gradients[0].scalars, gradient) <= 2e-5 * largest(gradient))
    }
  }

  @Test(arguments: 0...2, [(40, 31, 2), (33, 32, 1), (70, 49, 3), (20, 65, 1)])
  func `The root and its gradient in Gram form`(_ level: Int, _ sizes: (d: Int, n: Int, batch: Int)) {
    let shape: Shape = [sizes.batch, sizes.d, sizes.n]
    let x = Tensor<Double>(shape, unit("x", count: shape.scalarCount).map(Double.init))
    let single = Tensor<Float>(shape, x.scalars.map(Float.init))
    for iterations in [1, 2, 5] {
      let operation = CovarianceRoot(root: NewtonSchulz(iterations: iterations, form: .gram))
      let want = valueWithGradients(at: [x]) { probe(operation.applied(to: $0[0])) }.gradients[0]
      let got = withInstructions(ofLevel: level) {
        (operation.forward([single]), valueWithGradients(at: [single]) { probe(operation.applied(to: $0[0])) })
      }
      #expect(relativeError(got.0, operation.applied(to: x)) <= 1e-6)
      #expect(relativeError(got.1.gradients[0], want) <= 2e-6)
    }
  }

  @Test(arguments: [5, 8, 9, 12, 20, 40])
  func `Many iterations are as exact as few`(_ iterations: Int) {
    // Condition 10⁴: eigenvalues 10^(−4 i / 63), turned by a reflection.
    let (d, u) = (64, unit("axis", count: 64).map(Double.init))
    let length = u.reduce(0) { $0 + $1 * $1 }
    let sigma = (0..<d * d).map { at -> Double in
      let (i, j) = (at / d, at % d)
      return (0..<d).reduce(0) { sum, k in
        let a = (i == k ? 1 : 0) - 2 * u[i] * u[k] / length, b = (j == k ? 1 : 0) - 2 * u[j] * u[k] / length
        return sum + a * b * power(of: -4 * Double(k) / 63)
      }
    }
    let operation = NewtonSchulz(iterations: iterations)
    let want = operation.applied(to: Tensor<Double>([1, d, d], sigma))
    let got = operation.applied(to: Tensor<Float>([1, d, d], sigma.map { Float($0) }))
    #expect(largestError(got.scalars, want.scalars) <= 5e-6 * largest(want.scalars))
  }

  /// 10^x.
  private func power(of x: Double) -> Double { exp(x * log(10)) }

  private func largest(_ x: [Double]) -> Double { x.reduce(0) { max($0, abs($1)) } }
}
