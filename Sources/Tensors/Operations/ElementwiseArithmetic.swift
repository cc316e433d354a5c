import Kernels

/// The difference of two tensors of one shape.
public struct Subtraction: TensorOperation {
  /// a − b for inputs a and b.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 2 && inputs[0] == inputs[1], "expected two tensors of one shape", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let y = result.baseAddress else { return }
    let (a, b) = (inputs[0].pointer, inputs[1].pointer)
    forEachChunk(of: result.count) { range in
      let (a, b, y) = (a + range.lowerBound, b + range.lowerBound, y + range.lowerBound)
      Scalar.routines.kernels.subtract(a, b, y, range.count)
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [gradient, application.needsGradient[1] ? Scaling(by: -1).forward([gradient]) : nil]
  }
}

/// The product of two tensors of one shape, scalar by scalar.
public struct Multiplication: TensorOperation {
  /// a · b for inputs a and b.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 2 && inputs[0] == inputs[1], "expected two tensors of one shape", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let y = result.baseAddress else { return }
    let (a, b) = (inputs[0].pointer, inputs[1].pointer)
    forEachChunk(of: result.count) { range in
      let (a, b, y) = (a + range.lowerBound, b + range.lowerBound, y + range.lowerBound)
      Scalar.routines.kernels.multiply(a, b, y, range.count)
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂a = ∂y · b, ∂b = ∂y · a.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let inputs = application.inputs
    return [
      application.needsGradient[0] ? forward([gradient, inputs[1]]) : nil,
      application.needsGradient[1] ? forward([gradient, inputs[0]]) : nil,
    ]
  }
}

/// Every scalar times one number.
public struct Scaling: TensorOperation {
  /// The number.
  public var factor: Double

  /// A multiplication by `factor`.
  public init(by factor: Double) { self.factor = factor }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1, "expected one input", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let y = result.baseAddress else { return }
    let x = inputs[0].pointer
    forEachChunk(of: result.count) {
      scaled(x + $0.lowerBound, by: Scalar(factor), into: y + $0.lowerBound, count: $0.count)
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [forward([gradient])]
  }
}

extension Tensor {
  /// The difference of two tensors of one shape.
  public static func - (a: Tensor, b: Tensor) -> Tensor { Subtraction().applied(to: a, b) }

  /// The product of two tensors of one shape, scalar by scalar; `matmul` multiplies matrices.
  public static func * (a: Tensor, b: Tensor) -> Tensor { Multiplication().applied(to: a, b) }

  /// Every scalar times a number.
  public static func * (a: Tensor, factor: Scalar) -> Tensor { Scaling(by: Double(factor)).applied(to: a) }

  /// Every scalar times a number.
  public static func * (factor: Scalar, a: Tensor) -> Tensor { a * factor }
}
