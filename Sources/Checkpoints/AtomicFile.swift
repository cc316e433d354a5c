import Foundation
import Tensors

/// Calls `body` to write a file beside `path`, flushes it to the disk and renames it to `path`. On an error nothing is
/// left behind.
func writeAtomically(to path: String, _ body: (inout FileOutput) throws -> Void) throws {
  let directory = (path as NSString).deletingLastPathComponent
  let random = String(UInt64.random(in: .min ... .max), radix: 36)
  let partial = (directory as NSString).appendingPathComponent(
    ".\((path as NSString).lastPathComponent).\(random).partial")
  let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw unwritable(path) }
  var isOpen = true
  do {
    var output = FileOutput(descriptor: descriptor, path: path)
    try body(&output)
    try output.flush()
    guard fsync(descriptor) == 0 else { throw unwritable(path) }
    isOpen = false
    // Some file systems report a full disk only here.
    guard close(descriptor) == 0 else { throw unwritable(path) }
    guard rename(partial, path) == 0 else { throw unwritable(path) }
  } catch {
    if isOpen { close(descriptor) }
    unlink(partial)
    throw error
  }
  // The name must survive a crash as well; where a directory cannot be flushed, nothing is lost but that.
  let folder = open(directory.isEmpty ? "." : directory, O_RDONLY | O_CLOEXEC)
  if folder >= 0 {
    fsync(folder)
    close(folder)
  }
}

/// The error for a call of the system that has just failed.
private func unwritable(_ path: String) -> CheckpointError {
  .unwritable(path: path, reason: String(cString: strerror(errno)))
}

/// Writes bytes and numbers to an open file by way of a buffer.
package struct FileOutput {
  private let descriptor: Int32
  private let path: String
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 20

  /// An output to the open file `descriptor`; errors name `path`.
  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
    buffer.reserveCapacity(Self.bufferSize + 64)
  }

  /// Writes these bytes.
  package mutating func write(_ bytes: [UInt8]) throws {
    buffer += bytes
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Writes numbers as a floating-point type, little-endian.
  package mutating func write<S: RealScalar>(_ scalars: UnsafeBufferPointer<S>, as type: ElementType) throws {
    if S.name == type.rawValue, Int(littleEndian: 1) == 1 {
      try flush()
      return try hand(over: UnsafeRawBufferPointer(scalars))
    }
    let chunk = Self.bufferSize / type.byteWidth
    for start in stride(from: 0, to: scalars.count, by: chunk) {
      let part = scalars[start..<min(start + chunk, scalars.count)]
      switch type {
      case .float16: for value in part { append(Float16(value).bitPattern) }
      case .bfloat16: for value in part { append(bfloat16(Float(value))) }
      case .float64: for value in part { append(Double(value).bitPattern) }
      default: for value in part { append(Float(value).bitPattern) }
      }
      try flush()
    }
  }

  private mutating func append(_ bits: some FixedWidthInteger) {
    withUnsafeBytes(of: bits.littleEndian) { buffer.append(contentsOf: $0) }
  }

  /// Hands what is buffered to the system.
  package mutating func flush() throws {
    try buffer.withUnsafeBytes(hand(over:))
    buffer.removeAll(keepingCapacity: true)
  }

  private func hand(over bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Foundation.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw unwritable(path) }
      rest = rest.dropFirst(count)
    }
  }
}

/// The upper half of a number's bits, rounded to the nearest, ties to even; NaN stays NaN.
private func bfloat16(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  if value.isNaN { return UInt16(bits >> 16) | 0x40 }
  return UInt16((UInt64(bits) + 0x7FFF + UInt64(bits >> 16 & 1)) >> 16)
}
