/// Something that makes one tensor of others: convolution, covariance, a sum.
///
/// An operation is a value: its properties are the attributes (stride, iterations), its inputs are tensors, weights
/// among them. Everything else reads operations off a `Tape`: differentiating calls their pullbacks, a plan folds and
/// fuses them, the model summary counts them. Conform a type of your own and call it with `applied(to:)`; networks,
/// gradients and plans take it like any other.
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

  /// The result together with what the pullback needs; by default `forward`, with nothing saved besides.
  func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar>

  /// Which tensors of an application the pullback looks at; the others may be freed.
  var pullbackNeeds: PullbackNeeds { get }

  /// The gradients with respect to the inputs, given that with respect to the result.
  /// - Returns: one gradient for each input, of its shape; `nil` where there is none or `application.needsGradient` says
  ///   that none is wanted.
  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?]

  /// Adds the gradients with respect to the inputs to what other readers of the inputs have found.
  ///
  /// By default `pullback(_:_:)` makes them and they are added afterwards; implement that. This form is for operations that
  /// can do both at once, or reuse memory, and is implemented beside the other.
  /// - Parameters:
  ///   - gradient: with respect to the result; its memory may be written where nobody else uses it.
  ///   - application: what was computed.
  ///   - sums: an entry for each input: what was found before, `nil` where there is nothing yet. Of an input that is given
  ///     twice the first entry has it. Entries for which no gradient is wanted may stay as they are.
  func pullback<Scalar>(
    _ gradient: consuming Tensor<Scalar>, _ application: Application<Scalar>, addingTo sums: inout [Tensor<Scalar>?])

  /// Multiply-adds of `forward`, as papers count them: products of convolutions and classifiers.
  func multiplyAdds(_ inputs: [Shape]) -> Int
}

/// Which tensors of an application a pullback looks at.
public struct PullbackNeeds: OptionSet, Sendable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// The values of the inputs.
  public static let inputs = PullbackNeeds(rawValue: 1)
  /// The values of the result.
  public static let output = PullbackNeeds(rawValue: 2)
}

/// An operation applied to tensors: what a pullback works from.
public struct Application<Scalar: RealScalar>: Sendable {
  /// What it was applied to.
  public var inputs: [Tensor<Scalar>]
  /// What came out.
  public var output: Tensor<Scalar>
  /// Intermediate results that the pullback reuses.
  public var saved: [Tensor<Scalar>]
  /// Intermediate results that the pullback reuses, in double precision whatever `Scalar` is.
  public var savedInDouble: [Tensor<Double>] = []
  /// For which inputs a gradient is wanted.
  public var needsGradient: [Bool]

  /// An application with everything that its pullback needs.
  public init(
    inputs: [Tensor<Scalar>], output: Tensor<Scalar>, saved: [Tensor<Scalar>] = [], needsGradient: [Bool]
  ) {
    (self.inputs, self.output, self.saved, self.needsGradient) = (inputs, output, saved, needsGradient)
  }

  /// The same without the values that nobody will look at.
  func reduced(to needs: PullbackNeeds) -> Application {
    var reduced = self
    if !needs.contains(.inputs) { reduced.inputs = inputs.map { .uninitialized($0.shape) } }
    if !needs.contains(.output) { reduced.output = .uninitialized(output.shape) }
    return reduced
  }
}

extension TensorOperation {
  public var name: String { "\(Self.self)" }

  public func multiplyAdds(_ inputs: [Shape]) -> Int { 0 }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>]) -> Tensor<Scalar> {
    Tensor(outputShape(inputs.map(\.shape))) { forward(inputs, into: $0) }
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    Application(inputs: inputs, output: forward(inputs), needsGradient: needsGradient)
  }

  public var pullbackNeeds: PullbackNeeds { [.inputs, .output] }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    fatalError("\(name) has no pullback: implement `pullback(_:_:)` to differentiate through it")
  }

  public func pullback<Scalar>(
    _ gradient: consuming Tensor<Scalar>, _ application: Application<Scalar>, addingTo sums: inout [Tensor<Scalar>?]
  ) {
    let parts = pullback(gradient, application)
    check(parts.count == sums.count, "\(name): \(parts.count) gradients for \(sums.count) inputs")
    for (position, part) in parts.enumerated() {
      checkGradient(part, at: position, application)
      add(part, to: &sums[position])
    }
  }

  /// `pullback(_:_:)` of an operation that implements the form that adds.
  func pullbackToNothing<Scalar>(
    _ gradient: Tensor<Scalar>, _ application: Application<Scalar>
  ) -> [Tensor<Scalar>?] {
    var gradients = [Tensor<Scalar>?](repeating: nil, count: application.inputs.count)
    pullback(gradient, application, addingTo: &gradients)
    return gradients
  }

  /// Stops with the operation's name where a gradient has not its input's shape.
  func checkGradient<Scalar>(_ gradient: Tensor<Scalar>?, at position: Int, _ application: Application<Scalar>) {
    guard let gradient else { return }
    let shape = application.inputs[position].shape
    check(gradient.shape == shape, "\(name): gradient \(gradient.shape) of input \(position), which is \(shape)")
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
    check(condition, "\(name): \(message()); inputs \(inputs.map(\.description).joined(separator: ", "))")
  }
}
