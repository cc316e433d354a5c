import Foundation

/// A file that cannot be read or written; its description is one line.
public enum FileError: Error, Equatable, Sendable, CustomStringConvertible {
  case unreadable(path: String, reason: String)
  /// Nothing was left behind, and an older file of that name is untouched.
  case unwritable(path: String, reason: String)

  public var path: String {
    switch self {
    case .unreadable(let path, _), .unwritable(let path, _): path
    }
  }

  public var reason: String {
    switch self {
    case .unreadable(_, let reason), .unwritable(_, let reason): reason
    }
  }

  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .unwritable(let path, let reason): "\(path): cannot be written: \(reason)"
    }
  }
}

/// What stands under a name, links followed.
package enum FileKind: Sendable {
  case regular, directory
  /// A pipe, a device, a socket: opening or reading it may wait for ever.
  case other
}

/// What the system says of its last failure.
package func systemError(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

/// What stands at `path`; `nil` where there is nothing or it cannot be looked at.
package func fileKind(_ path: String) -> FileKind? { status(of: path).map(kind) }

/// Whether the name is taken, if only by a link that leads nowhere.
public func isTaken(_ path: String) -> Bool {
  var status = stat()
  return path.withFileSystemPath { lstat($0, &status) } == 0
}

package func isDirectory(_ path: String) -> Bool { fileKind(path) == .directory }

/// A regular file or directory, whatever names lead to it.
package struct FileIdentity: Hashable, Sendable {
  private let device: UInt64
  private let number: UInt64

  fileprivate init(_ status: stat) { (device, number) = (UInt64(status.st_dev), UInt64(status.st_ino)) }
}

/// Which file a name leads to; `nil` where there is none.
package func fileIdentity(_ path: String) -> FileIdentity? { status(of: path).map(FileIdentity.init) }

/// Whether two names lead, or would lead, to one file: `r.csv`, `./r.csv` and a link to it.
package func isSameFile(_ a: String, _ b: String) -> Bool {
  if a.utf8.elementsEqual(b.utf8) { return true }
  switch (fileIdentity(a), fileIdentity(b)) {
  case (let first?, let second?): return first == second
  case (nil, nil):
    guard let first = fileIdentity(a.parentDirectory), first == fileIdentity(b.parentDirectory) else { return false }
    return a.lastPathComponent.fileSystemBytes == b.lastPathComponent.fileSystemBytes
  default: return false
  }
}

/// All bytes of a regular file; a pipe or a device is refused, not waited for.
/// - Parameter limit: the most bytes that are taken.
package func readFile(_ path: String, limit: Int = .max) throws(FileError) -> Data {
  try read(path, limit: limit, takesStreams: false)
}

/// All bytes of a file or of a pipe, such as a shell's `<(…)`, up to its end.
/// - Parameter limit: the most bytes that are taken.
package func readStream(_ path: String, limit: Int = 1 << 30) throws(FileError) -> Data {
  try read(path, limit: limit, takesStreams: true)
}

/// Names in a directory, sorted by their bytes as Python sorts them, without `.` and `..`.
package func directoryEntries(_ path: String) throws(FileError) -> [String] {
  guard let directory = path.withFileSystemPath({ opendir($0) }) else {
    throw .unreadable(path: path, reason: systemError())
  }
  defer { closedir(directory) }
  var names: [[UInt8]] = []
  errno = 0
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
    if name != [UInt8(ascii: ".")] && name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
    errno = 0
  }
  guard errno == 0 else { throw .unreadable(path: path, reason: systemError()) }
  return names.sorted { $0.lexicographicallyPrecedes($1) }.map { String(fileSystemBytes: $0) }
}

/// Opens a regular file for reading.
/// - Returns: the descriptor, which the caller closes, and the file's size.
package func openRegularFile(_ path: String) throws(FileError) -> (descriptor: Int32, size: Int) {
  let (descriptor, status) = try openFile(path, takesStreams: false)
  return (descriptor, Int(status.st_size))
}

/// The directory of the running program's file, links followed.
package func programDirectory() -> String {
  var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
  let count = bytes.withUnsafeMutableBytes { bytes in
    readlink("/proc/self/exe", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
  }
  guard count > 0 else { return Bundle.main.bundlePath }
  return String(fileSystemBytes: bytes.prefix(count)).parentDirectory
}

private func openFile(_ path: String, takesStreams: Bool) throws(FileError) -> (Int32, stat) {
  func failure(_ reason: String) -> FileError { .unreadable(path: path, reason: reason) }
  // Opening a pipe would wait for its writer; O_NONBLOCK has no effect on regular files.
  let flags = O_RDONLY | O_CLOEXEC | (takesStreams ? 0 : O_NONBLOCK)
  let descriptor = path.withFileSystemPath { open($0, flags) }
  guard descriptor >= 0 else { throw failure(systemError()) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else {
    let reason = systemError()
    close(descriptor)
    throw failure(reason)
  }
  let kind = kind(status)
  guard kind == .regular || (takesStreams && kind == .other) else {
    close(descriptor)
    throw failure(kind == .directory ? "it is a directory" : "it is not a regular file")
  }
  return (descriptor, status)
}

private func read(_ path: String, limit: Int, takesStreams: Bool) throws(FileError) -> Data {
  let (descriptor, status) = try openFile(path, takesStreams: takesStreams)
  defer { close(descriptor) }
  let tooLarge = FileError.unreadable(path: path, reason: "it is larger than \(limit) bytes")
  let size = Int(status.st_size)
  guard size <= limit else { throw tooLarge }
  // One more than expected, to see the end; streams and files of /proc have no size and are read by pieces.
  var data = Data(count: size > 0 ? size + 1 : 0)
  var filled = 0
  while true {
    if filled == data.count { data.count += max(1 << 16, data.count) }
    let count = data.withUnsafeMutableBytes { bytes in
      Foundation.read(descriptor, bytes.baseAddress! + filled, bytes.count - filled)
    }
    if count < 0 && errno == EINTR { continue }
    guard count >= 0 else { throw .unreadable(path: path, reason: systemError()) }
    if count == 0 { break }
    filled += count
    guard filled <= limit else { throw tooLarge }
  }
  data.count = filled
  return data
}

private func status(of path: String) -> stat? {
  var status = stat()
  return path.withFileSystemPath { stat($0, &status) } == 0 ? status : nil
}

private func kind(_ status: stat) -> FileKind {
  switch status.st_mode & S_IFMT {
  case S_IFREG: .regular
  case S_IFDIR: .directory
  default: .other
  }
}

extension FileError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
