import ModelZoo
import TestSupport
import Testing

/// A network whose iterations are too few for the tolerance, so that an image may have no root.
private func strictClassifier() throws -> Classifier {
  try Classifier("resnet20-fastmpn", randomSeed: 0) {
    $0.covariance?.normalization = try CovarianceNormalization("newton-schulz:iterations=2,tolerance=1e-6")
  }
}

@Suite struct ClassifierFailureTests {
  @Test func `A normalisation that does not converge is an error however the network is run`() throws {
    let classifier = try strictClassifier()
    let images = Tensor<Float>([3, 3, 32, 32], unit("images", count: 3 * 3 * 32 * 32))
    let failure = #expect(throws: NumericalFailure.self) { try classifier(images) }
    #expect(failure?.operation == "NewtonSchulz" && failure?.sample == 0)
    #expect(throws: NumericalFailure.self) { try classifier.profile(images, runs: 1) }
    let image = Image(width: 32, height: 32, pixels: (0..<3072).map { UInt8(truncatingIfNeeded: $0 &* 37) })
    #expect(throws: NumericalFailure.self) { try classifier.classify(image) }
  }

  @Test func `Weights that are not finite give an error, not a NaN`() throws {
    for value in [Float.nan, .infinity] {
      var network = AnyNetwork<Float>(try Zoo.entry(named: "resnet20").configuration)
      network.initialize(seed: 1)
      network.forEachTensor { if $0.name == "layer2.1.conv1.weight" { $1.withUnsafeMutableScalars { $0[3] = value } } }
      let failure = #expect(throws: NumericalFailure.self) {
        try Classifier(network)(Tensor<Float>([2, 3, 32, 32], unit("images", count: 2 * 3 * 32 * 32)))
      }
      #expect(failure?.operation.hasPrefix("layer2.1.conv1 (") == true, "\(failure?.description ?? "nothing")")
    }
  }
}
