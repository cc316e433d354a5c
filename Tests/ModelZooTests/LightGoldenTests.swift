import Inference
import ModelZoo
import TestSupport
import Testing

/// Light networks against PyTorch in double precision: feature maps, pooled vectors, logits.
private struct LightGoldens: Decodable {
  struct Row: Decodable, CustomTestStringConvertible, Sendable {
    var model: String
    var batchNormGain: Float
    var reducedDimension: Int?
    var classes, inputSize, batch, parameters, trunkStride, pooledStride: Int
    var trunkShape: [Int]
    var trunkScale, pooledScale, logitsScale: Double
    var trunk, pooled, logits: [[Double]]
    var top5: [[Int]]

    var testDescription: String { "\(model) d=\(reducedDimension ?? 0) \(inputSize)px ×\(batch)" }

    /// The exact root is the hardest in single precision.
    var tolerance: Double { model.hasSuffix("-mpn") ? 2e-4 : 1e-4 }

    /// The network with every tensor made from its name, and BatchNorm's scales `batchNormGain` times as large.
    var network: AnyNetwork<Float> {
      get throws {
        var configuration = try Zoo.entry(named: model).configuration
        if let reducedDimension { configuration.covariance?.dimension = reducedDimension }
        configuration.classes = classes
        var network = hashFilled(configuration)
        network.forEachTensor { description, tensor in
          if tensor.rank == 1, description.name.hasSuffix(".weight") { tensor.scale(by: batchNormGain) }
        }
        return network
      }
    }
  }
  var rows: [Row]

  static let rows = (try? golden("light", in: .module, as: LightGoldens.self).rows) ?? []
}

@Suite(.serialized) struct LightGoldenTests {
  @Test func `All 16 golden networks are tested`() { #expect(LightGoldens.rows.count == 16) }

  @Test(arguments: LightGoldens.rows)
  private func `A light network's maps, pooled vector and logits are the reference's`(_ row: LightGoldens.Row) throws {
    let network = try row.network
    #expect(network.parameterCount == row.parameters)
    let images = hashImage(batch: row.batch, size: row.inputSize)
    let shape: Shape = [1, 3, row.inputSize, row.inputSize]
    func compare(_ found: Tensor<Float>, _ wanted: [[Double]], every stride: Int, scale: Double, _ what: String) {
      let size = found.scalarCount / row.batch
      for image in 0..<row.batch {
        let values = found.scalars[image * size..<(image + 1) * size]
        let sampled = Swift.stride(from: 0, to: size, by: stride).map { values[values.startIndex + $0] }
        #expect(largestError(sampled, wanted[image]) <= row.tolerance * scale, "\(what) of image \(image)")
      }
    }
    let maps = try Plan(network.trace(input: shape) { $0.features($1) })(images)
    #expect(maps.shape == Shape([row.batch] + row.trunkShape))
    compare(maps, row.trunk, every: row.trunkStride, scale: row.trunkScale, "maps")
    let pooled = try Plan(network.trace(input: shape) { $0.representation($1) })(images)
    compare(pooled, row.pooled, every: row.pooledStride, scale: row.pooledScale, "pooled vector")
    let logits = try Plan(network.trace(input: shape))(images)
    compare(logits, row.logits, every: row.classes > 25 ? 25 : 1, scale: row.logitsScale, "logits")
    for image in 0..<row.batch {
      let scores = Array(logits.scalars[image * row.classes..<(image + 1) * row.classes])
      #expect(Array(scores.indices.sorted { scores[$0] > scores[$1] }.prefix(5)) == row.top5[image])
    }
    // Step by step, outside of a plan, the same.
    guard row.inputSize < 100 else { return }
    compare(network(images), row.logits, every: 1, scale: row.logitsScale, "logits without a plan")
  }

  @Test func `Counts are the exact ones`() throws {
    for (name, parameters, multiplyAdds) in [
      ("mobilenet_v2", 3_504_872, 300_774_272), ("mobilenet_v2-fastmpn.d128", 10_644_968, 315_778_432),
      ("mobilenet_v2-fastmpn", 35_449_064, 348_446_592), ("shufflenet_v2_x1_0", 2_278_604, 144_907_992),
      ("shufflenet_v2_x1_0-fastmpn.d128", 9_641_932, 158_562_520),
      ("shufflenet_v2_x1_0-fastmpn", 34_413_260, 189_625_048),
      ("shufflenet_v2_x0_5-fastmpn", 33_501_448, 85_193_504),
      ("shufflenet_v2_x1_5-fastmpn", 35_638_280, 340_476_448),
      ("shufflenet_v2_x2_0-fastmpn", 38_766_796, 639_791_576),
    ] {
      let counts = try Zoo.entry(named: name).counts
      #expect(counts.parameters == parameters && counts.multiplyAdds == multiplyAdds, "\(name)")
    }
  }

  @Test func `What is fused leaves one step for each convolution and unit`() throws {
    let mobile = Plan(try AnyNetworkShapes("mobilenet_v2").trace)
    // 52 convolutions, pooling, classifier.
    #expect(mobile.stepCount == 54)
    let shuffle = Plan(try AnyNetworkShapes("shufflenet_v2_x1_0").trace)
    // 56 convolutions, 16 shuffles, two poolings, classifier.
    #expect(shuffle.stepCount == 75)
  }
}

/// A network of the zoo with random weights and its trace.
private struct AnyNetworkShapes {
  let trace: Trace<Float>

  init(_ name: String) throws {
    var network = AnyNetwork<Float>(try Zoo.entry(named: name).configuration)
    network.initialize()
    trace = network.trace(input: network.configuration.inputShape)
  }
}
