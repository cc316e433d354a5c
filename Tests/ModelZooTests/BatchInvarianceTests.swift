import ModelZoo
import TestSupport
import Testing

/// What an image's logits may move with its batch, beside the largest logit, in a plan that is not batch-invariant: as the
/// documentation of `Plan` and `zoo-eval --help` state it.
private let statedBound = 5e-5

/// A network on images smaller than its own, so that all batches are quick: in the first stage and the last Strassen's
/// products pay from some batch on.
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
  var network: ResNet<Float> {
    get throws {
      var configuration = try Zoo.entry(named: name).configuration
      if let normalization { configuration.normalization = try CovarianceNormalization(normalization) }
      if configuration.dimension > 0 { configuration.dimension = dimension }
      var network = ResNet<Float>(configuration)
      network.initialize(seed: 3)
      return network
    }
  }

  func plan(isBatchInvariant: Bool) throws -> Plan<Float> {
    Plan(try network.trace(input: [1, 3, size, size]), algorithm: algorithm, isBatchInvariant: isBatchInvariant)
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

  private func images(_ count: Int, size: Int) -> Tensor<Float> {
    Tensor([count, 3, size, size], unit("images", count: count * 3 * size * size))
  }

  /// Calls `body` with each image's logits alone, and with those in each run.
  private func compare(
    _ plan: Plan<Float>, size: Int, _ body: (_ alone: ArraySlice<Float>, _ together: ArraySlice<Float>) -> Void
  ) throws {
    let (all, pixels) = (images(Self.most, size: size).scalars, 3 * size * size)
    func logits(_ range: Range<Int>, threads: Int) throws -> [Float] {
      let part = Tensor<Float>(
        [range.count, 3, size, size], all[range.lowerBound * pixels..<range.upperBound * pixels])
      return try withThreads(threads) { try plan(part).scalars }
    }
    let alone = try (0..<Self.most).map { try logits($0..<$0 + 1, threads: 1)[...] }
    for (batch, threads) in Self.runs {
      // The last images, so that an image's place in the batch changes too.
      let range = Self.most - batch..<Self.most
      let together = try logits(range, threads: threads)
      let classes = together.count / batch
      for (row, image) in range.enumerated() {
        body(alone[image], together[row * classes..<(row + 1) * classes])
      }
    }
  }

  @Test(arguments: cases)
  private func `A batch-invariant plan gives the same bits in any batch and by any number of threads`(_ test: Case)
    throws
  {
    var different = 0
    try compare(try test.plan(isBatchInvariant: true), size: test.size) { alone, together in
      if !zip(alone, together).allSatisfy({ $0.bitPattern == $1.bitPattern }) { different += 1 }
    }
    #expect(different == 0)
  }

  @Test(arguments: cases)
  private func `Another plan's logits move with the batch by no more than is stated`(_ test: Case) throws {
    let plan = try test.plan(isBatchInvariant: false)
    var (worst, moved) = (0.0, false)
    try compare(plan, size: test.size) { alone, together in
      let scale = Double(alone.map(abs).max() ?? 0)
      worst = max(worst, largestError(Array(together), alone.map(Double.init)) / scale)
      moved = moved || !alone.elementsEqual(together)
    }
    print(test.testDescription, worst)
    #expect(worst <= statedBound)
    #if !DEBUG
      // Where an algorithm pays for some batches only; elsewhere there is nothing to choose.
      let algorithms = try [1, Self.most].map { batch in
        try plan.profile(images(batch, size: test.size), runs: 1).map(\.algorithm)
      }
      #expect(moved == (algorithms[0] != algorithms[1]))
    #endif
  }
}
