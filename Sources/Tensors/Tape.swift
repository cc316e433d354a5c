import Synchronization

/// Where a tensor stands on a tape.
package struct Recording<Scalar: RealScalar>: Sendable {
  package let tape: Tape<Scalar>
  package let value: Int
}

/// A list of applied operations, in the order they were applied: what a network did with its input.
///
/// A symbolic tape records shapes only and computes nothing, which is how a network is summarised and planned in
/// milliseconds.
public final class Tape<Scalar: RealScalar>: Sendable {
  /// One value on the tape: a named or anonymous leaf, or the result of an operation.
  public struct Value: Sendable {
    /// The value's shape.
    public let shape: Shape
    /// A leaf's name: a parameter's path, or that of an input.
    public let name: String?
    /// A leaf's numbers, or those of a result where the tape computes.
    public let tensor: Tensor<Scalar>?
  }

  /// One applied operation.
  public struct Step: Sendable {
    /// What was applied.
    public let operation: any TensorOperation
    /// Indices of the inputs in `values`.
    public let inputs: [Int]
    /// Index of the result in `values`.
    public let output: Int
  }

  private struct State {
    var values: [Value] = []
    var steps: [Step] = []
  }

  /// Whether operations are recorded without being computed.
  public let isSymbolic: Bool
  private let state = Mutex(State())

  /// An empty tape.
  /// - Parameter isSymbolic: whether to record shapes only.
  public init(isSymbolic: Bool) { self.isSymbolic = isSymbolic }

  /// All values so far.
  public var values: [Value] { state.withLock { $0.values } }

  /// All applied operations so far.
  public var steps: [Step] { state.withLock { $0.steps } }

  /// `tensor` as a leaf of this tape; what is computed from the result is recorded.
  public func leaf(_ tensor: Tensor<Scalar>, name: String? = nil) -> Tensor<Scalar> {
    let plain = tensor.detached
    return Tensor(
      shape: plain.shape, storage: plain.storage,
      recording: append(Value(shape: plain.shape, name: name, tensor: plain)))
  }

  /// A leaf of a symbolic tape that has a shape and no values: the input of a network.
  public func placeholder(_ shape: Shape, name: String) -> Tensor<Scalar> {
    precondition(isSymbolic, "a placeholder has no values to compute with; the tape must be symbolic")
    return Tensor(shape: shape, storage: nil, recording: append(Value(shape: shape, name: name, tensor: nil)))
  }

  /// The index in `values` of a tensor of this tape.
  /// - Precondition: `tensor` was recorded on this tape.
  public func index(of tensor: Tensor<Scalar>) -> Int {
    guard let recording = tensor.recording, recording.tape === self else {
      preconditionFailure("a tensor of shape \(tensor.shape) is not on this tape")
    }
    return recording.value
  }

  /// Applies an operation to tensors of this tape; tensors of no tape are recorded as anonymous leaves.
  func record(_ operation: some TensorOperation, _ inputs: [Tensor<Scalar>]) -> Tensor<Scalar> {
    let indices = inputs.map { input -> Int in
      guard let recording = input.recording else { return index(of: leaf(input)) }
      precondition(recording.tape === self, "\(operation.name): inputs are on two different tapes")
      return recording.value
    }
    let shape = operation.outputShape(inputs.map(\.shape))
    let result = isSymbolic ? Tensor(shape: shape, storage: nil) : operation.forward(inputs.map(\.detached))
    precondition(result.shape == shape, "\(operation.name): result \(result.shape), announced \(shape)")
    let value = state.withLock { state in
      state.values.append(Value(shape: shape, name: nil, tensor: isSymbolic ? nil : result))
      state.steps.append(Step(operation: operation, inputs: indices, output: state.values.count - 1))
      return state.values.count - 1
    }
    return Tensor(shape: shape, storage: result.storage, recording: Recording(tape: self, value: value))
  }

  private func append(_ value: Value) -> Recording<Scalar> {
    state.withLock { state in
      state.values.append(value)
      return Recording(tape: self, value: state.values.count - 1)
    }
  }
}
