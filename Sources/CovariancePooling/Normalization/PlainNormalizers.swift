import NeuralNetworks

/// Nothing is made of the covariance.
public struct Unnormalized: PlainNormalizer {
  public static let names = ["none"]
  public init() {}
}

/// The root of each entry, and ℓ2 normalisation (ePN).
public struct ElementwiseRoot: PlainNormalizer {
  public static let names = ["epn"]
  public init() {}

  public var vectorSteps: [NormalizationStep] {
    [NormalizationStep(SignedSquareRoot()), NormalizationStep(L2Normalization())]
  }
}

/// The same of the bilinear features, whose means are not removed (B-CNN, Lin et al. 2015).
public struct BilinearRoot: PlainNormalizer {
  public static let names = ["bcnn"]
  public init() {}

  public var matrixSteps: [NormalizationStep] { [NormalizationStep(Covariance(isCentered: false))] }
  public var vectorSteps: [NormalizationStep] { ElementwiseRoot().vectorSteps }
}

/// The root of the largest singular value, found from a learned vector (svPN, So-ViT, Xie et al. 2021).
public struct LargestSingularValueRoot: PlainNormalizer {
  public static let names = ["svpn"]
  public init() {}

  public func parameters(dimension d: Int) -> [NormalizationParameter] {
    [NormalizationParameter("normalization.weight", [d], initially: .ones)]
  }

  public var matrixSteps: [NormalizationStep] {
    [NormalizationStep(Covariance()), NormalizationStep(SingularValueNormalization(), parameters: [0])]
  }
}

/// ℓ2 normalisation and a learned factor.
public struct ScaledNormalizer: PlainNormalizer {
  public static let names = ["scale"]
  public init() {}

  /// The factor begins where the vector's entries have mean square 1.
  public func parameters(dimension d: Int) -> [NormalizationParameter] {
    let root = (Double(d * (d + 1)) / 2).squareRoot()
    return [NormalizationParameter("normalization.weight", [1], initially: .constant(root))]
  }

  public var vectorSteps: [NormalizationStep] {
    [NormalizationStep(L2Normalization()), NormalizationStep(Scaling(), parameters: [0])]
  }
}

/// Layer normalisation of the upper triangle.
public struct LayerNormalizer: PlainNormalizer {
  public static let names = ["layernorm"]
  public init() {}

  public func parameters(dimension d: Int) -> [NormalizationParameter] {
    let shape: Shape = [d * (d + 1) / 2]
    return [
      NormalizationParameter("normalization.weight", shape, initially: .ones),
      NormalizationParameter("normalization.bias", shape, initially: .zeros),
    ]
  }

  public var vectorSteps: [NormalizationStep] { [NormalizationStep(LayerNormalization(), parameters: [0, 1])] }
}

/// x · w for one learned factor w `[1]`.
private struct Scaling: TensorOperation {
  func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 2 && inputs[1] == [1], "expected a tensor and a factor [1]", inputs)
    return inputs[0]
  }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    scaled(inputs[0].pointer, by: inputs[1].pointer[0], into: result.baseAddress!, count: result.count)
  }

  var pullbackNeeds: PullbackNeeds { .inputs }

  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, factor) = (application.inputs[0], application.inputs[1])
    let product = dot(gradient.pointer, x.pointer, count: x.scalarCount)
    return [forward([gradient, factor]), Tensor([1], [Scalar(product)])]
  }
}
