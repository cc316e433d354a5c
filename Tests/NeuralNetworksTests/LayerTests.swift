import NeuralNetworks
import TestSupport
import Testing

private struct Dropped: Module {
  var layer = Linear<Double>(inputs: 4, outputs: 64, hasBias: false)
  var dropout = Dropout<Double>(p: 0.5)

  mutating func visitTensors(_ visit: ModuleVisitor<Double>) { visit("layer", &layer) }

  /// The result of two dropouts, one after the other, so that both may be seen.
  func callAsFunction(_ x: Tensor<Double>) -> Tensor<Double> {
    let y = layer(x)
    return Tensor.concatenate([dropout(y), dropout(y)], axis: 1)
  }
}

@Suite struct LayerTests {
  @Test func `A convolution has PyTorch's shapes, names and defaults`() {
    let layer = Conv2d<Float>(
      inputChannels: 8, outputChannels: 12, kernelSize: 3, dilation: 2, groups: 4, hasBias: true)
    #expect(layer.tensors.map(\.description.name) == ["weight", "bias"])
    #expect(
      layer.weight.shape == [12, 2, 3, 3] && layer.bias?.shape == [12] && layer.parameterCount == 12 * 2 * 9 + 12)
    // The size stays.
    #expect(layer.trace(input: [1, 8, 9, 7]).values.last?.shape == [1, 12, 9, 7])
    let plain = Conv2d<Float>(inputChannels: 3, outputChannels: 4, kernelSize: 3, stride: 2)
    #expect(plain.bias == nil && plain.trace(input: [1, 3, 9, 7]).values.last?.shape == [1, 4, 5, 4])
  }

  @Test func `PyTorch's default for new weights is uniform in ±1/√(fan in)`() {
    var layer = Conv2d<Double>(inputChannels: 16, outputChannels: 64, kernelSize: 3, groups: 4, hasBias: true)
    layer.initializer = .kaimingUniform
    layer.initialize(seed: 3)
    let bound = 1 / Double(4 * 9).squareRoot()
    for values in [layer.weight.scalars, layer.bias?.scalars ?? []] {
      let deviation = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
      #expect(values.allSatisfy { abs($0) <= bound } && values.contains { abs($0) > 0.9 * bound })
      #expect(abs(deviation / (bound / 3.0.squareRoot()) - 1) < 0.15)
    }
  }

  @Test func `Linear layers take any rank, with and without bias`() {
    var layer = Linear<Float>(inputs: 3, outputs: 2)
    (layer.weight, layer.bias) = (Tensor([2, 3], [1, 2, 3, -1, 0, 1]), Tensor([2], [10, 20]))
    let x = Tensor<Float>([1, 2, 3], [1, 1, 2, 0, 0, 1])
    #expect(layer(x).scalars == [19, 21, 13, 21] && layer(x).shape == [1, 2, 2])
    layer.bias = nil
    #expect(layer(x).scalars == [9, 1, 3, 1] && layer.tensors.count == 1)
  }

  @Test func `Dropout drops in training alone, each time others, and the same for the same seed`() throws {
    var network = Dropped()
    network.layer.weight = Tensor([64, 4], repeating: 0.25)
    let x = Tensor<Double>([2, 4], repeating: 1)
    #expect(network(x).scalars.allSatisfy { $0 == 1 })
    func step(seed: UInt64, isTraining: Bool = true) throws -> [Double] {
      var seen: [Double] = []
      let step = try valueWithGradients(
        of: network, isTraining: isTraining, random: RandomStream(seed: seed, name: "step")
      ) {
        let y = $0(x)
        seen = y.detached.scalars
        return y.sum()
      }
      #expect(step.gradients.names == ["layer.weight"])
      return seen
    }
    let first = try step(seed: 1)
    #expect(first.allSatisfy { $0 == 0 || $0 == 2 } && first.contains(0) && first.contains(2))
    #expect(try step(seed: 1) == first)
    #expect(try step(seed: 2) != first)
    #expect(try step(seed: 1, isTraining: false).allSatisfy { $0 == 1 })
    // The two dropouts of a step are not the same.
    let (left, right) = (Array(first[0..<64]), Array(first[64..<128]))
    #expect(left != right)
  }
}
