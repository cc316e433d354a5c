import Foundation
import Kernels
import Tensors

/// Moves parameters against their gradients and remembers what it needs between steps.
public protocol Optimizer<Scalar>: Sendable {
  /// The precision of the parameters.
  associatedtype Scalar: RealScalar

  /// Changes the module's parameters by one step; those without a gradient, which are frozen, stay as they are.
  /// - Precondition: `gradients` are those of this module.
  mutating func step(_ module: inout some Module<Scalar>, _ gradients: Gradients<Scalar>, learningRate: Double)

  /// What is remembered, by names such as `momentum.layer1.0.conv1.weight`, to be saved with the module.
  var state: [String: Tensor<Scalar>] { get set }

  /// Names and shapes of `state` after a step of parameters with these names and shapes, against which what was saved can be
  /// checked.
  func stateShapes(for parameters: [(name: String, shape: Shape)]) -> [String: Shape]
}

/// Stochastic gradient descent with momentum, weight decay and Nesterov's look-ahead, as PyTorch's `SGD`.
public struct SGD<Scalar: RealScalar>: Optimizer {
  /// The share of the last step's direction in the next.
  public var momentum: Double
  /// Multiples of the parameters that are added to their gradients.
  public var weightDecay: Double
  /// Whether the step looks ahead along the momentum.
  public var isNesterov: Bool
  /// Parameters that are treated differently.
  public var groups: [ParameterGroup]
  public var state: [String: Tensor<Scalar>] = [:]

  /// An optimiser that has not stepped yet.
  public init(
    momentum: Double = 0.9, weightDecay: Double = 0, isNesterov: Bool = false, groups: [ParameterGroup] = []
  ) {
    (self.momentum, self.weightDecay, self.isNesterov, self.groups) = (momentum, weightDecay, isNesterov, groups)
  }

  public func stateShapes(for parameters: [(name: String, shape: Shape)]) -> [String: Shape] {
    Dictionary(uniqueKeysWithValues: parameters.map { ("momentum.\($0.name)", $0.shape) })
  }

  public mutating func step(
    _ module: inout some Module<Scalar>, _ gradients: Gradients<Scalar>, learningRate: Double
  ) {
    forEachParameter(of: &module, gradients) { name, parameter, gradient in
      let (factor, decay) = groups.settings(for: name, weightDecay: weightDecay)
      let (rate, key) = (learningRate * factor, "momentum.\(name)")
      var velocity = state.removeValue(forKey: key) ?? Tensor(parameter.shape, repeating: 0)
      withScalars(of: &parameter, &velocity) { w, v, range in
        let g = gradient.pointer + range.lowerBound
        Scalar.routines.kernels.sgdStep(
          w, g, v, Scalar(rate), Scalar(momentum), Scalar(decay), isNesterov ? 1 : 0, range.count)
      }
      state[key] = velocity
    }
  }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as PyTorch's `AdamW`.
public struct AdamW<Scalar: RealScalar>: Optimizer {
  /// The shares of the old moments in the new.
  public var betas: (Double, Double)
  /// Added to the root of the second moment.
  public var eps: Double
  /// The share of a parameter that a learning rate of 1 would take away.
  public var weightDecay: Double
  /// Parameters that are treated differently.
  public var groups: [ParameterGroup]
  public var state: [String: Tensor<Scalar>] = [:]

  /// An optimiser that has not stepped yet.
  public init(
    betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8, weightDecay: Double = 0.01,
    groups: [ParameterGroup] = []
  ) {
    (self.betas, self.eps, self.weightDecay, self.groups) = (betas, eps, weightDecay, groups)
  }

  public func stateShapes(for parameters: [(name: String, shape: Shape)]) -> [String: Shape] {
    var shapes: [String: Shape] = ["steps": []]
    for (name, shape) in parameters {
      shapes["mean.\(name)"] = shape
      shapes["square.\(name)"] = shape
    }
    return shapes
  }

  public mutating func step(
    _ module: inout some Module<Scalar>, _ gradients: Gradients<Scalar>, learningRate: Double
  ) {
    let count = (state["steps"].map { Double($0.scalars[0]) } ?? 0) + 1
    state["steps"] = Tensor(Scalar(count))
    let (first, second) = (1 - pow(betas.0, count), 1 - pow(betas.1, count))
    forEachParameter(of: &module, gradients) { name, parameter, gradient in
      let (factor, decay) = groups.settings(for: name, weightDecay: weightDecay)
      let rate = learningRate * factor
      let (shrink, step, root) = (1 - rate * decay, rate / first, 1 / second.squareRoot())
      var mean = state.removeValue(forKey: "mean.\(name)") ?? Tensor(parameter.shape, repeating: 0)
      var square = state.removeValue(forKey: "square.\(name)") ?? Tensor(parameter.shape, repeating: 0)
      square.withUnsafeMutableScalars { squares in
        let squares = squares.baseAddress!
        withScalars(of: &parameter, &mean) { w, m, range in
          let (g, v) = (gradient.pointer + range.lowerBound, squares + range.lowerBound)
          Scalar.routines.kernels.adamWStep(
            w, g, m, v, Scalar(shrink), Scalar(betas.0), Scalar(betas.1), Scalar(step), Scalar(root), Scalar(eps),
            range.count)
        }
      }
      state["mean.\(name)"] = mean
      state["square.\(name)"] = square
    }
  }
}

/// A running mean of a module's tensors, which often evaluates better than the module (Polyak averaging).
public struct ExponentialMovingAverage<Model: Module>: Sendable {
  /// The share of the old mean in the new.
  public var decay: Double
  /// The mean: a module of its own.
  public private(set) var module: Model

  /// A mean that begins with `module`'s tensors.
  public init(of module: Model, decay: Double) { (self.decay, self.module) = (decay, module) }

  /// Moves the mean towards `other`: parameters and running statistics.
  public mutating func update(with other: Model) {
    let values = other.tensors.map(\.tensor)
    var next = 0
    module.forEachTensor { _, mean in
      let value = values[next]
      next += 1
      mean.withUnsafeMutableScalars { scalars in
        guard let y = scalars.baseAddress else { return }
        let x = value.pointer
        Model.Scalar.routines.kernels.blend(x, Model.Scalar(decay), y, scalars.count)
      }
    }
  }
}

/// Calls `body` with each learned tensor and its gradient.
private func forEachParameter<Scalar: RealScalar>(
  of module: inout some Module<Scalar>, _ gradients: Gradients<Scalar>,
  _ body: (String, inout Tensor<Scalar>, Tensor<Scalar>) -> Void
) {
  var index = 0
  module.forEachTensor { description, tensor in
    guard index < gradients.names.count, gradients.names[index] == description.name else { return }
    body(description.name, &tensor, gradients.tensors[index])
    index += 1
  }
  check(
    index == gradients.names.count,
    "gradients are those of the module's parameters in their order; there is no place for that of \(gradients.names[min(index, gradients.names.count - 1)])"
  )
}

/// Calls `body` with pieces of two tensors of one shape, on the pool's threads.
private func withScalars<Scalar: RealScalar>(
  of a: inout Tensor<Scalar>, _ b: inout Tensor<Scalar>,
  _ body: (UnsafeMutablePointer<Scalar>, UnsafeMutablePointer<Scalar>, Range<Int>) -> Void
) {
  check(a.shape == b.shape, "a parameter \(a.shape) with a state \(b.shape)")
  a.withUnsafeMutableScalars { a in
    b.withUnsafeMutableScalars { b in
      guard let first = a.baseAddress, let second = b.baseAddress else { return }
      forEachChunk(of: a.count) { body(first + $0.lowerBound, second + $0.lowerBound, $0) }
    }
  }
}
