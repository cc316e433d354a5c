import Foundation

/// The text of a file that the system makes, such as `/proc/meminfo`; `nil` where there is none.
func systemFile(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

/// The group of processes whose use of memory and processors Linux limits together: a container's, a service's, a session's.
/// A limit holds for all groups below, so the narrowest of those on the way to the root counts.
package struct ControlGroup {
  /// Reads a file of one of the group's directories.
  private let read: (String) -> String?
  /// Where the group and those above it are, by what they limit.
  private let memory, processors: [String]
  /// Whether the files are those of the second version of control groups.
  private let isUnified: Bool

  package init(
    membership: String? = systemFile("/proc/self/cgroup"), read: @escaping (String) -> String? = systemFile
  ) {
    self.read = read
    // Lines such as `0::/user.slice/session-1.scope`, or of the first version `4:memory:/docker/5f1e`.
    let lines = (membership ?? "").split(separator: "\n").map {
      $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
    }.filter { $0.count == 3 }
    func places(_ controller: String) -> [String] {
      let line = lines.first { $0[1].split(separator: ",").contains { $0 == controller } }
      return line.map { Self.upwards($0[2], from: "/sys/fs/cgroup/" + controller) } ?? []
    }
    let first = (memory: places("memory"), processors: places("cpu"))
    isUnified = first.memory.isEmpty
    let unified = lines.first { $0[1].isEmpty }.map { Self.upwards($0[2], from: "/sys/fs/cgroup") } ?? []
    (memory, processors) = isUnified ? (unified, unified) : first
  }

  private static func upwards(_ path: String, from root: String) -> [String] {
    var names = path.split(separator: "/")
    var places = [root]
    while !names.isEmpty {
      places.append(root + "/" + names.joined(separator: "/"))
      names.removeLast()
    }
    return places
  }

  /// How many bytes its processes may still take; `nil` without a limit. Cached files make room where they are asked to.
  package var availableMemory: Int? {
    let names =
      isUnified
      ? (limit: "memory.max", use: "memory.current", cached: ["inactive_file", "active_file"])
      : (
        limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes",
        cached: ["total_inactive_file", "total_active_file"]
      )
    return memory.compactMap { place in
      guard let limit = number(place, names.limit), let use = number(place, names.use) else { return nil }
      let fields = (read("\(place)/memory.stat") ?? "").split(separator: "\n").map { $0.split(separator: " ") }
      let cached = fields.filter { $0.count == 2 && names.cached.contains(String($0[0])) }.compactMap { Int($0[1]) }
      return max(0, limit - use + cached.reduce(0, +))
    }.min()
  }

  /// How many processors' time its processes may use, a part of one counted as one; `nil` without a limit.
  package var processorCount: Int? {
    processors.compactMap { place in
      let (quota, period): (Int?, Int?)
      if isUnified {
        let words = (read("\(place)/cpu.max") ?? "").split(whereSeparator: \.isWhitespace)
        guard words.count == 2 else { return nil }
        (quota, period) = (Int(words[0]), Int(words[1]))
      } else {
        (quota, period) = (number(place, "cpu.cfs_quota_us"), number(place, "cpu.cfs_period_us"))
      }
      guard let quota, let period, quota > 0, period > 0 else { return nil }
      return quota / period + (quota % period == 0 ? 0 : 1)
    }.min()
  }

  private func number(_ place: String, _ name: String) -> Int? {
    read("\(place)/\(name)").flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }
}

/// How many processors this process may use: those it may run on, and no more than its control group's share.
package let availableProcessors: Int = {
  let active = max(1, ProcessInfo.processInfo.activeProcessorCount)
  return min(active, ControlGroup().processorCount ?? active)
}()
