import NeuralNetworks
import TestSupport
import Testing

/// A part that training alone uses.
private struct Attention: Module {
  var weight = Tensor<Double>.uninitialized([3])

  mutating func visitTensors(_ visit: ModuleVisitor<Double>) {
    visit("weight", &weight, .trainingParameter, initially: .zeros)
  }

  func callAsFunction(_ x: Tensor<Double>) -> Tensor<Double> { x }
}

private struct Pair: Module {
  typealias Scalar = Double
  var blocks = [
    Conv2d<Double>(inputChannels: 2, outputChannels: 3, kernelSize: 3),
    Conv2d<Double>(inputChannels: 3, outputChannels: 3, kernelSize: 1),
  ]
  var norm: BatchNorm2d<Double>? = BatchNorm2d(3)
  var attention: Attention? = Attention()
  var absent: Linear<Double>?

  mutating func visitTensors(_ visit: ModuleVisitor<Double>) {
    visit("blocks", &blocks)
    visit("norm", &norm)
    visit("attention", &attention)
    visit("absent", &absent)
  }

  func callAsFunction(_ x: Tensor<Double>) -> Tensor<Double> {
    let y = blocks[1](blocks[0](x))
    return norm?(y) ?? y
  }
}

@Suite struct ModuleTests {
  @Test func `Paths are PyTorch's names, and only present parts have them`() {
    #expect(
      Pair().tensors.map(\.description.name) == [
        "blocks.0.weight", "blocks.1.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var",
        "attention.weight",
      ])
  }

  @Test func `Buffers and what only training uses are not counted`() {
    #expect(Pair().parameterCount == 3 * 2 * 9 + 3 * 3 + 3 + 3)
  }

  @Test func `A new network has He's deviations and neutral norms`() {
    var layer = Conv2d<Double>(inputChannels: 64, outputChannels: 64, kernelSize: 3)
    layer.initialize(seed: 1)
    let values = layer.weight.scalars
    let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
    #expect(abs(variance / (2 / Double(64 * 9)) - 1) < 0.03)
    var pair = Pair()
    pair.initialize()
    #expect(pair.norm?.weight.scalars == [1, 1, 1] && pair.norm?.runningMean.scalars == [0, 0, 0])
  }

  @Test func `The same seed gives the same network, another seed another`() {
    func weights(_ seed: UInt64) -> [Double] {
      var pair = Pair()
      pair.initialize(seed: seed)
      return pair.blocks[0].weight.scalars
    }
    #expect(weights(1) == weights(1))
    #expect(weights(1) != weights(2))
  }

  @Test func `Writing through a visit does not copy`() {
    var pair = Pair()
    pair.initialize()
    var before: [UnsafePointer<Double>?] = []
    var after: [UnsafePointer<Double>?] = []
    pair.forEachTensor { _, tensor in before.append(tensor.withUnsafeScalars { $0.baseAddress }) }
    pair.forEachTensor { _, tensor in tensor.withUnsafeMutableScalars { $0[0] = 5 } }
    pair.forEachTensor { _, tensor in after.append(tensor.withUnsafeScalars { $0.baseAddress }) }
    #expect(before == after)
    #expect(pair.norm?.bias.scalars == [5, 0, 0])
  }

  @Test func `Tracing needs no values`() {
    let trace = Pair().trace(input: [1, 2, 5, 5])
    #expect(trace.values[trace.output].shape == [1, 3, 5, 5])
    #expect(trace.multiplyAdds == 25 * 3 * 18 + 25 * 9)
  }
}
