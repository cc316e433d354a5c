import Foundation

/// One method on one batch of features: a row of the table and of the CSV file.
struct Row {
  let features: String
  let precision: String
  let batch, dimension, positions: Int
  let method: String
  /// Threads that shared the batch.
  let threads: Int
  /// Whether it is another system's.
  var isPeer = false
  /// Milliseconds for one matrix: the forward pass alone, as at inference; the backward pass; and both as in training,
  /// where the forward pass keeps what the backward pass needs.
  var forward = Timing(), backward = Timing(), both = Timing()
  /// Whether there is a backward pass.
  var hasBackward = true
  /// The textbook's work over what products reach in that time; `nil` where there is no count.
  var forwardShare, bothShare: Double?
  var accuracy: Accuracy?
  var bytesKept: Int?
  var allocationsPerMatrix: (own: Int, blas: Int)?

  private static let columns: [(name: String, value: @Sendable (Row) -> String)] = [
    ("features", { $0.features }), ("precision", { $0.precision }), ("d", { "\($0.dimension)" }),
    ("positions", { "\($0.positions)" }), ("batch", { "\($0.batch)" }), ("method", { $0.method }),
    ("threads", { "\($0.threads)" }),
    ("forward_ms", { number($0.forward.median) }), ("forward_q1_ms", { number($0.forward.quartiles.0) }),
    ("forward_q3_ms", { number($0.forward.quartiles.1) }), ("forward_best_ms", { number($0.forward.best) }),
    ("backward_ms", { $0.hasBackward ? number($0.backward.median) : "" }),
    ("backward_best_ms", { $0.hasBackward ? number($0.backward.best) : "" }),
    ("both_ms", { $0.hasBackward ? number($0.both.median) : "" }),
    ("both_q1_ms", { $0.hasBackward ? number($0.both.quartiles.0) : "" }),
    ("both_q3_ms", { $0.hasBackward ? number($0.both.quartiles.1) : "" }),
    ("both_best_ms", { $0.hasBackward ? number($0.both.best) : "" }),
    ("forward_share_of_peak", { number($0.forwardShare) }),
    ("both_share_of_peak", { number($0.bothShare) }), ("kept_bytes", { $0.bytesKept.map { "\($0)" } ?? "" }),
    ("allocations", { $0.allocationsPerMatrix.map { "\($0.own)" } ?? "" }),
    ("blas_allocations", { $0.allocationsPerMatrix.map { "\($0.blas)" } ?? "" }),
    ("value_error", { number($0.accuracy?.value) }),
    ("gradient_error", { number($0.accuracy?.gradient) }), ("residual", { number($0.accuracy?.residual) }),
  ]

  /// A header line and a line for each row.
  static func csv(_ rows: [Row]) -> String {
    ([columns.map(\.name)] + rows.map { row in columns.map { quoted($0.value(row)) } })
      .map { $0.joined(separator: ",") + "\n" }.joined()
  }

  /// The rows of one batch of features, for people.
  static func table(_ rows: [Row]) -> String {
    let most = rows.map(\.threads).max() ?? 1
    func name(_ row: Row) -> String {
      row.method + (row.threads == most ? "" : ", \(row.threads) thread\(row.threads == 1 ? "" : "s")")
    }
    let width = rows.map { name($0).count }.max() ?? 0
    func pad(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    let header =
      "method".padding(toLength: width, withPad: " ", startingAt: 0)
      + "  forward  ± half    both  ± half  peak f  peak b   kept  err value  err grad  residual\n"
    return rows.reduce(header) { text, row in
      func spread(_ timing: Timing) -> String { String(format: "%.3f", (timing.quartiles.1 - timing.quartiles.0) / 2) }
      func percent(_ value: Double?) -> String { value.map { String(format: "%.0f %%", 100 * $0) } ?? "" }
      func error(_ value: Double?) -> String { value.map { String(format: "%.1e", $0) } ?? "" }
      let both = row.hasBackward
      return text + name(row).padding(toLength: width, withPad: " ", startingAt: 0)
        + pad(String(format: "%.3f", row.forward.median), 9) + pad(spread(row.forward), 8)
        + pad(both ? String(format: "%.3f", row.both.median) : "", 8) + pad(both ? spread(row.both) : "", 8)
        + pad(percent(row.forwardShare), 8) + pad(percent(row.bothShare), 8)
        + pad(row.bytesKept.map { String(format: "%.1fM", Double($0) / 1e6) } ?? "", 7)
        + pad(error(row.accuracy?.value), 11) + pad(error(row.accuracy?.gradient), 10)
        + pad(error(row.accuracy?.residual), 10) + "\n"
    }
  }
}

/// Five digits; nothing where there is no number.
private func number(_ value: Double?) -> String { value.map { String(format: "%.5g", $0) } ?? "" }

private func quoted(_ text: String) -> String {
  text.contains(where: { ",\"\n".contains($0) }) ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
}
