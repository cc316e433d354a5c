import Inference
import NeuralNetworks
import TestSupport
import Testing

/// A block with everything that a plan fuses, and what it must not: a convolution whose result two others read.
private struct Block: Module {
  typealias Scalar = Float
  enum Variant: CaseIterable { case identity, projection, sharedConvolution, normTwice, additionOfInput }
  var conv1 = Conv2d<Float>(inputChannels: 3, outputChannels: 4, kernelSize: 3)
  var bn1 = BatchNorm2d<Float>(4)
  var conv2 = Conv2d<Float>(inputChannels: 4, outputChannels: 4, kernelSize: 3)
  var bn2 = BatchNorm2d<Float>(4)
  var projection = Conv2d<Float>(inputChannels: 4, outputChannels: 4, kernelSize: 1)
  var conv3 = Conv2d<Float>(inputChannels: 4, outputChannels: 3, kernelSize: 1)
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
  private func `A plan computes what the network computes`(_ variant: Block.Variant) throws {
    let block = randomized(variant)
    let x = Tensor<Float>([3, 3, 9, 11], unit("x", count: 3 * 3 * 9 * 11))
    let plan = Plan(block.trace(input: [1, 3, 9, 11]))
    #expect(largestError(try plan(x).scalars, block(x).scalars.map(Double.init)) < 1e-5)
    // A second run finds the arena used.
    #expect(try withSettledProcess { try plan(x).scalars == plan(x).scalars })
  }

  @Test func `What can be fused is fused`() {
    #expect(Plan(randomized(.identity).trace(input: [1, 3, 9, 11])).stepCount == 2)
    #expect(Plan(randomized(.projection).trace(input: [1, 3, 9, 11])).stepCount == 3)
    #expect(Plan(randomized(.additionOfInput).trace(input: [1, 3, 9, 11])).stepCount == 2)
    #expect(Plan(randomized(.sharedConvolution).trace(input: [1, 3, 9, 11])).stepCount == 5)
  }

  @Test func `An image's result does not depend on its batch`() throws {
    let plan = Plan(randomized(.projection).trace(input: [1, 3, 9, 11]))
    let size = 3 * 9 * 11
    let x = unit("x", count: 5 * size)
    let together = try plan(Tensor<Float>([5, 3, 9, 11], x)).scalars
    let alone = try (0..<5).flatMap { try plan(Tensor<Float>([1, 3, 9, 11], x[$0 * size..<($0 + 1) * size])).scalars }
    #expect(largestError(together, alone.map(Double.init)) < 1e-6)
  }

  @Test func `Values that live at the same time never share memory`() {
    let plan = Plan(randomized(.projection).trace(input: [1, 3, 9, 11]))
    // Reference: the largest pair that must coexist is stem with conv2's or the projection's result, three in all.
    #expect(plan.arenaBytesPerImage >= 3 * 4 * 99 * 4)
    #expect(plan.arenaBytesPerImage <= 3 * (4 * 99 + 15) * 4)
    let lifetimes = plan.lifetimes
    for (index, one) in lifetimes.enumerated() {
      #expect(one.bytes.upperBound <= plan.arenaBytesPerImage && one.bytes.lowerBound % 64 == 0)
      for other in lifetimes[(index + 1)...] where one.steps.overlaps(other.steps) {
        #expect(!one.bytes.overlaps(other.bytes))
      }
    }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func `A result that is not finite names its image and where it begins`(_ value: Float) throws {
    let size = 3 * 9 * 11
    func images(_ count: Int, spoiling image: Int? = nil) -> Tensor<Float> {
      var x = unit("x", count: count * size)
      if let image { x[image * size + 40] = value }
      return Tensor<Float>([count, 3, 9, 11], x)
    }
    func failure(_ block: Block, _ x: Tensor<Float>) -> NumericalFailure? {
      let plan = Plan(block.trace(input: [1, 3, 9, 11]))
      do { _ = try plan(x) } catch {
        let thrown: NumericalFailure = error
        #expect(throws: thrown) { try plan.profile(x, runs: 1) }
        return thrown
      }
      return nil
    }
    #expect(failure(randomized(.identity), images(4)) == nil)
    for image in [0, 2, 3] {
      let found = failure(randomized(.projection), images(4, spoiling: image))
      #expect(found?.sample == image && found?.operation == "input" && found?.reason == "not all numbers are finite")
    }
    var spoilt = randomized(.sharedConvolution)
    spoilt.forEachTensor { if $0.name == "conv2.weight" { $1.withUnsafeMutableScalars { $0[5] = value } } }
    #expect(
      failure(spoilt, images(2))?.description
        == "conv2 (Convolution2d): sample 0 of the batch: not all numbers are finite")
  }

  @Test func `Overflow for one image of many is an error of that image`() throws {
    var block = randomized(.identity)
    block.forEachTensor { if $0.name == "bn2.weight" { $1 = Tensor($1.shape, repeating: 1e30) } }
    let plan = Plan(block.trace(input: [1, 3, 9, 11]))
    let size = 3 * 9 * 11
    var x = unit("x", count: 6 * size)
    #expect(try plan(Tensor<Float>([6, 3, 9, 11], x)).isFinite)
    for index in 4 * size..<5 * size { x[index] *= 1e20 }
    let failure = #expect(throws: NumericalFailure.self) { try plan(Tensor<Float>([6, 3, 9, 11], x)) }
    #expect(failure?.sample == 4 && failure?.operation.hasPrefix("conv2 (") == true)
  }
}
