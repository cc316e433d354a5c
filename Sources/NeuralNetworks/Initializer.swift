/// How a new tensor gets its values.
public enum Initializer: Sendable {
  /// All 0.
  case zeros
  /// All 1.
  case ones
  /// All one number.
  case constant(Double)
  /// Normal with deviation √(2 / fan out): He et al. 2015 for layers before a ReLU. `[O, C, h, w]` has fan out O·h·w.
  case kaimingNormal
  /// Uniform in ±1/√(fan in), PyTorch's default for convolutions and linear layers: He's with a slope of √5.
  /// `[O, C, h, w]` has fan in C·h·w.
  case kaimingUniform
  /// Uniform in ±bound; PyTorch's default for a linear layer is 1/√(fan in).
  case uniform(bound: Double)

  /// Values of this shape; random ones are the same for the same stream.
  public func values<Scalar>(_ shape: Shape, _ random: RandomStream) -> Tensor<Scalar> {
    switch self {
    case .zeros: return Tensor(shape, repeating: 0)
    case .ones: return Tensor(shape, repeating: 1)
    case .constant(let value): return Tensor(shape, repeating: Scalar(value))
    case .kaimingNormal:
      let fanOut = shape[0] * shape.dropFirst(2).reduce(1, *)
      return random.normal(shape, deviation: Scalar((2 / Double(fanOut)).squareRoot()))
    case .kaimingUniform:
      let fanIn = shape.dropFirst().reduce(1, *)
      let bound = 1 / Double(max(fanIn, 1)).squareRoot()
      return random.uniform(shape, low: Scalar(-bound), high: Scalar(bound))
    case .uniform(let bound): return random.uniform(shape, low: Scalar(-bound), high: Scalar(bound))
    }
  }
}
