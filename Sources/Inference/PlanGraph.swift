import Tensors

/// A traced network as it is made into steps: who reads what, what is constant, and what is done already.
struct PlanGraph<Scalar: RealScalar> {
  /// What an operation reads.
  enum Operand: Sendable {
    /// A value that depends on the input.
    case value(Int)
    /// Parameters, and what is computed of them alone.
    case constant(Tensor<Scalar>)
  }

  let trace: Trace<Scalar>
  /// How to convolve, wherever it applies; `nil` for what is best for each convolution.
  let algorithm: ConvolutionAlgorithm?
  /// The positions in the trace that read a value.
  private var readers: [Int: [Int]] = [:]
  private var constants: [Int: Tensor<Scalar>] = [:]
  /// Values that the steps so far compute.
  private var ready: Set<Int>
  private var swallowed: Set<Int> = []

  private init(_ trace: Trace<Scalar>, algorithm: ConvolutionAlgorithm?) {
    (self.trace, self.algorithm, ready) = (trace, algorithm, [trace.input])
    for (index, value) in trace.values.enumerated() where index != trace.input { constants[index] = value.tensor }
    for (index, step) in trace.steps.enumerated() {
      for input in step.inputs { readers[input, default: []].append(index) }
      // What does not depend on the input is computed once.
      let operands = step.inputs.map { constants[$0] }
      if !operands.contains(where: { $0 == nil }) {
        constants[step.output] = step.operation.forward(operands.compactMap { $0 })
        swallowed.insert(index)
      } else {
        check(
          trace.values[step.output].shape.first == 1,
          "\(step.operation.name): a plan is for networks whose every result has the batch as its first axis; this one is "
            + "\(trace.values[step.output].shape) for a batch of one")
      }
    }
  }

  /// The steps of a plan, with everything fused that can be.
  static func steps(_ trace: Trace<Scalar>, algorithm: ConvolutionAlgorithm?) -> [any PlanStep<Scalar>] {
    var graph = PlanGraph(trace, algorithm: algorithm)
    var steps: [any PlanStep<Scalar>] = []
    for (index, traced) in trace.steps.enumerated() where !graph.swallowed.contains(index) {
      let own = (traced.operation as? any PlannedOperation)?.planned(at: index, in: &graph)
      let step =
        own
        ?? OperationStep(
          label: trace.label(of: traced), operation: traced.operation, operands: traced.inputs.map(graph.operand),
          output: traced.output)
      graph.ready.formUnion(step.outputs)
      steps.append(step)
    }
    return steps
  }

  func operand(_ value: Int) -> Operand { constants[value].map { .constant($0) } ?? .value(value) }

  /// A parameter, or what is computed of parameters alone; `nil` for what depends on the input.
  func constant(_ value: Int) -> Tensor<Scalar>? { constants[value] }

  /// Whether a value that depends on the input is there before the next step runs.
  func isReady(_ value: Int) -> Bool { ready.contains(value) }

  /// The positions in the trace that read a value, if the network's result is not among what they need it for.
  func readers(of value: Int) -> [Int] { value == trace.output ? [] : readers[value] ?? [] }

  /// Where the step's result is read by one operation alone, of this type, its position and the operation.
  func soleReader<Operation>(
    of value: Int, as _: Operation.Type = Operation.self
  ) -> (index: Int, operation: Operation)? {
    let found = readers(of: value)
    guard found.count == 1, let operation = trace.steps[found[0]].operation as? Operation else { return nil }
    return (found[0], operation)
  }

  /// Notes that a step does this operation too, and that its result is the step's.
  mutating func swallow(_ index: Int, into label: inout StepLabel) -> Int {
    swallowed.insert(index)
    label.operations.append(trace.steps[index].operation.name)
    return trace.steps[index].output
  }
}
