import Foundation
import Inference
import ModelZoo
import TestSupport
import Testing

/// Single precision against the goldens' double, through up to 101 layers; the exact root is the hardest.
private let tolerance = 2e-4

private struct ModelGoldens: Decodable {
  struct Row: Decodable, CustomStringConvertible, Sendable {
    var model, flavour: String
    var reducedDimension: Int?
    var classes, inputSize, batch, parameters, pooledStride: Int
    var pooledScale, logitsScale: Double
    var pooled, logits: [[Double]]
    var top5: [[Int]]

    var description: String { "\(model) \(flavour) d=\(reducedDimension ?? 0) \(inputSize)px ×\(batch)" }

    var configuration: NetworkConfiguration {
      get throws {
        let entry = try Zoo.entry(named: model + (flavour == "mindspore" ? ".mindspore" : ""))
        var configuration = entry.configuration
        if let reducedDimension { configuration.covariance?.dimension = reducedDimension }
        configuration.classes = classes
        return configuration
      }
    }
  }
  var rows: [Row]

  static let rows = (try? golden("models", in: .module, as: ModelGoldens.self).rows) ?? []
}

@Suite(.serialized) struct ModelGoldenTests {
  @Test func `All 39 golden networks are tested`() { #expect(ModelGoldens.rows.count == 39) }

  @Test(arguments: ModelGoldens.rows)
  private func `A planned network's pooled vector and logits are the reference's`(_ row: ModelGoldens.Row) throws {
    let configuration = try row.configuration
    let network = hashFilled(configuration)
    #expect(network.parameterCount == row.parameters)
    let image = hashImage(batch: row.batch, size: row.inputSize)
    let shape: Shape = [1, 3, row.inputSize, row.inputSize]

    let pooled = try Plan(network.trace(input: shape) { $0.representation($1) })(image)
    let logits = try Plan(network.trace(input: shape))(image)
    for image in 0..<row.batch {
      let vector = row(pooled, image)
      let sampled = stride(from: 0, to: vector.count, by: row.pooledStride).map { vector[$0] }
      #expect(largestError(sampled, row.pooled[image]) <= tolerance * row.pooledScale)
      let scores = row(logits, image)
      let shown = stride(from: 0, to: scores.count, by: 25).map { scores[$0] }
      #expect(largestError(shown, row.logits[image]) <= tolerance * row.logitsScale)
      let best = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(5)
      #expect(Array(best) == row.top5[image])
    }
  }
}

@Suite(.serialized) struct AlgorithmGoldenTests {
  @Test(arguments: ConvolutionAlgorithm.allCases)
  private func `A network's logits are the reference's by every algorithm`(_ algorithm: ConvolutionAlgorithm) throws {
    let rows = ModelGoldens.rows.filter { $0.inputSize < 100 || $0.model == "resnet50-fastmpn" }
    var used: Set<ConvolutionAlgorithm> = []
    for row in rows {
      let network = hashFilled(try row.configuration)
      let plan = Plan(network.trace(input: [1, 3, row.inputSize, row.inputSize]), algorithm: algorithm)
      let image = hashImage(batch: row.batch, size: row.inputSize)
      let scores = row(try plan(image), 0)
      let shown = stride(from: 0, to: scores.count, by: 25).map { scores[$0] }
      #expect(largestError(shown, row.logits[0]) <= tolerance * row.logitsScale)
      used.formUnion(try plan.profile(image, runs: 1).compactMap(\.algorithm))
    }
    #if !DEBUG
      // Neither Winograd's nor Strassen's method applies to all convolutions; the others are done in the best way.
      let isForAll = algorithm == .blas || algorithm == .direct
      #expect(isForAll ? used == [algorithm] : used.contains(algorithm) && !used.contains(.blas))
    #endif
  }
}

extension ModelGoldens.Row {
  fileprivate func callAsFunction(_ tensor: Tensor<Float>, _ image: Int) -> [Float] {
    let width = tensor.shape[1]
    return Array(tensor.scalars[image * width..<(image + 1) * width])
  }
}
