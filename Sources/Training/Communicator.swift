import NeuralNetworks

/// What processes that train one network together ask of each other. Alone a process has nothing to ask: `SingleProcess`.
public protocol Communicator: Sendable {
  /// This process, from 0, and how many there are.
  var rank: Int { get }
  var size: Int { get }

  /// Replaces gradients by their mean over all ranks, each weighted by the images that it had.
  func average(_ gradients: inout Gradients<Float>, weight: Double) throws

  /// Replaces numbers by their sums over all ranks.
  func sum(_ numbers: inout [Double]) throws
}

/// The only process of a run.
public struct SingleProcess: Communicator {
  /// The communicator of one.
  public init() {}
  public var rank: Int { 0 }
  public var size: Int { 1 }
  public func average(_ gradients: inout Gradients<Float>, weight: Double) {}
  public func sum(_ numbers: inout [Double]) {}
}
