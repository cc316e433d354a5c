import Kernels

/// One piece of work of a plan.
enum PlanStep<Scalar: RealScalar>: Sendable {
  case convolution(PlannedConvolution<Scalar>)
  case linear(PlannedLinear<Scalar>)
  case operation(PlannedOperation<Scalar>)

  /// Values computed by earlier steps, or the input, that this one reads.
  var inputs: [Int] {
    switch self {
    case .convolution(let step): [step.input] + (step.residual.map { [$0] } ?? [])
    case .linear(let step): [step.input]
    case .operation(let step): step.inputs.compactMap { if case .value(let index) = $0 { index } else { nil } }
    }
  }

  var output: Int {
    switch self {
    case .convolution(let step): step.output
    case .linear(let step): step.output
    case .operation(let step): step.output
    }
  }

  /// What the step is, in a profile.
  var label: StepLabel {
    switch self {
    case .convolution(let step): step.label
    case .linear(let step): step.label
    case .operation(let step): step.label
    }
  }

  var algorithm: ConvolutionAlgorithm? {
    if case .convolution(let step) = self { step.weights.algorithm } else { nil }
  }

  func run(_ run: PlanRun<Scalar>) {
    switch self {
    case .convolution(let step): step.run(run)
    case .linear(let step):
      step.weights.apply(run.tensor(step.input).pointer, batch: run.batch, into: run.pointer(step.output))
    case .operation(let step): step.run(run)
    }
  }
}

/// A convolution with everything that was fused into it.
struct PlannedConvolution<Scalar: RealScalar>: Sendable {
  let label: StepLabel
  /// Sizes of one image and the window over it.
  let geometry: covpool_window
  /// BatchNorm's scale is folded in.
  let weights: ConvolutionWeights<Scalar>
  /// `[O]`, BatchNorm's shift.
  let bias: Tensor<Scalar>?
  /// The value that is added to the result.
  let residual: Int?
  let activation: Activation
  let input: Int
  let output: Int

  func run(_ run: PlanRun<Scalar>) {
    let x = run.tensor(input)
    let epilogue = Epilogue(
      bias: bias?.pointer, residual: residual.map { run.tensor($0).pointer }, activation: activation)
    convolve(
      geometry, batch: run.batch, input: x.pointer, weights: weights, epilogue: epilogue, output: run.pointer(output))
  }
}

/// A fully connected layer with packed weights.
struct PlannedLinear<Scalar: RealScalar>: Sendable {
  let label: StepLabel
  let weights: LinearWeights<Scalar>
  let input: Int
  let output: Int
}

/// Any other operation, as it is.
struct PlannedOperation<Scalar: RealScalar>: Sendable {
  /// What an operation reads.
  enum Operand: Sendable {
    case value(Int)
    case constant(Tensor<Scalar>)
  }

  let label: StepLabel
  var operation: any TensorOperation
  var inputs: [Operand]
  var output: Int

  func run(_ run: PlanRun<Scalar>) {
    let tensors = inputs.map { operand in
      switch operand {
      case .value(let index): run.tensor(index)
      case .constant(let tensor): tensor
      }
    }
    let count = run.shape(output).scalarCount
    operation.forward(tensors, into: UnsafeMutableBufferPointer(start: run.pointer(output), count: count))
  }
}
