import Kernels

/// A function of every scalar that a convolution or a normalisation can do in its own pass. NaN stays NaN.
public enum Activation: Sendable, Hashable, CaseIterable {
  /// x.
  case identity
  /// max(x, 0).
  case relu
  /// min(max(x, 0), 6) (Howard et al. 2017, as MobileNets have it).
  case relu6

  /// The kernels' name for it.
  package var kernel: covpool_activation {
    switch self {
    case .identity: COVPOOL_IDENTITY
    case .relu: COVPOOL_RELU
    case .relu6: COVPOOL_RELU6
    }
  }
}

/// An operation that is an activation, which others can do in their own pass.
package protocol ActivationOperation: TensorOperation {
  /// Which one.
  var activation: Activation { get }
}

/// max(x, 0) of every scalar; NaN stays NaN.
public struct ReLU: ActivationOperation {
  package var activation: Activation { .relu }

  /// The operation, for one input of any shape.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape { activatedShape(self, inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    activate(inputs[0], .relu, into: result)
  }

  public var pullbackNeeds: PullbackNeeds { .output }

  /// The gradient where the result is positive.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [activationGradient(gradient, .relu, result: application.output)]
  }
}

/// min(max(x, 0), 6) of every scalar; NaN stays NaN.
public struct ReLU6: ActivationOperation {
  package var activation: Activation { .relu6 }

  /// The operation, for one input of any shape.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape { activatedShape(self, inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    activate(inputs[0], .relu6, into: result)
  }

  public var pullbackNeeds: PullbackNeeds { .output }

  /// The gradient where the result lies between 0 and 6.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [activationGradient(gradient, .relu6, result: application.output)]
  }
}

private func activatedShape(_ operation: some TensorOperation, _ inputs: [Shape]) -> Shape {
  operation.require(inputs.count == 1, "expected one input", inputs)
  return inputs[0]
}

private func activate<Scalar>(
  _ x: Tensor<Scalar>, _ activation: Activation, into result: UnsafeMutableBufferPointer<Scalar>
) {
  forEachChunk(of: result.count) { range in
    let (x, y) = (x.pointer + range.lowerBound, result.baseAddress! + range.lowerBound)
    Scalar.routines.kernels.activate(activation.kernel, x, y, range.count)
  }
}

private func activationGradient<Scalar>(
  _ gradient: Tensor<Scalar>, _ activation: Activation, result: Tensor<Scalar>
) -> Tensor<Scalar> {
  Tensor(gradient.shape) { target in
    forEachChunk(of: target.count) { range in
      let first = range.lowerBound
      let (y, g, to) = (result.pointer + first, gradient.pointer + first, target.baseAddress! + first)
      Scalar.routines.kernels.activationGradient(activation.kernel, y, g, to, range.count)
    }
  }
}

extension Tensor {
  /// max(x, 0) of every scalar.
  public func relu() -> Tensor { ReLU().applied(to: self) }

  /// min(max(x, 0), 6) of every scalar.
  public func relu6() -> Tensor { ReLU6().applied(to: self) }

  /// The activation of every scalar.
  public func activated(by activation: Activation) -> Tensor {
    switch activation {
    case .identity: self
    case .relu: relu()
    case .relu6: relu6()
    }
  }
}
