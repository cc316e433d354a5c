/// The extents of a tensor, outermost first: `[B, C, H, W]` for a batch of feature maps.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, RandomAccessCollection, CustomStringConvertible {
  /// The extent of each axis.
  public var dimensions: [Int]

  /// A shape with these extents.
  /// - Precondition: no extent is negative.
  public init(_ dimensions: [Int]) {
    check(dimensions.allSatisfy { $0 >= 0 }, "negative extent in shape \(dimensions)")
    self.dimensions = dimensions
  }

  /// A shape written as a list of extents.
  public init(arrayLiteral elements: Int...) { self.init(elements) }

  /// The number of axes.
  public var rank: Int { dimensions.count }

  /// The number of scalars of a tensor of this shape; 1 for a scalar's shape `[]`.
  public var scalarCount: Int { dimensions.reduce(1, *) }

  public var startIndex: Int { 0 }
  public var endIndex: Int { dimensions.count }
  public subscript(axis: Int) -> Int { dimensions[axis] }

  public var description: String { "[\(dimensions.map(String.init).joined(separator: ", "))]" }
}
