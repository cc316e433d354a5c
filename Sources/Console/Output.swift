import Files
import Foundation
import Synchronization

/// A result that could not be delivered.
public struct OutputError: Error, CustomStringConvertible {
  public let reason: String
  /// Whether whoever read it has gone away.
  public var isBrokenPipe: Bool { reason == systemError(EPIPE) }
  public var description: String { "standard output: cannot be written: \(reason)" }
}

/// Lines for a person: results on standard output, warnings and errors on standard error, figures in one style.
///
/// A stream that cannot be written is never a trap: for a result it is an error, for a line of a long run it is said once.
/// What a file or its name brought along, control characters among it, is shown and not obeyed.
public enum Output {
  package static let randomWeights =
    "no checkpoint: the weights are random, and no accuracy or prediction can mean anything"

  private static let hasLostLines = Atomic(false)

  /// A result on standard output.
  /// - Throws: `OutputError` where it cannot be delivered.
  package static func print(_ text: String = "", terminator: String = "\n") throws(OutputError) {
    try deliver(text.printable(keepsLines: true) + terminator)
  }

  /// A document on standard output, as it is: JSON, CSV, a script.
  /// - Throws: `OutputError` where it cannot be delivered.
  public static func deliver(_ text: String) throws(OutputError) {
    do {
      try FileOutput(descriptor: STDOUT_FILENO, path: "standard output").write(Array(text.utf8))
    } catch { throw OutputError(reason: error.reason) }
  }

  /// A line of a long run's output, at once even into a file. Where it cannot be written the run goes on, and standard error
  /// says so once.
  public static func line(_ text: String) {
    do { try print(text) } catch {
      if !hasLostLines.exchange(true, ordering: .relaxed) { warn("\(error.description); the run goes on without it") }
    }
  }

  public static func warn(_ message: String) { standardError("warning: " + message) }

  package static func fail(_ message: String) { standardError("error: " + message) }

  package static func standardError(_ line: String) { writeToStandardError(line.printable(keepsLines: true) + "\n") }

  /// Text for standard error as it is; there is nobody to tell where it cannot be written.
  static func writeToStandardError(_ text: String) {
    try? FileOutput(descriptor: STDERR_FILENO, path: "standard error").write(Array(text.utf8))
  }

  /// Whether this program was built without optimisation.
  package static let isDebugBuild: Bool = {
    var isDebug = false
    assert({ isDebug = true }() == ())
    return isDebug
  }()

  /// Says once that a debug build is slow.
  public static func checkBuild(of tool: String = "zoo-eval") {
    guard isDebugBuild else { return }
    standardError("note: this is a debug build, several times slower than `swift run -c release \(tool)`")
  }

  /// What a long run is doing, in place of what stood there, where standard error is a terminal.
  public static func status(_ text: String) {
    guard let columns = Terminal.columns else { return }
    writeToStandardError("\r\u{1B}[K" + text.printable.prefix(columns - 1))
  }

  package static func percent(_ value: Double) -> String { String(format: "%6.2f %%", value) }

  /// 44,205,096.
  package static func grouped(_ number: Int) -> String {
    let digits = String(number.magnitude)
    let groups = digits.enumerated().map { index, digit in
      index > 0 && (digits.count - index) % 3 == 0 ? ",\(digit)" : "\(digit)"
    }
    return (number < 0 ? "-" : "") + groups.joined()
  }

  package static func time(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "–" }
    let whole = Int(seconds.rounded())
    if seconds < 10 { return String(format: "%.1f s", seconds) }
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return String(format: "%d min %02d s", whole / 60, whole % 60) }
    return String(format: "%d h %02d min", whole / 3600, whole / 60 % 60)
  }

  /// The most memory the process ever held, in megabytes (10⁶ bytes).
  public static var peakMemoryMB: Double {
    #if os(Linux)
      // Not getrusage: its figure takes over that of the process which started this one.
      let status = (try? readFile("/proc/self/status")).map { String(decoding: $0, as: UTF8.self) } ?? ""
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
