import Tensors

extension StoredTensor {
  /// The numbers as a tensor of `Float` or `Double`.
  ///
  /// Where the file's type is the scalar's and the numbers lie contiguous, little-endian and aligned, the tensor
  /// borrows the mapped file: nothing is read before it is used. Otherwise the numbers are copied and converted: truth
  /// values to 0 and 1, a number that the scalar cannot represent to the nearest.
  public func tensor<S: RealScalar>(as _: S.Type = S.self) throws -> Tensor<S> {
    if let pointer = borrowable(as: S.self) { return Tensor(shape, borrowing: pointer, owner: file) }
    return Tensor(shape) { scalars in
      guard let target = scalars.baseAddress else { return }
      if isPlain(S.self) {
        var next = UnsafeMutableRawPointer(target)
        for piece in pieces {
          next.copyMemory(from: file.base + piece.lowerBound, byteCount: piece.count)
          next += piece.count
        }
        return
      }
      if let target = target as? UnsafeMutablePointer<Float> {
        fill(target)
      } else if let target = target as? UnsafeMutablePointer<Double> {
        fill(target)
      } else {
        fill(target)
      }
    }
  }

  /// The numbers as `Double` in row-major order, for tests and small tensors: an integer beyond 2⁵³ is rounded.
  public var scalars: [Double] {
    get throws { try tensor(as: Double.self).scalars }
  }

  /// The numbers of a tensor of integers or truth values in row-major order, exactly.
  /// - Throws: `CheckpointError.conversion` for a floating-point tensor and for a number beyond `Int64`.
  public func integers() throws -> [Int64] {
    func failure(_ reason: String) -> CheckpointError {
      .conversion(path: file.path, tensor: printable(name), reason: reason)
    }
    guard !type.isFloatingPoint else { throw failure("integers expected, found \(type.rawValue)") }
    var result: [Int64] = []
    result.reserveCapacity(shape.scalarCount)
    var overflow = false
    switch type {
    case .int8: forEachElement { (bits: UInt8) in result.append(Int64(Int8(bitPattern: bits))) }
    case .uint8: forEachElement { (bits: UInt8) in result.append(Int64(bits)) }
    case .int16: forEachElement { (bits: UInt16) in result.append(Int64(Int16(bitPattern: bits))) }
    case .uint16: forEachElement { (bits: UInt16) in result.append(Int64(bits)) }
    case .int32: forEachElement { (bits: UInt32) in result.append(Int64(Int32(bitPattern: bits))) }
    case .uint32: forEachElement { (bits: UInt32) in result.append(Int64(bits)) }
    case .int64: forEachElement { (bits: UInt64) in result.append(Int64(bitPattern: bits)) }
    case .uint64:
      forEachElement { (bits: UInt64) in
        overflow = overflow || bits > Int64.max
        result.append(Int64(truncatingIfNeeded: bits))
      }
    case .bool: forEachElement { (bits: UInt8) in result.append(bits == 0 ? 0 : 1) }
    case .float16, .bfloat16, .float32, .float64: break
    }
    guard !overflow else { throw failure("it has a number beyond Int64") }
    return result
  }

  /// Whether the file's bytes are the scalars' own, in their order.
  private func isPlain<S: RealScalar>(_: S.Type) -> Bool {
    S.name == type.rawValue && strides == nil && !isBigEndian && Int(littleEndian: 1) == 1
  }

  /// The address of the numbers, where they can be used as they lie in the file.
  private func borrowable<S: RealScalar>(as _: S.Type) -> UnsafePointer<S>? {
    guard isPlain(S.self), pieces.count == 1, shape.scalarCount > 0 else { return nil }
    let address = file.base + pieces[0].lowerBound
    guard Int(bitPattern: address) % MemoryLayout<S>.alignment == 0 else { return nil }
    return address.assumingMemoryBound(to: S.self)
  }

  /// Writes the converted numbers in row-major order. Generic, but used with known types, so specialised.
  @inline(__always)
  private func fill<S: RealScalar>(_ target: UnsafeMutablePointer<S>) {
    var next = target
    @inline(__always) func put(_ value: S) {
      next.initialize(to: value)
      next += 1
    }
    switch type {
    case .float16: forEachElement { (bits: UInt16) in put(S(float(half: bits))) }
    case .bfloat16: forEachElement { (bits: UInt16) in put(S(Float(bitPattern: UInt32(bits) << 16))) }
    case .float32: forEachElement { (bits: UInt32) in put(S(Float(bitPattern: bits))) }
    case .float64: forEachElement { (bits: UInt64) in put(S(Double(bitPattern: bits))) }
    case .int8: forEachElement { (bits: UInt8) in put(S(Int8(bitPattern: bits))) }
    case .uint8: forEachElement { (bits: UInt8) in put(S(bits)) }
    case .int16: forEachElement { (bits: UInt16) in put(S(Int16(bitPattern: bits))) }
    case .uint16: forEachElement { (bits: UInt16) in put(S(bits)) }
    case .int32: forEachElement { (bits: UInt32) in put(S(Int32(bitPattern: bits))) }
    case .uint32: forEachElement { (bits: UInt32) in put(S(bits)) }
    case .int64: forEachElement { (bits: UInt64) in put(S(Int64(bitPattern: bits))) }
    case .uint64: forEachElement { (bits: UInt64) in put(S(bits)) }
    case .bool: forEachElement { (bits: UInt8) in put(bits == 0 ? 0 : 1) }
    }
  }

  /// Calls `body` with the bits of every number in row-major order.
  @inline(__always)
  private func forEachElement<Bits: FixedWidthInteger & BitwiseCopyable>(_ body: (Bits) -> Void) {
    let width = MemoryLayout<Bits>.size
    check(width == type.byteWidth, "\(width) bytes for an element of type \(type.rawValue)")
    let swap = isBigEndian
    @inline(__always) func run(from start: UnsafeRawPointer, count: Int, byteStride: Int) {
      for index in 0..<count {
        let bits = Bits(littleEndian: start.loadUnaligned(fromByteOffset: index * byteStride, as: Bits.self))
        body(swap ? bits.byteSwapped : bits)
      }
    }
    guard shape.scalarCount > 0 else { return }
    guard let strides, let innerExtent = shape.last, let innerStride = strides.last else {
      for piece in pieces { run(from: file.base + piece.lowerBound, count: piece.count / width, byteStride: width) }
      return
    }
    // An odometer over all axes but the last, which is one run.
    let start = file.base + pieces[0].lowerBound
    var position = [Int](repeating: 0, count: shape.rank - 1)
    var offset = 0
    while true {
      run(from: start + offset * width, count: innerExtent, byteStride: innerStride * width)
      var axis = shape.rank - 2
      while axis >= 0 {
        position[axis] += 1
        offset += strides[axis]
        if position[axis] < shape[axis] { break }
        offset -= strides[axis] * shape[axis]
        position[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}

/// The value of IEEE half-precision bits. Swift's own conversion is a library call for each number on processors
/// without F16C; this vectorises.
@inline(__always)
func float(half bits: UInt16) -> Float {
  let magnitude = UInt32(bits & 0x7FFF) << 13
  // Moving the exponent's bias by a multiplication with 2¹¹² makes subnormal numbers come out right as well.
  let value = Float(bitPattern: magnitude) * Float(sign: .plus, exponent: 112, significand: 1)
  let finite = value.bitPattern
  let special = magnitude | 0x7F80_0000
  return Float(bitPattern: (bits & 0x7C00 == 0x7C00 ? special : finite) | UInt32(bits & 0x8000) << 16)
}
