import Inference
import NeuralNetworks
import TestSupport
import Testing

/// A block with everything that a plan fuses, and what it must not: a convolution whose result two others read.
private struct Block: Module {
  typealias Scalar = Float
  enum Variant: CaseIterable { case identity, projection, sharedConvolution, normTwice, additionOfInput }
  var conv1 = Conv2d<Float>(3, 4, kernel: 3)
  var bn1 = BatchNorm2d<Float>(4)
  var conv2 = Conv2d<Float>(4, 4, kernel: 3)
  var bn2 = BatchNorm2d<Float>(4)
  var projection = Conv2d<Float>(4, 4, kernel: 1)
  var conv3 = Conv2d<Float>(4, 3, kernel: 1)
  var variant: Variant

  init(_ variant: Variant) { self.variant = variant }

  mutating func visitTensors(_ visit: ModuleVisitor<Float>) {
    visit("conv1", &conv1)
    visit("bn1", &bn1)
    visit("conv2", &conv2)
    visit("bn2", &bn2)
    visit("projection", &projection)
    visit("conv3", &conv3)
  }

  func callAsFunction(_ x: Tensor<Float>) -> Tensor<Float> {
    let stem = bn1(conv1(x)).relu()
    switch variant {
    case .identity: return (bn2(conv2(stem)) + stem).relu()
    case .projection: return (bn2(conv2(stem)) + projection(stem)).relu()
    case .sharedConvolution:
      let shared = conv2(stem)
      return bn2(shared) + shared.relu()
    case .normTwice: return bn2(bn2(conv2(stem))) + stem
    case .additionOfInput: return conv3(stem) + x
    }
  }
}

private func randomized(_ variant: Block.Variant) -> Block {
  var block = Block(variant)
  block.forEachTensor { $1 = Tensor($1.shape, hashValues($0.name, $1.shape)) }
  return block
}

@Suite struct PlanTests {
  @Test(arguments: Block.Variant.allCases)
  private func `A plan computes what the network computes`(_ variant: Block.Variant) {
    let block = randomized(variant)
    let x = Tensor<Float>([3, 3, 9, 11], unit("x", count: 3 * 3 * 9 * 11))
    let plan = Plan(block.trace(input: [1, 3, 9, 11]))
    #expect(largestError(plan(x).scalars, block(x).scalars.map(Double.init)) < 1e-5)
    // A second run finds the arena used.
    #expect(withSettledProcess { plan(x).scalars == plan(x).scalars })
  }

  @Test func `What can be fused is fused`() {
    #expect(Plan(randomized(.identity).trace(input: [1, 3, 9, 11])).stepCount == 2)
    #expect(Plan(randomized(.projection).trace(input: [1, 3, 9, 11])).stepCount == 3)
    #expect(Plan(randomized(.additionOfInput).trace(input: [1, 3, 9, 11])).stepCount == 2)
    #expect(Plan(randomized(.sharedConvolution).trace(input: [1, 3, 9, 11])).stepCount == 5)
  }

  @Test func `An image's result does not depend on its batch`() {
    let plan = Plan(randomized(.projection).trace(input: [1, 3, 9, 11]))
    let size = 3 * 9 * 11
    let x = unit("x", count: 5 * size)
    let together = plan(Tensor<Float>([5, 3, 9, 11], x)).scalars
    let alone = (0..<5).flatMap { plan(Tensor<Float>([1, 3, 9, 11], x[$0 * size..<($0 + 1) * size])).scalars }
    #expect(largestError(together, alone.map(Double.init)) < 1e-6)
  }

  @Test func `Values that live at the same time never share memory`() {
    let plan = Plan(randomized(.projection).trace(input: [1, 3, 9, 11]))
    // Reference: the largest pair that must coexist is stem with conv2's or the projection's result, three in all.
    #expect(plan.arenaScalarsPerImage >= 3 * 4 * 99)
    #expect(plan.arenaScalarsPerImage <= 3 * (4 * 99 + 15))
  }
}
