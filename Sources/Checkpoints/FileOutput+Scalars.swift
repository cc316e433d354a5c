import Files
import Tensors

extension FileOutput {
  /// Writes numbers as a floating-point type, little-endian.
  package func write<S: RealScalar>(_ scalars: UnsafeBufferPointer<S>, as type: ElementType) throws {
    guard let start = scalars.baseAddress else { return }
    if S.name == type.rawValue, Int(littleEndian: 1) == 1 { return try write(UnsafeRawBufferPointer(scalars)) }
    // Converted a part at a time, so that a large tensor is not held twice.
    let chunk = 1 << 18
    for first in stride(from: 0, to: scalars.count, by: chunk) {
      let range = first..<min(first + chunk, scalars.count)
      // For the compiler to specialise.
      if let start = start as? UnsafePointer<Float> {
        try write(converted: start, range, type)
      } else if let start = start as? UnsafePointer<Double> {
        try write(converted: start, range, type)
      } else {
        try write(converted: start, range, type)
      }
    }
  }

  private func write<S: RealScalar>(converted scalars: UnsafePointer<S>, _ range: Range<Int>, _ type: ElementType)
    throws
  {
    switch type {
    case .float16: try range.map { Float16(scalars[$0]).bitPattern.littleEndian }.withUnsafeBytes(write)
    case .bfloat16: try range.map { bfloat16(Float(scalars[$0])).littleEndian }.withUnsafeBytes(write)
    case .float64: try range.map { Double(scalars[$0]).bitPattern.littleEndian }.withUnsafeBytes(write)
    default: try range.map { Float(scalars[$0]).bitPattern.littleEndian }.withUnsafeBytes(write)
    }
  }
}

/// The upper half of a number's bits, rounded to the nearest, ties to even; NaN stays NaN.
private func bfloat16(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  if value.isNaN { return UInt16(bits >> 16) | 0x40 }
  return UInt16((UInt64(bits) + 0x7FFF + UInt64(bits >> 16 & 1)) >> 16)
}
