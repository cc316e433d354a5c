import Foundation

/// Finds out before a long run whether a file could be written by `writeAtomically`.
package func checkWritable(_ path: String) throws(FileError) {
  let kind = fileKind(path)
  guard kind != .directory else { throw .unwritable(path: path, reason: "it is a directory") }
  guard path.lastPathComponent.fileSystemBytes.count <= 255 else {
    throw .unwritable(path: path, reason: systemError(ENAMETOOLONG))
  }
  let place = kind == .other ? path : (resolved(path) ?? path).parentDirectory
  guard place.withFileSystemPath({ access($0, W_OK) }) == 0 else { throw unwritable(path) }
}

/// The file that a link points to in the end; `nil` where there is none.
private func resolved(_ path: String) -> String? {
  guard let real = path.withFileSystemPath({ realpath($0, nil) }) else { return nil }
  defer { free(real) }
  return String(fileSystemBytes: UnsafeRawBufferPointer(start: real, count: strlen(real)))
}

/// Calls `body` to write a file beside `path`, flushes it to the disk and renames it to `path`. On an error nothing is
/// left behind.
///
/// A link stays one: the file it points to is replaced. What is no regular file, a pipe or a device, is written to as it
/// is.
/// - Parameter tag: a part of the name beside the file, by which an owner of the directory knows its own leftovers again
///   after a crash (`isPartial`); by default random.
/// - Throws: `FileError.unwritable`, or what `body` throws.
package func writeAtomically(to path: String, tag: String? = nil, _ body: (FileOutput) throws -> Void) throws {
  if fileKind(path) == .other {
    let descriptor = path.withFileSystemPath { open($0, O_WRONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw unwritable(path) }
    defer { close(descriptor) }
    return try body(FileOutput(descriptor: descriptor, path: path))
  }
  try replaceFile(at: resolved(path) ?? path, named: path, tag: tag, body)
}

/// Writes text to a file, as `writeAtomically(to:_:)` does.
public func writeAtomically(_ text: String, to path: String, tag: String? = nil) throws {
  try writeAtomically(to: path, tag: tag) { try $0.write(Array(text.utf8)) }
}

/// Whether a file of this name was left behind by `writeAtomically` with this tag.
package func isPartial(_ name: String, tag: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(".\(tag).partial") }

/// The name under which `path` is written before it is renamed: hidden, and of this package alone.
private func partialName(for target: String, tag: String) -> String {
  let directory = target.utf8.contains(UInt8(ascii: "/")) ? target.parentDirectory + "/" : ""
  // A name has at most 255 bytes; the random part must fit behind a long one.
  let name = String(fileSystemBytes: target.lastPathComponent.fileSystemBytes.prefix(200))
  return "\(directory).\(name).\(tag).partial"
}

private func replaceFile(
  at target: String, named path: String, tag: String?, _ body: (FileOutput) throws -> Void
) throws {
  let partial = partialName(for: target, tag: tag ?? String(UInt64.random(in: .min ... .max), radix: 36))
  let descriptor = partial.withFileSystemPath { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666) }
  guard descriptor >= 0 else { throw unwritable(path) }
  var isOpen = true
  do {
    try body(FileOutput(descriptor: descriptor, path: path))
    guard fsync(descriptor) == 0 else { throw unwritable(path) }
    isOpen = false
    // Some file systems report a full disk only here.
    guard close(descriptor) == 0 else { throw unwritable(path) }
    let result = partial.withFileSystemPath { from in target.withFileSystemPath { rename(from, $0) } }
    guard result == 0 else { throw unwritable(path) }
  } catch {
    if isOpen { close(descriptor) }
    _ = partial.withFileSystemPath { unlink($0) }
    throw error
  }
  // The name must survive a crash as well; where a directory cannot be flushed, nothing is lost but that.
  let folder = target.parentDirectory.withFileSystemPath { open($0, O_RDONLY | O_CLOEXEC) }
  if folder >= 0 {
    fsync(folder)
    close(folder)
  }
}

/// Removes a file.
package func removeFile(_ path: String) throws(FileError) {
  guard path.withFileSystemPath({ unlink($0) }) == 0 else { throw unwritable(path) }
}

/// Makes a directory and those that lead to it, where they are missing.
public func createDirectory(_ path: String) throws(FileError) {
  if path.withFileSystemPath({ mkdir($0, 0o777) }) == 0 || (errno == EEXIST && isDirectory(path)) { return }
  let parent = path.parentDirectory
  guard errno == ENOENT, parent != path, parent != "." else { throw unwritable(path) }
  do { try createDirectory(parent) } catch { throw .unwritable(path: path, reason: error.reason) }
  guard path.withFileSystemPath({ mkdir($0, 0o777) }) == 0 || isDirectory(path) else { throw unwritable(path) }
}

/// The error for a call of the system that has just failed.
private func unwritable(_ path: String) -> FileError { .unwritable(path: path, reason: systemError()) }

/// Writes bytes to an open file.
package struct FileOutput {
  private let descriptor: Int32
  private let path: String

  /// An output to the open file `descriptor`; errors name `path`.
  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Writes these bytes.
  package func write(_ bytes: [UInt8]) throws(FileError) {
    let failure = bytes.withUnsafeBytes(writeAll)
    if let failure { throw failure }
  }

  /// Writes these bytes.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    if let failure = writeAll(bytes) { throw failure }
  }

  /// Hands all bytes to the system; says what went wrong.
  private func writeAll(_ bytes: UnsafeRawBufferPointer) -> FileError? {
    var rest = bytes[...]
    while let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
      let count = Foundation.write(descriptor, start, rest.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EAGAIN {
        // Whoever opened this pipe or terminal asked for no waiting; here it is waited for.
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&ready, 1, -1)
        continue
      }
      guard count > 0 else { return unwritable(path) }
      rest = rest.dropFirst(count)
    }
    return nil
  }
}
