/// Gradients of a module's parameters, in the order of the module.
///
/// One ordered collection: an optimiser, clipping, or a sum over machines walks it from front to back.
public struct Gradients<Scalar: RealScalar>: Sendable {
  /// The parameters' names.
  public let names: [String]
  /// The gradients, each of its parameter's shape.
  public var tensors: [Tensor<Scalar>]
  private let positions: [String: Int]

  /// Gradients of parameters with these names.
  public init(names: [String], tensors: [Tensor<Scalar>]) {
    precondition(names.count == tensors.count, "\(names.count) names for \(tensors.count) gradients")
    (self.names, self.tensors) = (names, tensors)
    positions = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
  }

  /// The gradient of the parameter with this name, if there is such a parameter.
  public subscript(name: String) -> Tensor<Scalar>? { positions[name].map { tensors[$0] } }

  /// √Σ g² over all gradients, in double precision.
  public var norm: Double { tensors.reduce(0) { $0 + $1.squaredNorm }.squareRoot() }

  /// Scales all gradients so that their common norm is at most `limit`, as PyTorch's `clip_grad_norm_`.
  /// - Returns: the norm before.
  @discardableResult
  public mutating func clip(norm limit: Double) -> Double {
    let found = norm
    if found > limit { for index in tensors.indices { tensors[index].scale(by: Scalar(limit / (found + 1e-6))) } }
    return found
  }
}

/// What a training step yields.
public struct StepResult<Scalar: RealScalar>: Sendable {
  /// The loss.
  public let value: Tensor<Scalar>
  /// The gradients of the loss.
  public var gradients: Gradients<Scalar>
  /// New values of buffers: BatchNorm's running statistics.
  public let updates: [(name: String, tensor: Tensor<Scalar>)]
  /// Numbers that layers noted: `drop_rate`.
  public let metrics: [(name: String, value: Double)]
}

/// Why there are no gradients.
public enum DifferentiationError: Error, CustomStringConvertible {
  /// The loss does not depend on these parameters.
  case unusedParameters([String])

  public var description: String {
    switch self {
    case .unusedParameters(let names):
      let shown = names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
      return "the loss does not depend on \(names.count == 1 ? "the parameter" : "the parameters") \(shown)"
    }
  }
}

/// The value of a function of a module and its gradients with respect to the module's parameters.
///
/// Layers behave as in training unless `isTraining` is false: BatchNorm uses the batch, DropCov drops.
/// - Parameters:
///   - random: where layers that drop take their random numbers; a different stream for each step.
///   - allowsUnused: whether a parameter that the value does not depend on gets a gradient of 0 rather than an error.
///     Parameters that are for training only may be unused where `isTraining` is false.
/// - Throws: `DifferentiationError` naming the parameters that the value does not depend on, `NumericalFailure` naming
///   the sample of the batch for which a decomposition or an iteration did not converge.
public func valueWithGradients<Network: Module>(
  of module: Network, isTraining: Bool = true, random: RandomStream = RandomStream(seed: 0, name: "tape"),
  allowsUnused: Bool = false, _ function: (Network) throws -> Tensor<Network.Scalar>
) throws -> StepResult<Network.Scalar> {
  let tape = Tape<Network.Scalar>(.differentiating(isTraining: isTraining), random: random)
  var recorded = module
  var (names, leaves, optional) = ([String](), [Tensor<Network.Scalar>](), Set<String>())
  recorded.forEachTensor { description, tensor in
    let isLearned = description.role != .buffer
    tensor = tape.leaf(tensor, name: description.name, needsGradient: isLearned)
    guard isLearned else { return }
    names.append(description.name)
    leaves.append(tensor)
    if description.role == .trainingParameter && !isTraining { optional.insert(description.name) }
  }
  let (value, updates, metrics, found) = try checkingNumerics {
    let value = try function(recorded)
    let (updates, metrics) = (tape.notedUpdates, tape.notedMetrics)
    return (value, updates, metrics, tape.gradients(of: value, withRespectTo: leaves.map { tape.index(of: $0) }))
  }
  let unused = zip(names, found).filter { $1 == nil && !optional.contains($0) }.map(\.0)
  guard allowsUnused || unused.isEmpty else { throw DifferentiationError.unusedParameters(unused) }
  let tensors = zip(found, leaves).map { $0 ?? Tensor($1.shape, repeating: 0) }
  return StepResult(
    value: value.detached, gradients: Gradients(names: names, tensors: tensors), updates: updates, metrics: metrics)
}

extension Module {
  /// Gives tensors new values by name: the `updates` of a step.
  public mutating func assign(_ values: [(name: String, tensor: Tensor<Scalar>)]) {
    guard !values.isEmpty else { return }
    let byName = Dictionary(values.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 })
    forEachTensor { description, tensor in
      guard let value = byName[description.name] else { return }
      precondition(value.shape == tensor.shape, "\(description.name) is \(tensor.shape), not \(value.shape)")
      tensor = value
    }
  }
}
