import NeuralNetworks

/// One way to normalise covariances: what it learns, its text form, and the operations that it consists of.
///
/// The covariance head and `mpn-bench` hold the same value. A new way is a type that conforms, and its line in
/// `CovarianceNormalization.types`.
public protocol CovarianceNormalizer: Sendable {
  /// What texts call it: `["newton-schulz"]`; several where one type has several functions.
  static var names: [String] { get }

  /// Reads the options of its text form.
  /// - Parameters:
  ///   - name: which of `names` the text begins with.
  ///   - options: what the text sets; each that is read is taken out.
  /// - Throws: for an option whose value is not allowed; those that are not taken are refused afterwards.
  init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError)

  /// Which of `names` it is.
  var name: String { get }
  /// The options that are not as by default, in the order in which the text form has them.
  var options: [(key: String, value: String)] { get }

  /// What is learned, for covariances `[d, d]`.
  func parameters(dimension d: Int) -> [NormalizationParameter]

  /// Prepares features `[B, d, …]` in training, before their covariances are taken.
  func prepared<Scalar>(
    _ features: Tensor<Scalar>, _ parameters: [Tensor<Scalar>], on tape: Tape<Scalar>
  ) -> Tensor<Scalar>

  /// From features `[B, d, …]` to matrices `[B, d, d]`.
  var matrixSteps: [NormalizationStep] { get }
  /// From the matrices' upper triangles to vectors, both `[B, d (d + 1) / 2]`.
  var vectorSteps: [NormalizationStep] { get }
  /// Whether the result is the covariance's square root or approximates it.
  var isSquareRoot: Bool { get }
}

extension CovarianceNormalizer {
  public init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError)
  where Self: PlainNormalizer {
    self.init()
  }

  public var name: String { Self.names[0] }
  public var options: [(key: String, value: String)] { [] }
  public func parameters(dimension d: Int) -> [NormalizationParameter] { [] }
  public func prepared<Scalar>(
    _ features: Tensor<Scalar>, _ parameters: [Tensor<Scalar>], on tape: Tape<Scalar>
  ) -> Tensor<Scalar> { features }
  public var matrixSteps: [NormalizationStep] { [NormalizationStep(Covariance())] }
  public var vectorSteps: [NormalizationStep] { [] }
  public var isSquareRoot: Bool { false }
}

/// A normaliser without options.
public protocol PlainNormalizer: CovarianceNormalizer {
  /// The normaliser.
  init()
}

/// One operation of a normaliser and which of its parameters are the operation's further inputs.
public struct NormalizationStep: Sendable {
  /// The operation, whose first input is what the step before made.
  public let operation: any TensorOperation
  /// Positions in the normaliser's parameters.
  public let parameters: [Int]

  /// A step.
  public init(_ operation: any TensorOperation, parameters: [Int] = []) {
    (self.operation, self.parameters) = (operation, parameters)
  }

  /// The operation's result.
  public func callAsFunction<Scalar>(_ x: Tensor<Scalar>, _ learned: [Tensor<Scalar>]) -> Tensor<Scalar> {
    operation.applied(to: [x] + parameters.map { learned[$0] })
  }
}

/// A tensor that a normaliser learns.
public struct NormalizationParameter: Sendable {
  /// Its name in checkpoints, within the head.
  public let name: String
  /// Its shape.
  public let shape: Shape
  /// What it is for.
  public let role: TensorDescription.Role
  /// Its values in a new network.
  public let initializer: Initializer

  /// A parameter.
  public init(
    _ name: String, _ shape: Shape, role: TensorDescription.Role = .parameter, initially initializer: Initializer
  ) {
    (self.name, self.shape, self.role, self.initializer) = (name, shape, role, initializer)
  }
}
