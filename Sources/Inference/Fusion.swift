/// Reads a trace and returns its steps with everything fused that can be: convolution, then BatchNorm, then the
/// addition of a value that is there already, then ReLU.
///
/// A result may only be swallowed by its reader if nobody else reads it.
func fuse<Scalar: RealScalar>(_ trace: Trace<Scalar>, algorithm: ConvolutionAlgorithm?) -> [PlanStep<Scalar>] {
  var readers: [Int: [Int]] = [:]
  for (index, step) in trace.steps.enumerated() {
    for input in step.inputs { readers[input, default: []].append(index) }
  }
  let computedBy = Dictionary(uniqueKeysWithValues: trace.steps.enumerated().map { ($1.output, $0) })
  var swallowed = Set<Int>()
  var steps: [(position: Int, step: PlanStep<Scalar>)] = []

  /// The step that alone reads `value`.
  func soleReader(_ value: Int) -> Int? {
    guard value != trace.output, let found = readers[value], found.count == 1 else { return nil }
    return found[0]
  }

  func kind(of operation: any TensorOperation) -> Activation? {
    operation is ReLU ? .relu : operation is ReLU6 ? .relu6 : nil
  }

  func leaf(_ value: Int) -> Tensor<Scalar>? {
    computedBy[value] == nil && value != trace.input ? trace.values[value].tensor : nil
  }

  func fusedConvolution(_ index: Int, _ operation: Convolution2d) -> (last: Int, PlannedConvolution<Scalar>)? {
    let step = trace.steps[index]
    var label = trace.label(of: step)
    guard let weight = leaf(step.inputs[1]) else { return nil }
    let x = trace.values[step.inputs[0]].shape
    let geometry = operation.window(weight.shape).geometry(channels: x[1], height: x[2], width: x[3])
    var (last, output) = (index, step.output)
    var scale: Tensor<Scalar>?
    var bias = step.inputs.count == 3 ? leaf(step.inputs[2]) : nil
    guard step.inputs.count == 2 || bias != nil else { return nil }
    var residual: Int?
    var activation = Activation.identity
    if let reader = soleReader(output),
      let norm = trace.steps[reader].operation as? BatchNormalization, trace.steps[reader].inputs[0] == output
    {
      let parameters = trace.steps[reader].inputs.dropFirst().compactMap { leaf($0) }
      if parameters.count == 4 {
        let affine = norm.affine(
          weight: parameters[0], bias: parameters[1], mean: parameters[2], variance: parameters[3])
        (scale, bias) = (affine.scale, bias.map { $0 * affine.scale + affine.shift } ?? affine.shift)
        (last, output) = (reader, trace.steps[reader].output)
        label.operations.append(trace.steps[reader].operation.name)
      }
    }
    if let reader = soleReader(output), trace.steps[reader].operation is Addition {
      // Of two convolutions that are added, the later one adds: the other's result is there by then.
      let other = trace.steps[reader].inputs.first { $0 != output }
      if let other, leaf(other) == nil, other == trace.input || isReady(other, before: index) {
        residual = other
        label.operations.append(trace.steps[reader].operation.name)
        (last, output) = (reader, trace.steps[reader].output)
      }
    }
    if let reader = soleReader(output), let found = kind(of: trace.steps[reader].operation) {
      activation = found
      label.operations.append(trace.steps[reader].operation.name)
      (last, output) = (reader, trace.steps[reader].output)
    }
    let weights = ConvolutionWeights(
      weight, scale: scale, for: geometry, groups: operation.groups, algorithm: algorithm)
    // The plan has them in a form of its own.
    if weights.algorithm != .blas { weight.storage?.letGo() }
    let planned = PlannedConvolution(
      label: label, geometry: geometry, weights: weights,
      bias: bias, residual: residual, activation: activation, input: step.inputs[0], output: output)
    return (last, planned)
  }

  /// Whether `value` is complete when the step at `index` runs: whoever computes it was emitted before.
  func isReady(_ value: Int, before index: Int) -> Bool {
    steps.contains { $0.step.output == value && $0.position < index }
  }

  for (index, step) in trace.steps.enumerated() where !swallowed.contains(index) {
    if let operation = step.operation as? Convolution2d, let (last, planned) = fusedConvolution(index, operation) {
      steps.append((index, .convolution(planned)))
      var value = step.output
      while value != trace.steps[last].output, let reader = soleReader(value) {
        swallowed.insert(reader)
        value = trace.steps[reader].output
      }
    } else if step.operation is LinearMap, trace.values[step.inputs[0]].shape.rank == 2, leaf(step.inputs[0]) == nil,
      let weight = leaf(step.inputs[1]),
      step.inputs.count == 2 || leaf(step.inputs[2]) != nil,
      let weights = LinearWeights(weight, bias: step.inputs.count == 3 ? leaf(step.inputs[2]) : nil)
    {
      let planned = PlannedLinear(
        label: trace.label(of: step), weights: weights, input: step.inputs[0], output: step.output)
      steps.append((index, .linear(planned)))
    } else {
      let operands = step.inputs.map { leaf($0).map { .constant($0) } ?? PlannedOperation.Operand.value($0) }
      let planned = PlannedOperation(
        label: trace.label(of: step), operation: step.operation, inputs: operands, output: step.output)
      steps.append((index, .operation(planned)))
    }
  }
  return steps.map(\.step)
}
