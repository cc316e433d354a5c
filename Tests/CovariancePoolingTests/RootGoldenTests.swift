import CovariancePooling
import Foundation
import TestSupport
import Testing

private struct RootGoldens: Decodable {
  struct Case: Decodable, CustomStringConvertible, Sendable {
    var name: String
    var batch, channels, positions: Int
    var value, gradient: [Double]
    var vectorGradient: [Double]?
    var description: String { "\(name) \(channels)×\(positions)" }
    var features: Tensor<Double> {
      Tensor([batch, channels, positions], unit("features", count: batch * channels * positions).map(Double.init))
    }
  }
  var cases: [Case]

  static let cases = (try? golden("roots", in: .module, as: RootGoldens.self).cases) ?? []
}

/// Against PyTorch in double precision with its own gradients, or `torch.linalg` where that has none (`make_root_golden.py`).
@Suite struct RootGoldenTests {
  @Test func `There are goldens of fifteen normalisations at two shapes`() { #expect(RootGoldens.cases.count == 30) }

  @Test(arguments: RootGoldens.cases)
  private func `A normalisation's value and gradients are the reference's in both precisions`(
    _ golden: RootGoldens.Case
  ) throws {
    try compare(golden, as: Double.self, tolerance: 1e-9)
    // An entry of one covariance is near 0, where the root's gradient is steep.
    try compare(golden, as: Float.self, tolerance: golden.name == "epn" ? 2e-4 : 2e-5)
  }

  private func compare<Scalar: RealScalar>(_ golden: RootGoldens.Case, as _: Scalar.Type, tolerance: Double) throws {
    let d = golden.channels
    let features = Tensor<Scalar>(golden.features.shape, golden.features.scalars.map { Scalar($0) })
    let vector = Tensor<Scalar>([d], unit("vector", count: d).map { Scalar($0) })
    let normalizer = try CovarianceNormalization(golden.name).normalizer
    // What a new head would have learned, but svPN's vector, which is the golden's.
    let initial: [Tensor<Scalar>] = normalizer.parameters(dimension: d).map {
      $0.initializer.values($0.shape, RandomStream(seed: 0, name: $0.name))
    }
    let hasVector = normalizer is LargestSingularValueRoot
    func normalized(_ x: Tensor<Scalar>, _ vector: Tensor<Scalar>) -> Tensor<Scalar> {
      let learned = hasVector ? [vector] : initial
      let matrix = normalizer.matrixSteps.reduce(x) { $1($0, learned) }
      if normalizer.vectorSteps.isEmpty { return matrix }
      return normalizer.vectorSteps.reduce(UpperTriangle().applied(to: matrix)) { $1($0, learned) }
    }
    func check(_ found: Tensor<Scalar>, _ wanted: [Double], _ what: String) {
      let scale = wanted.map(abs).max() ?? 0
      #expect(largestError(found.scalars, wanted) <= tolerance * scale, "\(what) in \(Scalar.name)")
    }
    check(normalized(features, vector), golden.value, "value")
    let gradients = valueWithGradients(at: [features, vector]) { probe(normalized($0[0], $0[1])) }.gradients
    check(gradients[0], golden.gradient, "gradient")
    if let wanted = golden.vectorGradient { check(gradients[1], wanted, "gradient of the vector") }
  }
}
