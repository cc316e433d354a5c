import Tensors

/// One piece of work of a plan.
///
/// What an operation is in a plan, and what is fused with it, stands beside the step: `PlannedOperation`.
protocol PlanStep<Scalar>: Sendable {
  associatedtype Scalar: RealScalar

  /// What the step is, in a profile.
  var label: StepLabel { get }
  /// Values computed by earlier steps, or the input, that this one reads.
  var inputs: [Int] { get }
  /// Values that it computes.
  var outputs: [Int] { get }
  /// How it convolves; `nil` for what is no convolution.
  var algorithm: ConvolutionAlgorithm? { get }
  /// Bytes of one scalar of the outputs.
  var scalarSize: Int { get }

  /// Computes the outputs for a batch.
  func run(_ run: PlanRun<Scalar>)
}

extension PlanStep {
  var algorithm: ConvolutionAlgorithm? { nil }
  var scalarSize: Int { MemoryLayout<Scalar>.stride }
}

/// An operation that a plan does in a way of its own, perhaps with the operations that follow it.
protocol PlannedOperation: TensorOperation {
  /// The step that does the operation at `index` of the graph, and those after it that it swallows.
  /// - Returns: `nil` where this very one is done like any other operation.
  func planned<Scalar>(at index: Int, in graph: inout PlanGraph<Scalar>) -> (any PlanStep<Scalar>)?
}

/// Any other operation, as it is.
struct OperationStep<Scalar: RealScalar>: PlanStep {
  let label: StepLabel
  let operation: any TensorOperation
  let operands: [PlanGraph<Scalar>.Operand]
  let output: Int

  var outputs: [Int] { [output] }

  var inputs: [Int] {
    operands.compactMap { if case .value(let index) = $0 { index } else { nil } }
  }

  func run(_ run: PlanRun<Scalar>) {
    let tensors = operands.map { operand in
      switch operand {
      case .value(let index): run.tensor(index)
      case .constant(let tensor): tensor
      }
    }
    let count = run.shape(output).scalarCount
    operation.forward(tensors, into: UnsafeMutableBufferPointer(start: run.pointer(output), count: count))
  }
}
