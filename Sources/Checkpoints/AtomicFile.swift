import Foundation
import Tensors

/// Finds out before a long run whether a file could be written by `writeAtomically`.
/// - Throws: `CheckpointError.unwritable` with the reason.
package func checkWritable(_ path: String) throws {
  var status = stat()
  if stat(path, &status) == 0 {
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw CheckpointError.unwritable(path: path, reason: "it is a directory")
    }
  }
  let target = resolved(path) ?? path
  let directory = (target as NSString).deletingLastPathComponent
  let place = status.st_mode & S_IFMT == S_IFREG || status.st_mode == 0 ? (directory.isEmpty ? "." : directory) : path
  guard access(place, W_OK) == 0 else { throw unwritable(path) }
}

/// The file that a link points to in the end; `nil` where there is none.
private func resolved(_ path: String) -> String? {
  guard let real = realpath(path, nil) else { return nil }
  defer { free(real) }
  return String(cString: real)
}

/// Calls `body` to write a file beside `path`, flushes it to the disk and renames it to `path`. On an error nothing is
/// left behind.
///
/// A link stays one: the file it points to is replaced. What is no regular file, a pipe or a device, is written to as it
/// is.
package func writeAtomically(to path: String, _ body: (FileOutput) throws -> Void) throws {
  var status = stat()
  if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unwritable(path) }
    defer { close(descriptor) }
    return try body(FileOutput(descriptor: descriptor, path: path))
  }
  let target = resolved(path) ?? path
  try replaceFile(at: target, named: path, body)
}

private func replaceFile(at target: String, named path: String, _ body: (FileOutput) throws -> Void) throws {
  let directory = (target as NSString).deletingLastPathComponent
  let random = String(UInt64.random(in: .min ... .max), radix: 36)
  let partial = (directory as NSString).appendingPathComponent(
    ".\((target as NSString).lastPathComponent).\(random).partial")
  let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw unwritable(path) }
  var isOpen = true
  do {
    try body(FileOutput(descriptor: descriptor, path: path))
    guard fsync(descriptor) == 0 else { throw unwritable(path) }
    isOpen = false
    // Some file systems report a full disk only here.
    guard close(descriptor) == 0 else { throw unwritable(path) }
    guard rename(partial, target) == 0 else { throw unwritable(path) }
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

/// Writes bytes and numbers to an open file.
package struct FileOutput {
  private let descriptor: Int32
  private let path: String

  /// An output to the open file `descriptor`; errors name `path`.
  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Writes these bytes.
  package func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes(write) }

  /// Writes numbers as a floating-point type, little-endian.
  package func write<S: RealScalar>(_ scalars: UnsafeBufferPointer<S>, as type: ElementType) throws {
    guard let start = scalars.baseAddress else { return }
    if S.name == type.rawValue, Int(littleEndian: 1) == 1 { return try write(UnsafeRawBufferPointer(scalars)) }
    // Converted a part at a time, so that a large tensor is not held twice.
    let chunk = 1 << 18
    for first in stride(from: 0, to: scalars.count, by: chunk) {
      let range = first..<min(first + chunk, scalars.count)
      try forPrecision(of: S.self) {
        try write(converted: start.float, range, type)
      } double: {
        try write(converted: start.double, range, type)
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

  /// Hands all bytes to the system.
  private func write(_ bytes: UnsafeRawBufferPointer) throws {
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
