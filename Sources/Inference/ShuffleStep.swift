import Tensors

/// Two groups of channels that are joined and shuffled, `[B, C, …]` each, in one pass: results are the whole, `[B, 2 C, …]`, or,
/// where that is what all readers want, its halves.
struct ShuffleStep<Scalar: RealScalar>: PlanStep {
  let label: StepLabel
  let inputs: [Int]
  /// One value or two.
  let outputs: [Int]
  /// Channels of each input, and scalars of one.
  let channels: Int, pixels: Int

  func run(_ run: PlanRun<Scalar>) {
    let sources = inputs.map { run.tensor($0).pointer }
    let targets = outputs.map { run.pointer($0) as UnsafeMutablePointer<Scalar> }
    let perTarget = 2 * channels / targets.count
    WorkerPool.shared.forEach(run.batch * 2 * channels) { index in
      let (image, channel) = index.quotientAndRemainder(dividingBy: 2 * channels)
      // Channel 2 j + g of the shuffled is channel j of group g.
      let source = sources[channel % 2] + (image * channels + channel / 2) * pixels
      let target = targets[channel / perTarget] + (image * perTarget + channel % perTarget) * pixels
      target.update(from: source, count: pixels)
    }
  }
}

extension Concatenation: PlannedOperation {
  /// Concatenation of two values' channels, then a shuffle of two groups, then a split in halves.
  func planned<Scalar>(at index: Int, in graph: inout PlanGraph<Scalar>) -> (any PlanStep<Scalar>)? {
    let step = graph.trace.steps[index]
    let shapes = step.inputs.map { graph.trace.values[$0].shape }
    guard axis == 1, step.inputs.count == 2, shapes[0] == shapes[1], shapes[0].rank >= 2,
      step.inputs.allSatisfy({ graph.constant($0) == nil }),
      let (shuffle, operation) = graph.soleReader(of: step.output, as: ChannelShuffle.self), operation.groups == 2
    else { return nil }
    var label = graph.trace.label(of: step)
    let (channels, whole) = (shapes[0][1], graph.swallow(shuffle, into: &label))
    let slices = graph.readers(of: whole).compactMap { reader in
      (graph.trace.steps[reader].operation as? AxisSlice).map { (reader: reader, slice: $0) }
    }
    var outputs = [whole]
    if slices.count == 2, slices.count == graph.readers(of: whole).count, slices.allSatisfy({ $0.slice.axis == 1 }),
      slices.map(\.slice.range) == [0..<channels, channels..<2 * channels]
    {
      outputs = slices.map { graph.swallow($0.reader, into: &label) }
    }
    return ShuffleStep(
      label: label, inputs: step.inputs, outputs: outputs, channels: channels,
      pixels: shapes[0].dropFirst(2).reduce(1, *))
  }
}
