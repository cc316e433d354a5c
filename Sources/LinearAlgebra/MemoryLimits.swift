import Foundation
import Kernels

/// Memory that was asked for and cannot be had.
public struct MemoryError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What the memory is for, such as `resnet50-fastmpn with batches of 512`.
  public let purpose: String
  /// How much that takes.
  public let bytes: Int
  /// How much there is.
  public let available: Int
  /// What the user can do about it.
  public let remedy: String

  public var description: String {
    "\(purpose) needs \(sizeText(bytes)) of memory, and \(sizeText(available)) can be had; \(remedy)"
  }
}

/// Asks whether memory can be had before it is taken: Linux gives out more addresses than there is memory, and ends the
/// process when it uses them.
/// - Parameters:
///   - bytes: how much; `Int.max` for what cannot be counted.
///   - purpose: what needs it, the subject of a sentence.
///   - remedy: what the user can do, in a few words.
/// - Throws: where there is less.
package func checkMemory(_ bytes: Int, for purpose: String, remedy: String) throws(MemoryError) {
  // What every process can have needs no look at the system's files.
  guard bytes > 16 << 20 else { return }
  let available = availableMemory()
  guard bytes > available else { return }
  throw MemoryError(purpose: purpose, bytes: bytes, available: available, remedy: remedy)
}

/// How many bytes this process can still take: what is free, and what limits on it, on its addresses and on its control group
/// leave.
package func availableMemory() -> Int {
  [availableAddresses(), freeMemory(systemFile("/proc/meminfo") ?? ""), ControlGroup().availableMemory]
    .compactMap { $0 }.min() ?? .max
}

/// What the limits on addresses (`ulimit -v`) and data (`ulimit -d`) leave; `nil` without limits.
package func availableAddresses() -> Int? {
  #if os(Linux)
    let kinds = [
      (__rlimit_resource_t(RLIMIT_AS.rawValue), "VmSize:"), (__rlimit_resource_t(RLIMIT_DATA.rawValue), "VmData:"),
    ]
    let limits = kinds.compactMap { kind, field -> (limit: Int, field: String)? in
      var limit = rlimit()
      guard getrlimit(kind, &limit) == 0, limit.rlim_cur < UInt(Int.max) else { return nil }
      return (Int(limit.rlim_cur), field)
    }
    guard !limits.isEmpty, let status = systemFile("/proc/self/status") else { return nil }
    return limits.compactMap { limit, field in kilobytes(field, in: status).map { max(0, limit - $0 * 1024) } }.min()
  #else
    return nil
  #endif
}

/// What programs can have without others losing theirs, from the text of `/proc/meminfo`.
package func freeMemory(_ text: String) -> Int? {
  guard let available = kilobytes("MemAvailable:", in: text) else { return nil }
  return (available + (kilobytes("SwapFree:", in: text) ?? 0)) * 1024
}

private func kilobytes(_ field: String, in text: String) -> Int? {
  text.split(separator: "\n").first { $0.hasPrefix(field) }?.split(whereSeparator: \.isWhitespace).dropFirst().first
    .flatMap { Int($0) }
}

/// A number of bytes as people say it: `12.3 GB`.
package func sizeText(_ bytes: Int) -> String {
  if bytes == .max { return "more than any computer has" }
  let gigabytes = Double(bytes) / 1e9
  return gigabytes >= 1 ? String(format: "%.1f GB", gigabytes) : "\(Int((gigabytes * 1000).rounded(.up))) MB"
}

/// Uninitialised memory that begins at a cache line, large blocks at a large page; `free` gives it back.
///
/// Where there is none the process ends with one line. Callers whose size a user decides ask `checkMemory` before.
package func allocateMemory(bytes: Int) -> UnsafeMutableRawPointer {
  let largePage = Int(COVPOOL_LARGE_PAGE)
  let isLarge = bytes >= largePage
  var memory: UnsafeMutableRawPointer?
  guard posix_memalign(&memory, isLarge ? largePage : 64, bytes) == 0, let memory else {
    endWithoutMemory(bytes: bytes)
  }
  if isLarge { covpool_prefer_large_pages(memory, bytes) }
  return memory
}

/// The end where memory cannot be had in the middle of a computation, which could not give it up: one line and status 1.
/// Nothing else runs, for other threads may be waiting for each other.
func endWithoutMemory(bytes: Int, for purpose: String = "") -> Never {
  let line =
    "error: out of memory: \(sizeText(bytes))\(purpose) cannot be had; lower the batch size or the number of threads, or "
    + "raise the limit (ulimit -v)\n"
  _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  _exit(1)
}

extension MemoryError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
