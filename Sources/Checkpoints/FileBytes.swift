import Files
import Foundation
import Tensors

/// The bytes of a file, mapped into memory for reading: nothing is read before it is looked at, and nothing is held
/// twice.
///
/// Tensors that borrow from the mapping hold this object, which unmaps when the last of them is gone. A file that
/// another process shortens meanwhile cannot be guarded against; files that are replaced by renaming are safe.
final class FileBytes: RefetchableMemory, @unchecked Sendable {
  let path: String
  let base: UnsafeRawPointer
  let count: Int
  private let isMapped: Bool

  /// Maps the regular file at `path`.
  init(mapping path: String) throws {
    let (descriptor, size): (Int32, Int)
    do { (descriptor, size) = try openRegularFile(path) } catch {
      throw CheckpointError.unreadable(path: path, reason: error.reason)
    }
    defer { close(descriptor) }
    guard size > 0 else { throw CheckpointError.unreadable(path: path, reason: "it is empty") }
    guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw CheckpointError.unreadable(path: path, reason: systemError())
    }
    self.path = path
    base = UnsafeRawPointer(address)
    count = size
    isMapped = true
  }

  /// Holds a copy of `bytes`, which stand for a file of that name.
  init(copying bytes: some Collection<UInt8>, named path: String) throws {
    guard !bytes.isEmpty else { throw CheckpointError.unreadable(path: path, reason: "it is empty") }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
    memory.copyBytes(from: bytes)
    self.path = path
    base = UnsafeRawPointer(memory.baseAddress!)
    count = bytes.count
    isMapped = false
  }

  deinit {
    if isMapped {
      munmap(UnsafeMutableRawPointer(mutating: base), count)
    } else {
      UnsafeMutableRawPointer(mutating: base).deallocate()
    }
  }

  func releasePages(_ memory: UnsafeRawBufferPointer) {
    guard isMapped, let start = memory.baseAddress else { return }
    // Whole pages only: others may hold a neighbour's first numbers.
    let page = sysconf(Int32(_SC_PAGESIZE))
    let first = (UInt(bitPattern: start) + UInt(page) - 1) / UInt(page) * UInt(page)
    let end = UInt(bitPattern: start + memory.count) / UInt(page) * UInt(page)
    guard first < end else { return }
    madvise(UnsafeMutableRawPointer(bitPattern: first), Int(end - first), MADV_DONTNEED)
  }

  /// The byte at `offset`, or `nil` outside the file.
  func byte(at offset: Int) -> UInt8? {
    offset >= 0 && offset < count ? base.load(fromByteOffset: offset, as: UInt8.self) : nil
  }

  /// Whether the bytes from `offset` on are these.
  func matches(_ expected: some Collection<UInt8>, at offset: Int) -> Bool {
    guard offset >= 0, expected.count <= count, offset <= count - expected.count else { return false }
    return zip(offset..., expected).allSatisfy { base.load(fromByteOffset: $0, as: UInt8.self) == $1 }
  }

  /// The bytes of a range inside the file.
  func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) of a file of \(count)")
    return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  /// The error for content that contradicts its format.
  func malformed(_ reason: String) -> CheckpointError { .malformed(path: path, reason: reason) }

  /// The error for content of a kind that is not read.
  func unsupported(_ reason: String) -> CheckpointError { .unsupported(path: path, reason: reason) }

  /// How many tensors or archive entries a file of this size may name. A list of nothing but names would take several
  /// times the file's size in memory; no checkpoint comes near.
  var entryLimit: Int { 65_536 + count / 1024 }
}

/// A position in a part of a file that moves forward as things are read; reading past the part's end throws.
struct ByteReader {
  let file: FileBytes
  private(set) var position: Int
  let end: Int
  /// What is being read, for errors: "the pickle".
  let subject: String

  init(_ file: FileBytes, _ range: Range<Int>, subject: String) {
    precondition(range.lowerBound >= 0 && range.upperBound <= file.count, "bytes \(range) of a file of \(file.count)")
    self.file = file
    position = range.lowerBound
    end = range.upperBound
    self.subject = subject
  }

  var isAtEnd: Bool { position == end }

  /// The next `count` bytes, which are skipped.
  mutating func take(_ count: some BinaryInteger) throws -> Range<Int> {
    guard count >= 0, count <= end - position else {
      throw file.malformed(
        "\(subject) ends early: \(count) bytes expected at byte \(position), \(end - position) are left")
    }
    defer { position += Int(count) }
    return position..<position + Int(count)
  }

  mutating func byte() throws -> UInt8 {
    let range = try take(1)
    return file.base.load(fromByteOffset: range.lowerBound, as: UInt8.self)
  }

  /// The next little-endian integer.
  mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(_: Integer.Type) throws -> Integer {
    let range = try take(MemoryLayout<Integer>.size)
    return Integer(littleEndian: file.base.loadUnaligned(fromByteOffset: range.lowerBound, as: Integer.self))
  }

  /// The next `count` bytes as text.
  mutating func string(_ count: some BinaryInteger) throws -> String {
    let start = position
    let bytes = file.slice(try take(count))
    guard let string = String(validating: bytes, as: UTF8.self) else {
      throw file.malformed("\(subject) has text at byte \(start) that is not UTF-8")
    }
    return string
  }
}
