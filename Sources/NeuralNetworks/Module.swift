@_exported import Tensors

/// A network or a part of one: a value that holds parameters and maps a tensor to a tensor.
///
/// `visitTensors` lists the parts once, each with its name in checkpoints; loading, saving, counting, initialising and
/// tracing all go through it. A tensor's path, `layer1.0.conv1.weight`, is its name in PyTorch.
public protocol Module<Scalar>: Sendable {
  /// The precision of the parameters.
  associatedtype Scalar: RealScalar

  /// Shows every tensor and submodule to `visit`, with its name.
  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>)

  /// The result for a batch.
  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar>
}

/// What a module says of one of its tensors.
public struct TensorDescription: Sendable {
  /// What the tensor is for.
  public enum Role: Sendable {
    /// Learned.
    case parameter
    /// Learned, and used in training only: DropCov's attention.
    case trainingParameter
    /// Kept but not learned: running statistics.
    case buffer
  }

  /// The path in the module tree, which is the name in a PyTorch checkpoint.
  public let name: String
  /// What the tensor is for.
  public let role: Role
  /// Its values in a new network.
  public let initializer: Initializer
}

/// Walks a module tree and keeps the path.
public final class ModuleVisitor<Scalar: RealScalar> {
  private var path = ""
  private let body: (TensorDescription, inout Tensor<Scalar>) -> Void

  fileprivate init(_ body: @escaping (TensorDescription, inout Tensor<Scalar>) -> Void) { self.body = body }

  /// A tensor of the module.
  public func callAsFunction(
    _ name: String, _ tensor: inout Tensor<Scalar>, _ role: TensorDescription.Role = .parameter,
    initially initializer: Initializer
  ) {
    body(TensorDescription(name: path + name, role: role, initializer: initializer), &tensor)
  }

  /// A tensor that the module may not have.
  public func callAsFunction(
    _ name: String, _ tensor: inout Tensor<Scalar>?, _ role: TensorDescription.Role = .parameter,
    initially initializer: Initializer
  ) {
    guard var present = tensor else { return }
    tensor = nil  // so that `present` alone owns the memory and can be written in place
    callAsFunction(name, &present, role, initially: initializer)
    tensor = present
  }

  /// A part of the module.
  public func callAsFunction(_ name: String, _ module: inout some Module<Scalar>) {
    let outer = path
    path += name + "."
    module.visitTensors(self)
    path = outer
  }

  /// A part that the module may not have.
  public func callAsFunction<Part: Module<Scalar>>(_ name: String, _ module: inout Part?) {
    guard var present = module else { return }
    module = nil
    callAsFunction(name, &present)
    module = present
  }

  /// Parts in sequence, named by their position.
  public func callAsFunction(_ name: String, _ modules: inout [some Module<Scalar>]) {
    for index in modules.indices { callAsFunction("\(name).\(index)", &modules[index]) }
  }
}

extension Module {
  /// Calls `body` with every tensor of the module, in the order of a PyTorch state dict.
  public mutating func forEachTensor(_ body: (TensorDescription, inout Tensor<Scalar>) -> Void) {
    withoutActuallyEscaping(body) { visitTensors(ModuleVisitor($0)) }
  }

  /// Every tensor with its description.
  public var tensors: [(description: TensorDescription, tensor: Tensor<Scalar>)] {
    var (copy, found) = (self, [(description: TensorDescription, tensor: Tensor<Scalar>)]())
    copy.forEachTensor { found.append(($0, $1)) }
    return found
  }

  /// The number of learned scalars that inference uses.
  public var parameterCount: Int {
    tensors.reduce(0) { $0 + ($1.description.role == .parameter ? $1.tensor.scalarCount : 0) }
  }

  /// Gives every tensor the values of a new network. The same seed gives the same values on any machine.
  public mutating func initialize(seed: UInt64 = 0) {
    forEachTensor { description, tensor in
      tensor = description.initializer.values(tensor.shape, RandomStream(seed: seed, name: description.name))
    }
  }

  /// What the module does with an input of this shape. Nothing is computed, so the parameters need no values.
  public func trace(input shape: Shape) -> Trace<Scalar> { trace(input: shape) { $0($1) } }

  /// What `body` does with the module and an input of this shape: a part of the network, a loss.
  public func trace(
    input shape: Shape, _ body: (_ module: Self, _ x: Tensor<Scalar>) -> Tensor<Scalar>
  ) -> Trace<Scalar> {
    let tape = Tape<Scalar>(.tracing)
    var recorded = self
    recorded.forEachTensor { $1 = tape.leaf($1, name: $0.name) }
    let input = tape.placeholder(shape, name: "input")
    return Trace(tape, input: input, output: body(recorded, input))
  }
}
