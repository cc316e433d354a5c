import Foundation
import Tensors

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
    check(names.count == tensors.count, "\(names.count) names for \(tensors.count) gradients")
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

/// What a function of a module and its differentiation yield.
public struct StepResult<Scalar: RealScalar>: Sendable {
  /// The function's value: the loss.
  public let value: Tensor<Scalar>
  /// The gradients of the value.
  public var gradients: Gradients<Scalar>
  /// New values of buffers, for `Module.apply(_:)`.
  public let updates: [BufferUpdate<Scalar>]
  /// Numbers that layers noted.
  public let metrics: [Metric: Double]
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
/// - Parameters:
///   - module: what the function is of; its parameters are differentiated.
///   - isTraining: whether layers behave as in training: BatchNorm uses the batch, DropCov drops.
///   - random: where layers that drop take their random numbers; a different stream for each step.
///   - frozen: parameters that are not learned: they have no gradients, and a BatchNorm whose scale is among them uses its
///     running statistics as they are.
///   - allowsUnused: whether a parameter that the value does not depend on gets a gradient of 0 rather than an error.
///     Parameters that are for training only may be unused where `isTraining` is false.
///   - function: makes a single number, the loss, of the module on the tape.
/// - Throws: `DifferentiationError` naming the parameters that the value does not depend on, `NumericalFailure` naming
///   the sample of the batch for which a decomposition or an iteration did not converge.
public func valueWithGradients<Model: Module>(
  of module: Model, isTraining: Bool = true, random: RandomStream = RandomStream(seed: 0, name: "tape"),
  frozen: ParameterGroup = ParameterGroup([]), allowsUnused: Bool = false,
  _ function: (Model) throws -> Tensor<Model.Scalar>
) throws -> StepResult<Model.Scalar> {
  try valueWithGradients(
    of: module, isTraining: isTraining, random: random, frozen: frozen, allowsUnused: allowsUnused
  ) {
    (try function($0), [])
  }.result
}

/// The same of a function that makes other tensors on the way, such as logits, which come back without their history.
public func valueWithGradients<Model: Module>(
  of module: Model, isTraining: Bool = true, random: RandomStream = RandomStream(seed: 0, name: "tape"),
  frozen: ParameterGroup = ParameterGroup([]), allowsUnused: Bool = false,
  _ function: (Model) throws -> (value: Tensor<Model.Scalar>, auxiliary: [Tensor<Model.Scalar>])
) throws -> (result: StepResult<Model.Scalar>, auxiliary: [Tensor<Model.Scalar>]) {
  let tape = Tape<Model.Scalar>(.differentiating(isTraining: isTraining), random: random)
  let (recorded, parameters) = module.recorded(on: tape, frozen: frozen)
  let (value, auxiliary, updates, metrics, found) = try checkingNumerics {
    let (value, auxiliary) = try function(recorded)
    let (updates, metrics) = (tape.notedUpdates, tape.notedMetrics)
    let found = tape.gradients(of: value, withRespectTo: parameters.map { tape.index(of: $0.tensor) })
    return (value.detached, auxiliary.map(\.detached), updates, metrics, found)
  }
  let unused = zip(parameters, found).filter { parameter, gradient in
    gradient == nil && (isTraining || parameter.description.role != .trainingParameter)
  }.map(\.0.description.name)
  guard allowsUnused || unused.isEmpty else { throw DifferentiationError.unusedParameters(unused) }
  let tensors = zip(found, parameters).map { $0 ?? Tensor($1.tensor.shape, repeating: 0) }
  let gradients = Gradients(names: parameters.map(\.description.name), tensors: tensors)
  return (StepResult(value: value, gradients: gradients, updates: updates, metrics: metrics), auxiliary)
}

/// The first tensor that is not finite where a function of a module and an input is computed in training, in words; `nil`
/// where all are.
package func firstNotFinite<Model: Module>(
  of module: Model, random: RandomStream, _ input: Tensor<Model.Scalar>,
  _ function: (Model, Tensor<Model.Scalar>) -> Tensor<Model.Scalar>
) -> String? {
  let tape = Tape<Model.Scalar>(.differentiating(isTraining: true), random: random, checksFinite: true)
  _ = function(module.recorded(on: tape).module, tape.leaf(input, name: "the images"))
  return tape.firstNotFinite
}

extension Module {
  /// The module with its tensors on a tape, and the parameters among them.
  fileprivate func recorded(
    on tape: Tape<Scalar>, frozen: ParameterGroup = ParameterGroup([])
  ) -> (module: Self, parameters: [(description: TensorDescription, tensor: Tensor<Scalar>)]) {
    var recorded = self
    var parameters: [(description: TensorDescription, tensor: Tensor<Scalar>)] = []
    recorded.forEachTensor { description, tensor in
      let isLearned = description.role != .buffer && !frozen.contains(description.name)
      tensor = tape.leaf(tensor, name: description.name, needsGradient: isLearned)
      if isLearned { parameters.append((description, tensor)) }
    }
    return (recorded, parameters)
  }

  /// Gives buffers the values that a step made for them.
  /// - Precondition: the updates are those of this module.
  public mutating func apply(_ updates: [BufferUpdate<Scalar>]) {
    guard !updates.isEmpty else { return }
    let byName = Dictionary(updates.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 })
    forEachTensor { description, tensor in
      guard let value = byName[description.name] else { return }
      check(value.shape == tensor.shape, "\(description.name) is \(tensor.shape), not \(value.shape)")
      tensor = value
    }
  }
}

extension DifferentiationError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
