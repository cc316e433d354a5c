import Synchronization

/// Where a tensor stands on a tape.
package struct Recording<Scalar: RealScalar>: Sendable {
  package let tape: Tape<Scalar>
  package let value: Int
}

/// A list of applied operations, in the order they were applied: what a network did with its input.
///
/// Differentiating walks it backwards, once; plans, summaries and counters read it forwards. A symbolic tape records
/// shapes only and computes nothing, which is how a network is planned in milliseconds.
public final class Tape<Scalar: RealScalar>: Sendable {
  /// What a tape is for.
  public enum Purpose: Sendable {
    /// Shapes only; nothing is computed.
    case tracing
    /// Values, and what pullbacks need of them. Layers that behave differently in training do so if `isTraining`.
    case differentiating(isTraining: Bool)
  }

  /// One value on the tape: a leaf, or the result of an operation.
  public struct Value: Sendable {
    /// The value's shape.
    public let shape: Shape
    /// A leaf's name: a parameter's path, or that of an input.
    public let name: String?
    /// A leaf's numbers; `nil` for results, which live as long as somebody needs them.
    public let tensor: Tensor<Scalar>?
    /// Whether a gradient with respect to this value is wanted or leads to one that is.
    package let needsGradient: Bool
  }

  /// One applied operation.
  public struct Step: Sendable {
    /// What was applied.
    public let operation: any TensorOperation
    /// Indices of the inputs in `values`.
    public let inputs: [Int]
    /// Index of the result in `values`.
    public let output: Int
    /// What the pullback needs; `nil` where no gradient passes.
    package var application: Application<Scalar>?
  }

  private struct State {
    var values: [Value] = []
    var steps: [Step] = []
    var updates: [(leaf: Int, tensor: Tensor<Scalar>)] = []
    var metrics: [Metric: Double] = [:]
    var isSpent = false
    var firstNotFinite: String?
  }

  /// What the tape is for.
  public let purpose: Purpose
  /// Random numbers for layers that drop or mix at random.
  public let random: RandomStream
  /// Whether every result is searched for NaN and infinity.
  private let checksFinite: Bool
  private let state = Mutex(State())

  /// An empty tape.
  /// - Parameters:
  ///   - purpose: what is recorded, and how layers behave.
  ///   - random: random numbers for layers that drop or mix at random.
  ///   - checksFinite: whether every result is searched for NaN and infinity, for `firstNotFinite`.
  public init(
    _ purpose: Purpose, random: RandomStream = RandomStream(seed: 0, name: "tape"), checksFinite: Bool = false
  ) {
    (self.purpose, self.random, self.checksFinite) = (purpose, random, checksFinite)
  }

  /// The first tensor that was not finite, in words, on a tape that checks.
  public var firstNotFinite: String? { state.withLock { $0.firstNotFinite } }

  /// Whether operations are recorded without being computed.
  public var isSymbolic: Bool { if case .tracing = purpose { true } else { false } }

  /// Whether layers are to behave as in training.
  public var isTraining: Bool { if case .differentiating(let isTraining) = purpose { isTraining } else { false } }

  /// All values so far.
  public var values: [Value] { state.withLock { $0.values } }

  /// All applied operations so far.
  public var steps: [Step] { state.withLock { $0.steps } }

  /// `tensor` as a leaf of this tape; what is computed from the result is recorded.
  public func leaf(_ tensor: Tensor<Scalar>, name: String? = nil, needsGradient: Bool = false) -> Tensor<Scalar> {
    let plain = tensor.detached
    let value = Value(shape: plain.shape, name: name, tensor: plain, needsGradient: needsGradient)
    return Tensor(shape: plain.shape, storage: plain.storage, recording: append(value))
  }

  /// A leaf of a symbolic tape that has a shape and no values: the input of a network.
  public func placeholder(_ shape: Shape, name: String) -> Tensor<Scalar> {
    check(isSymbolic, "a placeholder has no values to compute with; the tape must be for tracing")
    let value = Value(shape: shape, name: name, tensor: nil, needsGradient: false)
    return Tensor(shape: shape, storage: nil, recording: append(value))
  }

  /// The index in `values` of a tensor of this tape.
  /// - Precondition: `tensor` was recorded on this tape.
  public func index(of tensor: Tensor<Scalar>) -> Int {
    guard let recording = tensor.recording, recording.tape === self else {
      fatalError("a tensor of shape \(tensor.shape) is not on this tape")
    }
    return recording.value
  }

  /// Whether a gradient with respect to a tensor of this tape is wanted or leads to one that is.
  /// - Precondition: `tensor` was recorded on this tape.
  package func needsGradient(_ tensor: Tensor<Scalar>) -> Bool {
    let index = index(of: tensor)
    return state.withLock { $0.values[index].needsGradient }
  }

  /// Notes that a leaf which is not learned has a new value: BatchNorm's running statistics after a training step.
  public func note(_ newValue: Tensor<Scalar>, for leaf: Tensor<Scalar>) {
    let index = index(of: leaf)
    state.withLock { $0.updates.append((index, newValue.detached)) }
  }

  /// What `note(_:for:)` was told, by the leaves' names.
  package var notedUpdates: [BufferUpdate<Scalar>] {
    state.withLock { state in
      state.updates.map { BufferUpdate(name: state.values[$0.leaf].name ?? "", tensor: $0.tensor) }
    }
  }

  /// Notes a number that says how training goes: DropCov's drop rate.
  public func note(_ metric: Metric, _ value: Double) { state.withLock { $0.metrics[metric] = value } }

  /// The last value of each metric.
  package var notedMetrics: [Metric: Double] { state.withLock { $0.metrics } }

  /// What the operation with this result saved for its pullback.
  /// - Precondition: a gradient passes through the operation, and the tape is not spent.
  package func saved(for result: Tensor<Scalar>) -> [Tensor<Scalar>] {
    let value = index(of: result)
    let application = state.withLock { state in state.steps.last { $0.output == value }?.application }
    guard let application else { fatalError("nothing was saved for a result of shape \(result.shape)") }
    return application.saved
  }

  /// Applies an operation to tensors of this tape; tensors of no tape are recorded as anonymous leaves.
  func record(_ operation: some TensorOperation, _ inputs: [Tensor<Scalar>]) -> Tensor<Scalar> {
    let indices = inputs.map { input -> Int in
      guard let recording = input.recording else { return index(of: leaf(input)) }
      check(recording.tape === self, "\(operation.name): inputs are on two different tapes")
      return recording.value
    }
    let shape = operation.outputShape(inputs.map(\.shape))
    let needs = state.withLock { state in
      check(!state.isSpent, "\(operation.name): this tape was differentiated already; record on a new one")
      return indices.map { state.values[$0].needsGradient }
    }
    var step = Step(operation: operation, inputs: indices, output: 0, application: nil)
    var result = Tensor<Scalar>(shape: shape, storage: nil)
    if !isSymbolic {
      let plain = inputs.map(\.detached)
      if needs.contains(true) {
        let application = operation.apply(plain, needsGradient: needs)
        result = application.output
        step.application = application.reduced(to: operation.pullbackNeeds)
      } else {
        result = operation.forward(plain)
      }
      check(result.shape == shape, "\(operation.name): result \(result.shape), announced \(shape)")
      if checksFinite { checkFinite(operation.name, indices, plain, result) }
    }
    let value = state.withLock { state in
      state.values.append(Value(shape: shape, name: nil, tensor: nil, needsGradient: needs.contains(true)))
      state.steps.append(
        Step(
          operation: operation, inputs: indices, output: state.values.count - 1, application: step.application))
      return state.values.count - 1
    }
    return Tensor(shape: shape, storage: result.storage, recording: Recording(tape: self, value: value))
  }

  private func checkFinite(_ name: String, _ indices: [Int], _ inputs: [Tensor<Scalar>], _ result: Tensor<Scalar>) {
    state.withLock { state in
      guard state.firstNotFinite == nil else { return }
      let leaves = indices.map { state.values[$0].name }
      for (leaf, input) in zip(leaves, inputs) where leaf != nil && !input.isFinite {
        state.firstNotFinite = leaf
        return
      }
      let named = leaves.compactMap { $0 }
      guard !result.isFinite else { return }
      state.firstNotFinite = "the result of \(name)" + (named.isEmpty ? "" : " with \(named.joined(separator: ", "))")
    }
  }

  /// Hands out the steps for differentiating, once; the tape keeps none of what they hold.
  package func spend() -> [Step] {
    state.withLock { state in
      check(!state.isSpent, "this tape was differentiated already: a tape is used once")
      state.isSpent = true
      defer { state.steps = [] }
      return state.steps
    }
  }

  private func append(_ value: Value) -> Recording<Scalar> {
    state.withLock { state in
      state.values.append(value)
      return Recording(tape: self, value: state.values.count - 1)
    }
  }
}
