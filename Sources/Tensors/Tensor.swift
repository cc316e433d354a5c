@_exported import LinearAlgebra

/// A dense array of `Float` or `Double` of any rank: row-major, contiguous, a value.
///
/// Feature maps are `[B, C, H, W]`. Copies share memory until one of them is written, and `reshaped` shares it for
/// good. Operations on tensors outside a `Tape` compute and forget; inside one they are also recorded.
public struct Tensor<Scalar: RealScalar>: Sendable {
  /// The extents, outermost first.
  public let shape: Shape
  /// The numbers; `nil` for a parameter that is not initialised and for results in a symbolic trace.
  package var storage: TensorStorage<Scalar>?
  /// Where this tensor was recorded, if it was.
  package var recording: Recording<Scalar>?

  package init(shape: Shape, storage: TensorStorage<Scalar>?, recording: Recording<Scalar>? = nil) {
    check(storage == nil || storage!.count >= shape.scalarCount, "storage too small for shape \(shape)")
    self.shape = shape
    self.storage = storage
    self.recording = recording
  }

  /// A tensor whose memory `body` fills, all of it.
  public init(
    _ shape: Shape, unsafeUninitialized body: (_ scalars: UnsafeMutableBufferPointer<Scalar>) throws -> Void
  ) rethrows {
    let storage = TensorStorage<Scalar>(count: shape.scalarCount)
    try body(UnsafeMutableBufferPointer(start: storage.pointer, count: shape.scalarCount))
    self.init(shape: shape, storage: storage)
  }

  /// A tensor with these scalars, in row-major order.
  /// - Precondition: there are as many as `shape` asks for.
  public init(_ shape: Shape, _ scalars: some Collection<Scalar>) {
    check(
      scalars.count == shape.scalarCount, "\(scalars.count) scalars for shape \(shape) of \(shape.scalarCount)")
    self.init(shape) { _ = $0.initialize(from: scalars) }
  }

  /// A tensor filled with one number.
  public init(_ shape: Shape, repeating value: Scalar) {
    self.init(shape) { if let start = $0.baseAddress { fill(start, with: value, count: $0.count) } }
  }

  /// A tensor of rank 0.
  public init(_ value: Scalar) { self.init([], repeating: value) }

  /// A tensor over memory that `owner` keeps alive and nobody writes: weights in a mapped file.
  public init(_ shape: Shape, borrowing pointer: UnsafePointer<Scalar>, owner: AnyObject) {
    self.init(
      shape: shape, storage: TensorStorage(borrowing: pointer, count: shape.scalarCount, owner: owner))
  }

  /// The number of scalars.
  public var scalarCount: Int { shape.scalarCount }

  /// The number of axes.
  public var rank: Int { shape.rank }

  /// A copy of the scalars in row-major order.
  public var scalars: [Scalar] { withUnsafeScalars { Array($0) } }

  /// The only scalar.
  /// - Precondition: there is exactly one.
  public var item: Scalar {
    check(scalarCount == 1, "item of a tensor of shape \(shape)")
    return withUnsafeScalars { $0[0] }
  }

  /// The scalar at a position, one index for each axis.
  public subscript(position: Int...) -> Scalar {
    check(position.count == rank, "\(position.count) indices for shape \(shape)")
    var offset = 0
    for (index, extent) in zip(position, shape) {
      check(index >= 0 && index < extent, "index \(position) outside shape \(shape)")
      offset = offset * extent + index
    }
    return withUnsafeScalars { $0[offset] }
  }

  /// Calls `body` with the scalars in row-major order.
  public func withUnsafeScalars<Result>(_ body: (UnsafeBufferPointer<Scalar>) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(storage) {
      try body(UnsafeBufferPointer(start: pointer, count: scalarCount))
    }
  }

  /// Calls `body` with one row of a matrix.
  package func withRow<Result>(
    _ row: Int, _ body: (UnsafeBufferPointer<Scalar>) throws -> Result
  ) rethrows -> Result {
    let columns = shape[1]
    return try withUnsafeScalars {
      try body(UnsafeBufferPointer(rebasing: $0[row * columns..<(row + 1) * columns]))
    }
  }

  /// Calls `body` with the scalars for writing, after a copy if the memory is shared. The result is a new value: it is
  /// not part of a tape.
  public mutating func withUnsafeMutableScalars<Result>(
    _ body: (UnsafeMutableBufferPointer<Scalar>) throws -> Result
  ) rethrows -> Result {
    if !ownsItsMemory() { self = copy() }
    recording = nil
    return try body(UnsafeMutableBufferPointer(start: storage!.pointer, count: scalarCount))
  }

  /// Whether nobody else sees what is written to this tensor's memory.
  package mutating func ownsItsMemory() -> Bool { storage?.isOwned == true && isKnownUniquelyReferenced(&storage) }

  /// A tensor of this shape to write what is made of this one, number by number: this one itself where nobody else uses
  /// its memory, otherwise uninitialised.
  mutating func replacement() -> Tensor {
    ownsItsMemory() ? detached : Tensor(shape: shape, storage: TensorStorage(count: scalarCount))
  }

  /// The same numbers in memory of their own.
  public func copy() -> Tensor {
    withUnsafeScalars { source in Tensor(shape) { _ = $0.initialize(fromContentsOf: source) } }
  }

  /// The same values without their history.
  public var detached: Tensor { Tensor(shape: shape, storage: storage) }

  /// The first scalar's address; valid while `storage` lives.
  package var pointer: UnsafePointer<Scalar> {
    guard let storage else {
      preconditionFailure(
        "a tensor of shape \(shape) has no values: a parameter must be initialised or loaded before it is used, and in a "
          + "symbolic trace a network must not look at values")
    }
    return UnsafePointer(storage.pointer)
  }
}

extension Tensor: CustomStringConvertible {
  /// The type, the shape and up to eight scalars.
  public var description: String {
    guard storage != nil else { return "Tensor<\(Scalar.self)>\(shape) (no values)" }
    let shown = withUnsafeScalars { $0.prefix(8).map { "\($0)" } }.joined(separator: ", ")
    return "Tensor<\(Scalar.self)>\(shape)(\(shown)\(scalarCount > 8 ? ", …" : ""))"
  }
}

extension Tensor {
  /// A tensor that has a shape and no values yet: a parameter before it is initialised or loaded.
  public static func uninitialized(_ shape: Shape) -> Tensor { Tensor(shape: shape, storage: nil) }

  /// Whether there are values to compute with.
  public var hasValues: Bool { storage != nil }
}
