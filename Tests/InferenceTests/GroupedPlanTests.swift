import Inference
import NeuralNetworks
import TestSupport
import Testing

/// An inverted residual block with everything that light networks have.
private struct LightBlock: Module {
  var expand = Conv2d<Float>(inputChannels: 6, outputChannels: 12, kernelSize: 1)
  var bn1 = BatchNorm2d<Float>(12)
  var depthwise = Conv2d<Float>(inputChannels: 12, outputChannels: 12, kernelSize: 3, groups: 12, hasBias: true)
  var bn2 = BatchNorm2d<Float>(12)
  var project = Conv2d<Float>(inputChannels: 12, outputChannels: 6, kernelSize: 1, groups: 2, hasBias: true)
  var dilated = Conv2d<Float>(inputChannels: 3, outputChannels: 3, kernelSize: 3, dilation: 2, hasBias: true)
  var tokens = Linear<Float>(inputs: 10, outputs: 4)
  var dropout = Dropout<Float>(p: 0.5)

  mutating func visitTensors(_ visit: ModuleVisitor<Float>) {
    visit("expand", &expand)
    visit("bn1", &bn1)
    visit("depthwise", &depthwise)
    visit("bn2", &bn2)
    visit("project", &project)
    visit("dilated", &dilated)
    visit("tokens", &tokens)
  }

  func callAsFunction(_ x: Tensor<Float>) -> Tensor<Float> {
    let features = bn2(depthwise(bn1(expand(x)).relu6())).relu6()
    let halves = (project(features) + x).split(axis: 1, parts: 2)
    let shuffled = Tensor.concatenate([dilated(halves[0]).relu(), halves[1]], axis: 1).channelsShuffled(groups: 2)
    return tokens(dropout(shuffled.reshaped(to: [-1, 6, 9, 10])))
  }
}

@Suite struct GroupedPlanTests {
  @Test func `A plan of groups, dilation, biases, shuffles and tokens computes what the network computes`() throws {
    var block = LightBlock()
    block.forEachTensor { $1 = Tensor($1.shape, hashValues($0.name, $1.shape)) }
    let x = Tensor<Float>([3, 6, 9, 10], unit("x", count: 3 * 6 * 9 * 10))
    let plan = Plan(block.trace(input: [1, 6, 9, 10]))
    #expect(largestError(try plan(x).scalars, block(x).scalars.map(Double.init)) < 1e-5)
    let steps = try plan.profile(x, runs: 1)
    #expect(steps.contains { $0.algorithm == .depthwise })
  }
}
