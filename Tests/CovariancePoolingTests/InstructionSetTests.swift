import CovariancePooling
import Kernels
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
      covpool_limit_processor_level(Int32(level))
      let got = (
        operation.applied(to: single), valueWithGradients(at: [single]) { probe(operation.applied(to: $0[0])) }
      )
      covpool_limit_processor_level(2)
      #expect(largestError(got.0.scalars, want.0.scalars) <= 1e-5 * largest(want.0.scalars))
      let gradient = want.1.gradients[0].scalars
      #expect(largestError(got.1.gradients[0].scalars, gradient) <= 2e-5 * largest(gradient))
    }
  }

  private func largest(_ x: [Double]) -> Double { x.reduce(0) { max($0, abs($1)) } }
}
