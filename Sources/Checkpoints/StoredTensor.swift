import Tensors

/// A tensor in a file, not read yet: where its numbers lie, what they are, and how they are laid out.
///
/// The place has been checked against the file, so that reading cannot fail for lack of bytes. Nothing is copied before
/// `tensor(as:)` is called, and only where the numbers cannot be used as they lie.
public struct StoredTensor: Sendable {
  /// The tensor's name, without a `module.` prefix.
  public let name: String
  /// The extents, outermost first; `[]` for a single number.
  public let shape: Shape
  /// What one number is in the file.
  public let type: ElementType

  let file: FileBytes
  /// Where the numbers lie, in bytes; several ranges only for a tensor that its file splits, which is contiguous.
  let pieces: [Range<Int>]
  /// The distance between neighbours along each axis in elements; `nil` where row-major and contiguous.
  let strides: [Int]?
  let isBigEndian: Bool

  /// The most axes that a tensor may have.
  static let rankLimit = 32

  /// A tensor whose numbers follow each other in row-major order.
  init(name: String, dimensions: [Int], type: ElementType, pieces: [Range<Int>], in file: FileBytes) throws {
    let bytes = try Self.byteCount(name: name, dimensions: dimensions, type: type, in: file)
    let found = pieces.reduce(0) { $0 + $1.count }
    guard found == bytes else {
      throw file.malformed(
        "tensor \(quoted(name)) of shape \(dimensions) and type \(type.rawValue) takes \(bytes) bytes, "
          + "the file has \(found)"
      )
    }
    self.init(
      name: name, shape: Shape(dimensions), type: type, file: file, pieces: pieces, strides: nil, isBigEndian: false)
  }

  /// A tensor that views a storage of `storage.count / type.byteWidth` numbers, from number `offset` on.
  init(
    name: String, dimensions: [Int], strides: [Int], offset: Int, type: ElementType, storage: Range<Int>,
    isBigEndian: Bool, in file: FileBytes
  ) throws {
    let bytes = try Self.byteCount(name: name, dimensions: dimensions, type: type, in: file)
    let available = storage.count / type.byteWidth
    func refusal(_ reason: String) -> CheckpointError {
      file.malformed(
        "tensor \(quoted(name)) of shape \(dimensions), strides \(strides) and offset \(offset) \(reason)")
    }
    guard strides.count == dimensions.count else { throw refusal("has as many strides as axes: expected") }
    guard offset >= 0, strides.allSatisfy({ $0 >= 0 }) else { throw refusal("has a negative stride or offset") }
    // An expanded tensor (stride 0) repeats its numbers; it may not claim any size.
    guard bytes <= available * type.byteWidth || bytes <= 3 * file.count + (1 << 20) else {
      throw refusal("is larger than its storage of \(available) numbers")
    }
    var last = offset
    var overflow = false
    for (extent, stride) in zip(dimensions, strides) where bytes > 0 {
      let (step, first) = (extent - 1).multipliedReportingOverflow(by: stride)
      let (sum, second) = last.addingReportingOverflow(step)
      last = sum
      overflow = overflow || first || second
    }
    guard !overflow, bytes == 0 ? offset <= available : last < available else {
      throw refusal("reads outside its storage of \(available) numbers")
    }
    let contiguous = Self.isContiguous(dimensions: dimensions, strides: strides) || bytes == 0
    let start = bytes == 0 ? storage.lowerBound : storage.lowerBound + offset * type.byteWidth
    self.init(
      name: name, shape: Shape(dimensions), type: type, file: file,
      pieces: [start..<(contiguous ? start + bytes : storage.upperBound)],
      // Along an axis of one number no step is made, and its stride, which can be anything, is never used.
      strides: contiguous ? nil : zip(dimensions, strides).map { $0 == 1 ? 0 : $1 }, isBigEndian: isBigEndian)
  }

  private init(
    name: String, shape: Shape, type: ElementType, file: FileBytes, pieces: [Range<Int>], strides: [Int]?,
    isBigEndian: Bool
  ) {
    self.name = name
    self.shape = shape
    self.type = type
    self.file = file
    self.pieces = pieces
    self.strides = strides
    self.isBigEndian = isBigEndian && type.byteWidth > 1
  }

  /// The size of a tensor of these extents, if they are extents at all and the size is an `Int`.
  private static func byteCount(
    name: String, dimensions: [Int], type: ElementType, in file: FileBytes
  ) throws -> Int {
    guard dimensions.count <= rankLimit else {
      throw file.malformed("tensor \(quoted(name)) has \(dimensions.count) axes, more than \(rankLimit)")
    }
    guard dimensions.allSatisfy({ $0 >= 0 }) else {
      throw file.malformed("tensor \(quoted(name)) has a negative extent: shape \(dimensions)")
    }
    var bytes = type.byteWidth
    // Zeros are left for last, so that an overflow beside one is still noticed: the shape's count is computed later
    // in an order that might trap.
    for extent in dimensions where extent != 0 {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw file.malformed("tensor \(quoted(name)) of shape \(dimensions) is too large") }
      bytes = product
    }
    return dimensions.contains(0) ? 0 : bytes
  }

  private static func isContiguous(dimensions: [Int], strides: [Int]) -> Bool {
    var expected = 1
    for (extent, stride) in zip(dimensions, strides).reversed() where extent != 1 {
      guard stride == expected else { return false }
      expected *= extent
    }
    return true
  }

  /// The tensor under another name.
  func renamed(_ name: String) -> StoredTensor {
    StoredTensor(
      name: name, shape: shape, type: type, file: file, pieces: pieces, strides: strides, isBigEndian: isBigEndian)
  }

  /// The size of the numbers in bytes.
  var byteCount: Int { shape.scalarCount * type.byteWidth }

  /// The bytes of the numbers that a tensor made of them has in memory of its own, if it is one of `Float`.
  var floatByteCount: Int { shape.scalarCount * max(type.byteWidth, MemoryLayout<Float>.size) }
}

extension StoredTensor: CustomStringConvertible {
  /// The name, the type and the shape.
  public var description: String { "\(name): \(type.rawValue) \(shape)" }
}
