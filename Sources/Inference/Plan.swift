import Foundation
import Synchronization
@_exported import Tensors

/// A traced network made ready to run: BatchNorm folded into convolutions, bias, residual addition and ReLU done while
/// a convolution's output is in cache, and all intermediate results in one arena whose parts are used again and again.
///
/// A plan holds its own folded weights and shares all others with the network it came from.
public final class Plan<Scalar: RealScalar>: Sendable {
  /// What one image must look like: `[C, H, W]`, or whatever follows the batch axis.
  public let inputShape: Shape
  /// What comes out for one image.
  public let outputShape: Shape
  let steps: [any PlanStep<Scalar>]
  let memory: MemoryPlan
  /// How many pieces of work a run consists of.
  package var stepCount: Int { steps.count }
  /// Size of the arena for one image, in bytes.
  package var arenaBytesPerImage: Int { memory.bytesPerImage }
  /// Where intermediate results live, in bytes of the arena for one image, and the steps from which to which they do.
  package var lifetimes: [(bytes: Range<Int>, steps: ClosedRange<Int>)] {
    memory.lifetimes.map { ($0.slot.offset..<$0.slot.offset + $0.slot.size, $0.steps) }
  }
  private let input: Int
  private let output: Int
  /// The arena, taken by one run at a time.
  private let arena = Mutex<Arena?>(nil)

  /// A plan for a network traced with a batch of one.
  /// - Parameters:
  ///   - trace: the network's operations, with the values of its parameters.
  ///   - algorithm: how to convolve, wherever it applies; by default what is best for each convolution.
  /// - Precondition: the parameters in the trace have values.
  public init(_ trace: Trace<Scalar>, algorithm: ConvolutionAlgorithm? = nil) {
    check(
      trace.values[trace.input].shape.first == 1,
      "a plan is made of a trace with a batch of one, not of \(trace.values[trace.input].shape)")
    steps = PlanGraph.steps(trace, algorithm: algorithm)
    memory = MemoryPlan(trace, steps: steps)
    (input, output) = (trace.input, trace.output)
    inputShape = Shape(Array(trace.values[trace.input].shape.dropFirst()))
    outputShape = Shape(Array(trace.values[trace.output].shape.dropFirst()))
  }

  /// The network's result for a batch: `[B] + inputShape` to `[B] + outputShape`.
  ///
  /// Each image's result is the same to the bit alone and in any batch, and for any number of threads, if every operation's is.
  /// Of this package's operations that is so but for `MatrixProduct`, and for `LinearMap` of more than two axes, which cut their
  /// rows across the batch: there the last digits may differ.
  /// - Throws: what an operation has no result for, or whose result is not finite: the first such image.
  public func callAsFunction(_ x: Tensor<Scalar>) throws(NumericalFailure) -> Tensor<Scalar> {
    let (result, failure) = collectingNumericalFailures { run(x) { $0.run($1) } }
    if let failure { throw failure }
    guard result.isFinite else { throw notFinite(result, of: x) }
    return result
  }

  /// Asks whether there is memory for the intermediate results of a batch, and for as many inputs as wait for it.
  /// - Parameters:
  ///   - batch: how many images.
  ///   - inputs: how many batches of images wait while one is worked on.
  ///   - name: what the network is called.
  /// - Throws: where there is not.
  public func checkMemory(forBatchesOf batch: Int, inputs: Int = 1, name: String) throws(MemoryError) {
    let image = memory.bytesPerImage + inputs * inputShape.scalarCount * MemoryLayout<Scalar>.stride
    let (bytes, isTooMuch) = image.multipliedReportingOverflow(by: batch)
    try LinearAlgebra.checkMemory(
      isTooMuch ? .max : bytes, for: "\(name) with \(batch == 1 ? "a single image" : "batches of \(batch)")",
      remedy: batch == 1 ? "use a machine with more" : "lower the batch size (--batch-size)")
  }

  /// Goes through the steps once more, with the first image whose result is not finite, to find where that begins.
  private func notFinite(_ result: Tensor<Scalar>, of x: Tensor<Scalar>) -> NumericalFailure {
    let sample = (0..<x.shape[0]).first { !result.image($0).isFinite } ?? 0
    let image = x.image(sample)
    var origin = image.isFinite ? nil : "input"
    _ = run(image) { step, run in
      step.run(run)
      if origin == nil, !step.outputs.allSatisfy({ run.tensor($0).isFinite }) { origin = step.label.description }
    }
    return NumericalFailure(operation: origin ?? "network", sample: sample, reason: "not all numbers are finite")
  }

  /// Runs the plan, each step through `perform`.
  func run(_ x: Tensor<Scalar>, _ perform: (any PlanStep<Scalar>, PlanRun<Scalar>) -> Void) -> Tensor<Scalar> {
    check(
      x.rank > 0 && Array(x.shape.dropFirst()) == inputShape.dimensions,
      "a plan for [B] + \(inputShape) got \(x.shape)")
    let batch = x.shape[0]
    return arena.withLock { arena in
      let needed = memory.bytesPerImage * batch
      if (arena?.size ?? -1) < needed {
        arena = nil  // before the larger one is taken
        arena = Arena(size: needed)
      }
      let run = PlanRun(x, inputIndex: input, arena: arena!, memory: memory, batch: batch)
      for step in steps { perform(step, run) }
      return run.tensor(output).copy()
    }
  }
}

extension Tensor {
  /// One image of a batch, as a batch of one.
  fileprivate func image(_ index: Int) -> Tensor {
    let shape = Shape([1] + shape.dropFirst())
    return withUnsafeScalars { scalars in
      let size = shape.scalarCount
      return Tensor(shape) { _ = $0.initialize(fromContentsOf: scalars[index * size..<(index + 1) * size]) }
    }
  }
}

/// Memory for the intermediate results of a batch, whatever their scalars are.
final class Arena: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  let size: Int

  init(size: Int) {
    (pointer, self.size) = (allocateMemory(bytes: max(size, 1)), size)
  }

  deinit { free(pointer) }
}

/// One run's view of the arena.
struct PlanRun<Scalar: RealScalar> {
  let input: Tensor<Scalar>
  let inputIndex: Int
  let arena: Arena
  let memory: MemoryPlan
  let batch: Int

  init(_ input: Tensor<Scalar>, inputIndex: Int, arena: Arena, memory: MemoryPlan, batch: Int) {
    (self.input, self.inputIndex, self.arena, self.memory, self.batch) = (input, inputIndex, arena, memory, batch)
  }

  private func slot(_ value: Int) -> MemoryPlan.Slot {
    guard let slot = memory.slots[value] else { fatalError("value \(value) is computed by no step of the plan") }
    return slot
  }

  func shape(_ value: Int) -> Shape { Shape([batch] + slot(value).imageShape.dimensions) }

  /// Where a value that steps compute lives.
  func pointer<Stored>(_ value: Int, as _: Stored.Type = Stored.self) -> UnsafeMutablePointer<Stored> {
    (arena.pointer + slot(value).offset * batch).assumingMemoryBound(to: Stored.self)
  }

  /// A computed value or the input.
  func tensor(_ value: Int) -> Tensor<Scalar> {
    value == inputIndex
      ? input : Tensor(shape(value), borrowing: UnsafePointer(pointer(value, as: Scalar.self)), owner: arena)
  }
}
