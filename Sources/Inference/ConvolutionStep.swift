import Kernels
import Tensors

/// A convolution with everything that was fused into it.
struct ConvolutionStep<Scalar: RealScalar>: PlanStep {
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

  var inputs: [Int] { [input] + (residual.map { [$0] } ?? []) }
  var outputs: [Int] { [output] }
  var algorithm: ConvolutionAlgorithm? { weights.algorithm }

  func run(_ run: PlanRun<Scalar>) {
    let x = run.tensor(input)
    let epilogue = Epilogue(
      bias: bias?.pointer, residual: residual.map { run.tensor($0).pointer }, activation: activation)
    convolve(
      geometry, batch: run.batch, input: x.pointer, weights: weights, epilogue: epilogue, output: run.pointer(output))
  }
}

extension Convolution2d: PlannedOperation {
  /// Convolution, then BatchNorm, then the addition of a value that is there already, then an activation. A result is
  /// swallowed by its reader only if nobody else reads it.
  func planned<Scalar>(at index: Int, in graph: inout PlanGraph<Scalar>) -> (any PlanStep<Scalar>)? {
    let step = graph.trace.steps[index]
    var (scale, bias) = (Tensor<Scalar>?.none, step.inputs.count == 3 ? graph.constant(step.inputs[2]) : nil)
    guard graph.constant(step.inputs[0]) == nil, let weight = graph.constant(step.inputs[1]),
      (bias == nil) == (step.inputs.count == 2)
    else { return nil }
    var (label, output) = (graph.trace.label(of: step), step.output)
    var residual: Int?
    if let (reader, norm) = graph.soleReader(of: output, as: BatchNormalization.self),
      let parameters = graph.parameters(of: reader, after: output)
    {
      let affine = norm.affine(
        weight: parameters[0], bias: parameters[1], mean: parameters[2], variance: parameters[3])
      (scale, bias) = (affine.scale, bias.map { $0 * affine.scale + affine.shift } ?? affine.shift)
      output = graph.swallow(reader, into: &label)
    }
    if let reader = graph.soleReader(of: output, as: Addition.self)?.index,
      // Of two convolutions that are added, the later one adds: the other's result is there by then.
      let other = graph.trace.steps[reader].inputs.first(where: { $0 != output }), graph.isReady(other)
    {
      residual = other
      output = graph.swallow(reader, into: &label)
    }
    var activation = Activation.identity
    if let (reader, operation) = graph.soleReader(of: output, as: (any ActivationOperation).self) {
      activation = operation.activation
      output = graph.swallow(reader, into: &label)
    }
    let x = graph.trace.values[step.inputs[0]].shape
    let geometry = window(weight.shape).geometry(channels: x[1], height: x[2], width: x[3])
    let weights = ConvolutionWeights(weight, scale: scale, for: geometry, groups: groups, algorithm: graph.algorithm)
    // The plan has them in a form of its own.
    if weights.algorithm != .blas { weight.storage?.releasePages() }
    return ConvolutionStep(
      label: label, geometry: geometry, weights: weights, bias: bias, residual: residual, activation: activation,
      input: step.inputs[0], output: output)
  }
}

extension PlanGraph {
  /// The constants that an operation reads beside `value`, which is its first input; `nil` where one is no constant.
  fileprivate func parameters(of index: Int, after value: Int) -> [Tensor<Scalar>]? {
    let inputs = trace.steps[index].inputs
    let found = inputs.dropFirst().compactMap { constant($0) }
    return inputs[0] == value && found.count == inputs.count - 1 ? found : nil
  }
}
