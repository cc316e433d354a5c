/// Reads a trace and returns its steps with everything fused that can be: convolution, then BatchNorm, then the
/// addition of a value that is there already, then ReLU.
///
/// A result may only be swallowed by its reader if nobody else reads it.
func fuse<Scalar: RealScalar>(_ trace: Trace<Scalar>) -> [PlanStep<Scalar>] {
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

  func leaf(_ value: Int) -> Tensor<Scalar>? {
    computedBy[value] == nil && value != trace.input ? trace.values[value].tensor : nil
  }

  func fusedConvolution(_ index: Int, _ operation: Convolution2d) -> (last: Int, PlannedConvolution<Scalar>)? {
    let step = trace.steps[index]
    guard let weight = leaf(step.inputs[1]) else { return nil }
    var planned = PlannedConvolution(
      window: operation.window(weight.shape), weight: weight, input: step.inputs[0], output: step.output)
    var last = index
    if let reader = soleReader(planned.output),
      let norm = trace.steps[reader].operation as? BatchNormalization, trace.steps[reader].inputs[0] == planned.output
    {
      let parameters = trace.steps[reader].inputs.dropFirst().compactMap { leaf($0) }
      if parameters.count == 4 {
        fold(norm, parameters, into: &planned)
        (last, planned.output) = (reader, trace.steps[reader].output)
      }
    }
    if let reader = soleReader(planned.output), trace.steps[reader].operation is Addition {
      // Of two convolutions that are added, the later one adds: the other's result is there by then.
      let other = trace.steps[reader].inputs.first { $0 != planned.output }
      if let other, leaf(other) == nil, other == trace.input || isReady(other, before: index) {
        planned.residual = other
        (last, planned.output) = (reader, trace.steps[reader].output)
      }
    }
    if let reader = soleReader(planned.output), trace.steps[reader].operation is ReLU {
      planned.relu = true
      (last, planned.output) = (reader, trace.steps[reader].output)
    }
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
    } else {
      let operands = step.inputs.map { leaf($0).map { .constant($0) } ?? PlannedOperation.Operand.value($0) }
      steps.append(
        (index, .operation(PlannedOperation(operation: step.operation, inputs: operands, output: step.output))))
    }
  }
  return steps.map(\.step)
}

/// Folds a BatchNorm into the convolution before it: its scale into the weights, its shift into a bias.
private func fold<Scalar: RealScalar>(
  _ norm: BatchNormalization, _ parameters: [Tensor<Scalar>], into planned: inout PlannedConvolution<Scalar>
) {
  let (scale, shift) = norm.affine(
    weight: parameters[0], bias: parameters[1], mean: parameters[2], variance: parameters[3])
  let taps = planned.weight.shape.dropFirst().reduce(1, *)
  let unfolded = planned.weight
  planned.bias = shift
  planned.weight = Tensor(unfolded.shape) { folded in
    multiplyRows(unfolded.pointer, by: scale.pointer, into: folded.baseAddress!, rows: unfolded.shape[0], columns: taps)
  }
}
