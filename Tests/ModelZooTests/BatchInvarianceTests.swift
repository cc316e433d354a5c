import ModelZoo
import TestSupport
import Testing

/// A network on images smaller than its own, so that all batches are quick.
private struct Case: Sendable, CustomTestStringConvertible {
  var name: String
  var size: Int
  var normalization: String?
  var algorithm: ConvolutionAlgorithm?
  var dimension = 64
  var testDescription: String {
    ["\(name) at \(size) px", normalization, algorithm?.rawValue].compactMap { $0 }.joined(separator: ", ")
  }

  /// The network with random weights.
  var network: AnyNetwork<Float> {
    get throws {
      var configuration = try Zoo.entry(named: name).configuration
      if let normalization { configuration.covariance?.normalization = try CovarianceNormalization(normalization) }
      configuration.covariance?.dimension = dimension
      var network = AnyNetwork<Float>(configuration)
      network.initialize(seed: 3)
      return network
    }
  }

  var plan: Plan<Float> {
    get throws { Plan(try network.trace(input: [1, 3, size, size]), algorithm: algorithm) }
  }
}

private let cases = [
  Case(name: "resnet50-fastmpn", size: 96), Case(name: "resnet50", size: 96), Case(name: "resnet50-mpn", size: 64),
  Case(name: "resnet50-fastmpn.mindspore", size: 64), Case(name: "resnet101-dropcov", size: 64),
  Case(name: "resnet18-fastmpn", size: 96), Case(name: "resnet20-fastmpn", size: 32),
  Case(name: "resnet32-mpn", size: 32, normalization: "power:road=svd"),
  Case(name: "resnet20-fastmpn", size: 32, normalization: "taylor"),
  Case(name: "resnet20-fastmpn", size: 32, normalization: "pade"),
  Case(name: "resnet20-fastmpn", size: 32, normalization: "newton-schulz:tolerance=1e-2"),
  Case(name: "resnet20-mpn", size: 32, normalization: "epn"), Case(name: "resnet20", size: 32),
  // More channels than BLAS is given at once, step by step.
  Case(name: "resnet18-fastmpn", size: 64, normalization: "newton-schulz:iterations=10", dimension: 256),
  Case(name: "resnet20-fastmpn", size: 32, algorithm: .blas), Case(name: "resnet18", size: 96, algorithm: .blas),
  Case(name: "resnet50", size: 64, algorithm: .direct), Case(name: "resnet50", size: 64, algorithm: .strassen),
]

@Suite(.serialized) struct BatchInvarianceTests {
  private static let most = 17
  /// Each batch with one number of threads, the largest and a small one with all.
  private static let runs =
    (1...9).map { (batch: $0, threads: 1 + $0 % 4) }
    + [2, most].flatMap { batch in
      (1...4).map { (batch: batch, threads: $0) }
    }

  @Test(arguments: cases)
  private func `An image's logits are the same bits in any batch and by any number of threads`(_ test: Case) throws {
    let (plan, size) = (try test.plan, test.size)
    let (all, pixels) = (unit("images", count: Self.most * 3 * size * size), 3 * size * size)
    func logits(_ range: Range<Int>, threads: Int) throws -> [Float] {
      let part = Tensor<Float>(
        [range.count, 3, size, size], all[range.lowerBound * pixels..<range.upperBound * pixels])
      return try withThreads(threads) { try plan(part).scalars }
    }
    let alone = try (0..<Self.most).map { try logits($0..<$0 + 1, threads: 1) }
    for (batch, threads) in Self.runs {
      // The last images, so that an image's place in the batch changes too.
      let range = Self.most - batch..<Self.most
      let together = try logits(range, threads: threads)
      let classes = together.count / batch
      let different = range.filter { image in
        let row = (image - range.lowerBound) * classes
        return !zip(alone[image], together[row..<row + classes]).allSatisfy { $0.bitPattern == $1.bitPattern }
      }
      #expect(different.isEmpty, "of a batch of \(batch) by \(threads) threads")
    }
  }

  /// 128 channels and more into 64 and more: where Strassen's products pay for large images, and where they would for
  /// several.
  @Test func `An algorithm is chosen by one image's size`() throws {
    let network = try Case(name: "resnet50-fastmpn", size: 224).network
    let plan = Plan(network.trace(input: [1, 3, 224, 224]))
    let images = Tensor<Float>([6, 3, 224, 224], repeating: 0.5)
    let profiles = try [1, 6].map { batch in
      try plan.profile(Tensor([batch, 3, 224, 224], images.scalars[..<(batch * 3 * 224 * 224)]), runs: 1)
    }
    #expect(profiles[0].map(\.algorithm) == profiles[1].map(\.algorithm))
    #if !DEBUG
      #expect(profiles[0].first { $0.layer == "layer1.1.conv1" }?.algorithm == .strassen)
      #expect(profiles[0].first { $0.layer == "layer3.1.conv1" }?.algorithm == .direct)
    #endif
  }
}
