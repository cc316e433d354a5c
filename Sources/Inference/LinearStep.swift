import Tensors

/// A fully connected layer with packed weights.
struct LinearStep<Scalar: RealScalar>: PlanStep {
  let label: StepLabel
  let weights: LinearWeights<Scalar>
  let input: Int
  let output: Int

  var inputs: [Int] { [input] }
  var outputs: [Int] { [output] }

  func run(_ run: PlanRun<Scalar>) {
    weights.apply(run.tensor(input).pointer, batch: run.batch, into: run.pointer(output))
  }
}

extension LinearMap: PlannedOperation {
  func planned<Scalar>(at index: Int, in graph: inout PlanGraph<Scalar>) -> (any PlanStep<Scalar>)? {
    let step = graph.trace.steps[index]
    let bias = step.inputs.count == 3 ? graph.constant(step.inputs[2]) : nil
    guard graph.constant(step.inputs[0]) == nil, let weight = graph.constant(step.inputs[1]),
      graph.trace.values[step.inputs[0]].shape.rank == 2, (bias == nil) == (step.inputs.count == 2),
      let weights = LinearWeights(weight, bias: bias)
    else { return nil }
    return LinearStep(
      label: graph.trace.label(of: step), weights: weights, input: step.inputs[0], output: step.output)
  }
}
