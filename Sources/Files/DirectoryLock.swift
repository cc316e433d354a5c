import Foundation

/// A directory that one process owns until this object goes or the process ends, however it ends.
package final class DirectoryLock: Sendable {
  private let descriptor: Int32

  /// Takes a directory.
  /// - Parameters:
  ///   - name: the file in the directory that is locked. It stays there, empty of meaning once nobody holds it; one that
  ///     this class did not write keeps its content.
  ///   - owner: what others are told about this process, in one line.
  /// - Throws: `FileError.unwritable` that names the owner where another process holds the directory.
  package init(_ directory: String, name: String, owner: String) throws(FileError) {
    let path = directory + "/" + name
    let opened = path.withFileSystemPath { open($0, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o666) }
    guard opened >= 0 else { throw .unwritable(path: path, reason: systemError()) }
    // A file system that knows no locks guards against nothing, which is no reason to refuse work.
    if flock(opened, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      let holder = Self.content(of: opened)
      close(opened)
      let reason = "in use by " + (holder.isEmpty ? "another process" : holder.printable)
      throw .unwritable(path: directory, reason: reason)
    }
    descriptor = opened
    let old = Self.content(of: opened)
    guard old.isEmpty || old.hasPrefix(Self.mark) else { return }
    let text = Array("\(Self.mark)\(getpid()), \(owner)\n".utf8)
    if ftruncate(opened, 0) == 0 { _ = pwrite(opened, text, text.count, 0) }
  }

  deinit { close(descriptor) }

  private static let mark = "process "

  private static func content(of descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 400)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
