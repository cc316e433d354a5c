import Foundation

/// Lines for a person: warnings and errors on standard error, figures in one style.
package enum Output {
  package static let randomWeights =
    "no checkpoint: the weights are random, and no accuracy or prediction can mean anything"

  package static func warn(_ message: String) { standardError("warning: " + message) }

  package static func fail(_ message: String) { standardError("error: " + message) }

  /// A line of a long run's output, at once even into a file.
  package static func line(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

  package static func standardError(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
  }

  /// Whether this program was built without optimisation.
  package static let isDebugBuild: Bool = {
    var isDebug = false
    assert({ isDebug = true }() == ())
    return isDebug
  }()

  /// Says once that a debug build is slow.
  package static func checkBuild(of tool: String = "zoo-eval") {
    guard isDebugBuild else { return }
    standardError("note: this is a debug build, several times slower than `swift run -c release \(tool)`")
  }

  /// What a long run is doing, in place of what stood there, where standard error is a terminal.
  package static func status(_ text: String) {
    guard isatty(STDERR_FILENO) != 0 else { return }
    FileHandle.standardError.write(Data("\r\u{1B}[K\(text)".utf8))
  }

  package static func percent(_ value: Double) -> String { String(format: "%6.2f %%", value) }

  /// 44,205,096.
  package static func grouped(_ number: Int) -> String {
    let digits = String(abs(number))
    let groups = digits.enumerated().map { index, digit in
      index > 0 && (digits.count - index) % 3 == 0 ? ",\(digit)" : "\(digit)"
    }
    return (number < 0 ? "-" : "") + groups.joined()
  }

  package static func time(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    if seconds < 10 { return String(format: "%.1f s", seconds) }
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return String(format: "%d min %02d s", whole / 60, whole % 60) }
    return String(format: "%d h %02d min", whole / 3600, whole / 60 % 60)
  }

  /// The most memory the process ever held, in megabytes (10⁶ bytes).
  package static var peakMemoryMB: Double {
    #if os(Linux)
      // Not getrusage: its figure takes over that of the process which started this one.
      let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
      let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) }
      return (kilobytes ?? 0) * 1024 / 1e6
    #else
      var usage = rusage()
      getrusage(RUSAGE_SELF, &usage)
      return Double(usage.ru_maxrss) / 1e6
    #endif
  }
}
