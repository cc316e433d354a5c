import Console
import Foundation
import ModelZoo

/// `--explain`: what each step of a network's plan is, how it is computed and what it takes.
struct Explanation {
  let steps: [StepProfile]

  /// The table, a line for each step and one for all.
  var lines: [String] {
    let total = steps.reduce(0) { $0 + $1.seconds }
    let rows = steps.map { step in
      [
        step.layer, step.operations.joined(separator: " + "),
        step.outputShape.dimensions.map(String.init).joined(separator: "×"), step.algorithm?.rawValue ?? "",
      ] + figures(step.seconds, step.multiplyAdds, of: total)
    }
    let sum = ["all", "", "", ""] + figures(total, steps.reduce(0) { $0 + $1.multiplyAdds }, of: total)
    return Self.aligned([["layer", "operations", "output", "algorithm", "ms", "GFLOP/s", "share"]] + rows + [sum])
  }

  private func figures(_ seconds: Double, _ multiplyAdds: Int, of total: Double) -> [String] {
    [
      String(format: "%.3f", seconds * 1000),
      multiplyAdds > 0 ? String(format: "%.0f", 2 * Double(multiplyAdds) / max(seconds, 1e-9) / 1e9) : "",
      String(format: "%.1f %%", 100 * seconds / max(total, 1e-9)),
    ]
  }

  /// Columns two spaces apart; the last three, numbers, to the right.
  private static func aligned(_ rows: [[String]]) -> [String] {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
    return rows.map { row in
      row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return column < row.count - 3 ? row[column] + padding : padding + row[column]
      }.joined(separator: "  ")
    }
  }
}
