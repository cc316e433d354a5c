import Foundation

/// How far a long job is: a bar on a terminal, a plain line every ten seconds elsewhere.
package struct ProgressLine {
  private let total: Int
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
  ///   - notes: what stands between the rate and the time left; on a narrow terminal the last ones go first.
  package mutating func show(done: Int, timed: Int? = nil, seconds: Double, prefix: String = "", notes: [String]) {
    let columns = Terminal.columns
    let interval = columns != nil ? 0.1 : 10
    guard seconds - lastShown >= interval || (columns != nil && done == total) else { return }
    if lastShown == -.infinity && columns == nil && seconds < interval {
      lastShown = 0
      return
    }
    lastShown = seconds
    let line = Self.line(
      done: done, total: total, rate: Double(timed ?? done) / max(seconds, 1e-9), prefix: prefix, notes: notes,
      columns: columns)
    guard let columns else { return Output.standardError(line) }
    // What is left of a longer line is overwritten, as far as the terminal still shows it on this row.
    let padding = String(repeating: " ", count: max(0, min(width, columns - 1) - line.count))
    width = line.count
    Output.writeToStandardError("\r" + line + padding)
  }

  /// Clears the line.
  package func finish() {
    guard let columns = Terminal.columns, width > 0 else { return }
    Output.writeToStandardError("\r" + String(repeating: " ", count: min(width, columns - 1)) + "\r")
  }

  /// The fullest line that leaves the terminal's last column free: a bar where there is room, then the numbers; a narrow
  /// terminal loses the bar, the last note, the rate, the other notes, in this order.
  /// - Parameter columns: the terminal's width; `nil` for a line of a file, which may be of any length and has no bar.
  package static func line(
    done: Int, total: Int, rate: Double, prefix: String, notes: [String], columns: Int?
  ) -> String {
    let left = "\(Output.time(Double(total - done) / max(rate, 1e-9))) left"
    func text(_ noteCount: Int, hasRate: Bool, hasTime: Bool = true) -> String {
      var parts = ["\(done)/\(total)"]
      if hasRate { parts.append(String(format: "%.1f images/s", rate)) }
      parts += notes.prefix(noteCount)
      if hasTime { parts.append(left) }
      return prefix + parts.joined(separator: "  ")
    }
    guard let columns else { return text(notes.count, hasRate: true) }
    var choices = [text(notes.count, hasRate: true)]
    if !notes.isEmpty { choices.append(text(notes.count - 1, hasRate: true)) }
    choices += (0..<max(notes.count, 1)).reversed().map { text($0, hasRate: false) }
    choices += [text(0, hasRate: false, hasTime: false), "\(done)/\(total)"]
    let room = columns - 1
    let chosen = choices.first { $0.count <= room } ?? String((choices.last ?? "").prefix(max(room, 0)))
    let bar = min(24, room - chosen.count - 2)
    guard bar >= 8 else { return chosen }
    let filled = total > 0 ? bar * min(max(done, 0), total) / total : bar
    return String(repeating: "█", count: filled) + String(repeating: "░", count: bar - filled) + "  " + chosen
  }
}
