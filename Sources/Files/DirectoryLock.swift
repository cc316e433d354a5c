import Foundation

/// Calls `body` while no other process does so for the same file, which may be replaced meanwhile; waits for its turn.
package func withLock<Result>(beside path: String, _ body: () throws -> Result) throws -> Result {
  // The directory is locked: it is there before the file is, and stays.
  let descriptor = path.parentDirectory.withFileSystemPath { open($0, O_RDONLY | O_CLOEXEC) }
  guard descriptor >= 0 else { return try body() }
  defer { close(descriptor) }
  while flock(descriptor, LOCK_EX) != 0 && errno == EINTR {}
  return try body()
}

/// A directory that one process owns until this object goes or the process ends, however it ends.
package final class DirectoryLock: Sendable {
  private let descriptor: Int32
  private let path: String
  private let isOwn: Bool

  /// Takes a directory.
  /// - Parameters:
  ///   - name: the file in the directory that is locked and goes with the lock. One that this class did not write keeps its
  ///     content and stays.
  ///   - owner: what others are told about this process, in one line.
  /// - Throws: `FileError.unwritable` that names the owner where another process holds the directory.
  package init(_ directory: String, name: String, owner: String) throws(FileError) {
    path = directory + "/" + name
    descriptor = try Self.locked(path, directory)
    let old = Self.content(of: descriptor)
    isOwn = old.isEmpty || Self.isMark(old)
    guard isOwn else { return }
    let text = Array("\(Self.mark)\(getpid()), \(owner)\n".utf8)
    if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
  }

  deinit {
    // While the lock is held, and only where it is this one's, so that nobody else's file is removed.
    if isOwn, isHeld { _ = path.withFileSystemPath { unlink($0) } }
    close(descriptor)
  }

  /// Whether the directory still has the file that is locked: not where it was replaced by another of its name.
  package var isHeld: Bool {
    var (own, named) = (stat(), stat())
    guard fstat(descriptor, &own) == 0, path.withFileSystemPath({ stat($0, &named) }) == 0 else { return false }
    return own.st_ino == named.st_ino && own.st_dev == named.st_dev
  }

  private static let mark = "process "

  /// Whether a file says what this class writes: `process 123, …`.
  private static func isMark(_ text: String) -> Bool {
    let number = text.dropFirst(mark.count).prefix { $0 != "," }
    return text.hasPrefix(mark) && !number.isEmpty && number.allSatisfy(\.isNumber)
  }

  /// Opens and locks the file that now has this name.
  private static func locked(_ path: String, _ directory: String) throws(FileError) -> Int32 {
    while true {
      let opened = path.withFileSystemPath { open($0, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o666) }
      guard opened >= 0 else { throw .unwritable(path: path, reason: systemError()) }
      // A file system that knows no locks guards against nothing, which is no reason to refuse work.
      if flock(opened, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
        var holder = content(of: opened)
        if holder.isEmpty {
          usleep(100_000)  // it may be about to say who it is
          holder = content(of: opened)
        }
        close(opened)
        let reason = "in use by " + (holder.isEmpty ? "another process" : holder.printable)
        throw .unwritable(path: directory, reason: reason)
      }
      // Its owner may have removed the file between the two calls.
      var (own, named) = (stat(), stat())
      let isThere = path.withFileSystemPath { stat($0, &named) } == 0 && fstat(opened, &own) == 0
      if isThere, own.st_ino == named.st_ino, own.st_dev == named.st_dev { return opened }
      close(opened)
    }
  }

  private static func content(of descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 400)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
