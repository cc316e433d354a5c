import Foundation

/// How far a long job is: a bar on a terminal, a plain line every ten seconds elsewhere.
package struct ProgressLine {
  private let total: Int
  private let isTerminal = isatty(STDERR_FILENO) != 0
  private var lastShown = -Double.infinity
  private var width = 0

  /// A line for a job of `total` images.
  package init(total: Int) { self.total = total }

  /// Shows what is done, at most ten times a second.
  /// - Parameters:
  ///   - done: images of `total`.
  ///   - timed: images that were done in `seconds`, where others were done before.
  ///   - seconds: since the start.
  ///   - prefix: what stands before the numbers.
  ///   - note: what stands between the rate and the time left.
  package mutating func show(done: Int, timed: Int? = nil, seconds: Double, prefix: String = "", note: String) {
    let interval = isTerminal ? 0.1 : 10
    guard seconds - lastShown >= interval || (isTerminal && done == total) else { return }
    if lastShown == -.infinity && !isTerminal && seconds < interval {
      lastShown = 0
      return
    }
    lastShown = seconds
    let rate = Double(timed ?? done) / max(seconds, 1e-9)
    var text = prefix + "\(done)/\(total)  " + String(format: "%.1f images/s", rate)
    if !note.isEmpty { text += "  \(note)" }
    text += "  \(Output.time(Double(total - done) / max(rate, 1e-9))) left"
    guard isTerminal else { return Output.standardError(text) }
    let filled = total > 0 ? 24 * done / total : 24
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
    let line = "\(bar)  \(text)"
    let padding = String(repeating: " ", count: max(0, width - line.count))
    width = line.count
    FileHandle.standardError.write(Data(("\r" + line + padding).utf8))
  }

  /// Clears the line.
  package func finish() {
    guard isTerminal, width > 0 else { return }
    FileHandle.standardError.write(Data(("\r" + String(repeating: " ", count: width) + "\r").utf8))
  }
}
