extension Tape {
  /// The gradients of a scalar on this tape with respect to leaves of it, by walking the tape backwards.
  ///
  /// The tape is spent afterwards: what it held for the pullbacks is freed on the way.
  /// - Returns: a gradient for each leaf that the scalar depends on; `nil` for the others.
  /// - Precondition: `result` has one element, and the tape was not differentiated before.
  package func gradients(of result: Tensor<Scalar>, withRespectTo leaves: [Int]) -> [Tensor<Scalar>?] {
    check(result.scalarCount == 1, "only a scalar has gradients; this tensor is \(result.shape)")
    let last = index(of: result)
    let needsGradient = values.map(\.needsGradient)
    var gradients = [Tensor<Scalar>?](repeating: nil, count: needsGradient.count)
    gradients[last] = Tensor(result.shape, repeating: 1)
    var steps = spend()
    let wanted = Set(leaves)
    while let step = steps.popLast() {
      guard let gradient = gradients[step.output], let application = step.application else { continue }
      if !wanted.contains(step.output) { gradients[step.output] = nil }
      // Taken out, so that sums can be made in place. An input that is read twice has one sum.
      var sums = step.inputs.map { input in
        defer { gradients[input] = nil }
        return gradients[input]
      }
      step.operation.pullback(consume gradient, application, addingTo: &sums)
      check(
        sums.count == step.inputs.count,
        "\(step.operation.name): \(sums.count) gradients for \(step.inputs.count) inputs")
      for (position, input) in step.inputs.enumerated() {
        guard needsGradient[input], let sum = sums[position] else { continue }
        step.operation.checkGradient(sum, at: position, application)
        sums[position] = nil
        add(sum, to: &gradients[input])
      }
    }
    return leaves.map { gradients[$0] }
  }
}

/// Adds to a sum that may be empty, in the sum's memory where nobody else uses it.
func add<Scalar>(_ part: Tensor<Scalar>?, to sum: inout Tensor<Scalar>?) {
  guard let part else { return }
  guard var whole = sum else { return sum = part }
  sum = nil
  check(part.shape == whole.shape, "a gradient \(part.shape) for a sum \(whole.shape)")
  let target = whole.replacement()
  Addition().forward(
    [whole, part],
    into: UnsafeMutableBufferPointer(start: UnsafeMutablePointer(mutating: target.pointer), count: target.scalarCount))
  sum = target
}

/// The value of a function of tensors and its gradients with respect to them.
///
/// The function must return a scalar. Layers behave as at inference.
public func valueWithGradients<Scalar>(
  at inputs: [Tensor<Scalar>], _ function: ([Tensor<Scalar>]) -> Tensor<Scalar>
) -> (value: Tensor<Scalar>, gradients: [Tensor<Scalar>]) {
  let tape = Tape<Scalar>(.differentiating(isTraining: false))
  let leaves = inputs.enumerated().map { tape.leaf($1, name: "input \($0)", needsGradient: true) }
  let value = function(leaves)
  let gradients = tape.gradients(of: value, withRespectTo: leaves.map { tape.index(of: $0) })
  return (value.detached, zip(gradients, inputs).map { $0 ?? Tensor($1.shape, repeating: 0) })
}
