/// A number that says how a step of training went. Whoever notes one declares it: `extension Metric { static let … }`.
public struct Metric: Hashable, Sendable {
  /// What logs call it.
  public let name: String

  /// A metric of this name.
  public init(_ name: String) { self.name = name }
}

/// The new value of a tensor that is kept but not learned: BatchNorm's running statistics after a step.
public struct BufferUpdate<Scalar: RealScalar>: Sendable {
  /// The buffer's path in the module tree.
  public let name: String
  /// Its value.
  public let tensor: Tensor<Scalar>
}
