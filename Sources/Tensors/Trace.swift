/// What a network does with one input, as a list: what plans, summaries and counters read.
public struct Trace<Scalar: RealScalar>: Sendable {
  /// The input, the parameters and every intermediate result.
  public let values: [Tape<Scalar>.Value]
  /// The applied operations, in an order in which they can be computed.
  public let steps: [Tape<Scalar>.Step]
  /// Index of the input in `values`.
  public let input: Int
  /// Index of the result in `values`.
  public let output: Int

  /// What `tape` holds, from `input` to `output`.
  public init(_ tape: Tape<Scalar>, input: Tensor<Scalar>, output: Tensor<Scalar>) {
    (self.input, self.output) = (tape.index(of: input), tape.index(of: output))
    (values, steps) = (tape.values, tape.steps)
  }

  /// Multiply-adds of convolutions and classifiers, as papers count them.
  public var multiplyAdds: Int {
    steps.reduce(0) { $0 + $1.operation.multiplyAdds($1.inputs.map { values[$0].shape }) }
  }
}
