/// What one step of a plan is and how long it took.
public struct StepProfile: Sendable {
  /// The layer that the step begins with, by the name of its parameters: `layer1.0.conv1`; empty for what has none.
  public let layer: String
  /// The operations that are done in this step, in their order.
  public let operations: [String]
  /// How it convolves; `nil` for what is no convolution.
  public let algorithm: ConvolutionAlgorithm?
  /// The result of one image.
  public let outputShape: Shape
  /// Multiply-adds for the whole batch as papers count them, whatever the algorithm saves of them.
  public let multiplyAdds: Int
  /// The time for the whole batch: the median of the runs.
  public let seconds: Double
}

extension Plan {
  /// Runs the plan `runs` times after once to warm up, and says what each step takes.
  /// - Throws: what an operation has no result for, or whose result is not finite.
  public func profile(_ x: Tensor<Scalar>, runs: Int = 10) throws(NumericalFailure) -> [StepProfile] {
    _ = try self(x)
    let clock = ContinuousClock()
    var times = [[Duration]](repeating: [], count: steps.count)
    for _ in 0..<runs {
      var index = 0
      _ = run(x) { step, run in
        times[index].append(clock.measure { step.run(run) })
        index += 1
      }
    }
    return zip(steps, times).map { step, times in
      StepProfile(
        layer: step.label.layer, operations: step.label.operations, algorithm: step.algorithm,
        outputShape: step.outputs.compactMap { memory.slots[$0]?.imageShape }[0],
        multiplyAdds: step.label.multiplyAdds * x.shape[0],
        seconds: times.sorted()[times.count / 2] / .seconds(1))
    }
  }
}

/// What a step is called.
struct StepLabel: Sendable, CustomStringConvertible {
  /// The layer's path in the network.
  var layer: String
  var operations: [String]
  /// For one image.
  var multiplyAdds: Int

  var description: String {
    let done = operations.joined(separator: " + ")
    return layer.isEmpty ? done : "\(layer) (\(done))"
  }
}

extension Trace {
  /// The operation's name, and as its layer the path of its first parameter.
  func label(of step: Tape<Scalar>.Step) -> StepLabel {
    let parameter = step.inputs.lazy.compactMap { values[$0].tensor == nil ? nil : values[$0].name }.first ?? ""
    return StepLabel(
      layer: parameter.split(separator: ".").dropLast().joined(separator: "."), operations: [step.operation.name],
      multiplyAdds: step.operation.multiplyAdds(step.inputs.map { values[$0].shape }))
  }
}
