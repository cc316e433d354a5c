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
    let ones = Tensor<Scalar>([d * (d + 1) / 2], repeating: 1)
    let zeros = Tensor<Scalar>([d * (d + 1) / 2], repeating: 0)
    let normalization = try CovarianceNormalization(golden.name)
    func normalized(_ x: Tensor<Scalar>, _ vector: Tensor<Scalar>) -> Tensor<Scalar> {
      let matrix = normalization.matrixOperations.reduce(x) { $1.applied(to: $0) }
      let triangle = UpperTriangle().applied(to: matrix)
      switch normalization {
      case .singularValue: return SingularValueNormalization().applied(to: matrix, vector)
      case .elementwise, .bilinear: return normalization.vectorOperations.reduce(triangle) { $1.applied(to: $0) }
      case .layerNorm: return LayerNormalization().applied(to: triangle, ones, zeros)
      case .scale:
        let unit = normalization.vectorOperations.reduce(triangle) { $1.applied(to: $0) }
        // The head's learned factor, as it begins.
        let root = Scalar(Double(d * (d + 1) / 2).squareRoot())
        return ChannelScale().applied(
          to: unit.reshaped(to: unit.shape.dimensions + [1]), Tensor(unit.shape, repeating: root))
      default: return matrix
      }
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
