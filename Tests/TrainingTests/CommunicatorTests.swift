import Foundation
import Testing
import Training

/// Ranks of one process, each on a thread of its own: sums are made when all have come.
private final class Meeting: @unchecked Sendable {
  private let condition = NSCondition()
  private let size: Int
  private var (waiting, generation) = (0, 0)
  private var (sum, result): ([Double], [Double]) = ([], [])

  init(size: Int) { self.size = size }

  func sum(_ numbers: [Double]) -> [Double] {
    condition.lock()
    defer { condition.unlock() }
    sum = waiting == 0 ? numbers : zip(sum, numbers).map { $0 + $1 }
    waiting += 1
    let own = generation
    if waiting == size {
      (result, waiting) = (sum, 0)
      generation += 1
      condition.broadcast()
    } else {
      while generation == own { condition.wait() }
    }
    return result
  }
}

private struct Rank: Communicator {
  let meeting: Meeting
  let rank: Int
  let size: Int

  func average(_ gradients: inout Gradients<Float>, weight: Double) {
    let own = gradients.tensors.flatMap { $0.scalars.map { Double($0) * weight } } + [weight]
    let sums = meeting.sum(own)
    var offset = 0
    for index in gradients.tensors.indices {
      let shape = gradients.tensors[index].shape
      gradients.tensors[index] = Tensor(
        shape, sums[offset..<offset + shape.scalarCount].map { Float($0 / sums[sums.count - 1]) })
      offset += shape.scalarCount
    }
  }

  func sum(_ numbers: inout [Double]) { numbers = meeting.sum(numbers) }
}

/// 11 colours, one of which cannot be read: with batches of 4 the last has 3 images.
private struct Colours: Dataset {
  struct Unreadable: Error {}
  var count: Int { 11 }
  var classNames: [String]? { nil }
  var summary: String { "11 colours" }
  func label(_ index: Int) -> Int? { index % 2 }
  func path(_ index: Int) -> String { "\(index)" }
  func image(_ index: Int) throws -> Image {
    if index == 7 { throw Unreadable() }
    return Image(width: 2, height: 2, pixels: [UInt8](repeating: UInt8(index * 20 + index % 2 * 9), count: 12))
  }
}

private struct Means: Module {
  var layer = Linear<Float>(inputs: 3, outputs: 2)
  mutating func visitTensors(_ visit: ModuleVisitor<Float>) { visit("layer", &layer) }
  func callAsFunction(_ x: Tensor<Float>) -> Tensor<Float> { layer(x.globalAverage()) }
}

@Suite struct CommunicatorTests {
  private static func trained(_ communicator: any Communicator) throws -> (weights: [Float], losses: [Double]) {
    var model = Means()
    model.initialize(seed: 1)
    var recipe = Recipe.small
    (recipe.epochs, recipe.batchSize, recipe.learningRate, recipe.augmentation.padding) = (3, 4, 0.2, 0)
    var loop = TrainingLoop(model, recipe: recipe, seed: 5, communicator: communicator)
    let transform = EvaluationTransform(
      resize: .exact(width: 2, height: 2), crop: nil, mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
    var losses: [Double] = []
    while loop.epoch < 3 {
      _ = try loop.trainEpoch(on: Colours(), transform: transform) { losses.append($0.loss) }
      loop.finishEpoch()
    }
    return (loop.model.layer.weight.scalars + (loop.model.layer.bias?.scalars ?? []), losses)
  }

  @Test(arguments: [2, 3, 4]) func `Ranks together learn what one process does`(_ size: Int) throws {
    let alone = try Self.trained(SingleProcess())
    let meeting = Meeting(size: size)
    let results = Mutexed<[Int: (weights: [Float], losses: [Double])]>([:])
    let done = DispatchGroup()
    for rank in 0..<size {
      done.enter()
      Thread.detachNewThread {
        let found = try? Self.trained(Rank(meeting: meeting, rank: rank, size: size))
        results.with { $0[rank] = found }
        done.leave()
      }
    }
    #expect(done.wait(timeout: .now() + 60) == .success, "a rank waits for another")
    for rank in 0..<size {
      let found = try #require(results.with { $0[rank] })
      #expect(
        zip(found.weights, alone.weights).allSatisfy { abs($0 - $1) < 1e-5 } && found.losses.count == alone.losses.count
      )
      #expect(zip(found.losses, alone.losses).allSatisfy { abs($0 - $1) < 1e-5 }, "\(found.losses) \(alone.losses)")
    }
  }

  @Test func `Every image belongs to one rank, in the order of one process`() {
    for (count, batch, ranks) in [(11, 4, 2), (11, 4, 3), (5, 8, 8), (100, 7, 5)] {
      let alone = DataOrder(count: count, batchSize: batch, seed: 3, epoch: 2)
      for step in 0..<alone.steps {
        let parts = (0..<ranks).map {
          DataOrder(count: count, batchSize: batch, seed: 3, epoch: 2, rank: $0, ranks: ranks).indices(ofStep: step)
        }
        #expect(parts.flatMap { $0 } == alone.indices(ofStep: step))
      }
      #expect((0..<alone.steps).flatMap(alone.indices(ofStep:)).sorted() == Array(0..<count))
    }
  }
}

/// A value that threads share.
private final class Mutexed<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value
  init(_ value: Value) { self.value = value }
  func with<Result>(_ body: (inout Value) -> Result) -> Result {
    lock.withLock { body(&value) }
  }
}
