/// Something that makes one tensor of others: convolution, covariance, a sum.
///
/// An operation is a value: its properties are the attributes (stride, iterations), its inputs are tensors, weights
/// among them. Everything else reads operations off a `Tape`: a plan folds and fuses them, the model summary counts
/// them. Conform a type of your own and call it with `applied(to:)`; networks and plans take it like any other.
public protocol TensorOperation: Sendable {
  /// What the operation is called in summaries and messages.
  var name: String { get }

  /// The shape of the result.
  /// - Precondition: the inputs fit; otherwise the implementation stops with the operation and the shapes.
  func outputShape(_ inputs: [Shape]) -> Shape

  /// Computes the result for these inputs into memory of the result's size, all of which it writes.
  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>)

  /// The result for these inputs as a new tensor; by default through `forward(_:into:)`.
  func forward<Scalar>(_ inputs: [Tensor<Scalar>]) -> Tensor<Scalar>

  /// Multiply-adds of `forward`, as papers count them: products of convolutions and classifiers.
  func multiplyAdds(_ inputs: [Shape]) -> Int
}

extension TensorOperation {
  public var name: String { "\(Self.self)" }

  public func multiplyAdds(_ inputs: [Shape]) -> Int { 0 }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>]) -> Tensor<Scalar> {
    Tensor(outputShape(inputs.map(\.shape))) { forward(inputs, into: $0) }
  }

  /// The result for these inputs, recorded where one of them is on a tape.
  public func applied<Scalar>(to inputs: Tensor<Scalar>...) -> Tensor<Scalar> { applied(to: inputs) }

  /// The result for these inputs, recorded where one of them is on a tape.
  public func applied<Scalar>(to inputs: [Tensor<Scalar>]) -> Tensor<Scalar> {
    guard let tape = inputs.lazy.compactMap(\.recording).first?.tape else { return forward(inputs) }
    return tape.record(self, inputs)
  }

  /// Stops with the operation's name and all shapes where `condition` does not hold.
  package func require(_ condition: Bool, _ message: @autoclosure () -> String, _ inputs: [Shape]) {
    precondition(condition, "\(name): \(message()); inputs \(inputs.map(\.description).joined(separator: ", "))")
  }
}
