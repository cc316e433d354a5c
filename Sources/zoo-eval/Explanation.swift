import Console
import Files
import Foundation
import ModelZoo

/// `--explain`: what each step of a network's plan is, how it is computed and what it takes.
struct Explanation {
  let steps: [StepProfile]

  private static let header = ["layer", "operations", "output", "algorithm", "ms", "GFLOP/s", "share"]

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
    return Self.aligned([Self.header] + rows + [sum])
  }

  private static let csvHeader = "layer,operations,output,algorithm,macs,seconds"

  /// - Throws: `UsageError` where a CSV file is there that is no table of steps, which would be lost.
  static func checkTable(_ path: String) throws {
    guard fileKind(path) == .regular else { return }
    let text = String(decoding: try readFile(path, limit: 1 << 28), as: UTF8.self)
    guard text.isEmpty || text.prefix(while: { !$0.isNewline }) == csvHeader else {
      throw UsageError("--results \(path): is there already and is no table of steps; name another file")
    }
  }

  /// Writes the steps as a JSON array, also to standard output (`-`), or as CSV, by the file's name.
  func write(to path: String) throws {
    switch ResultsFormat(path: path) {
    case .csv?:
      let rows = steps.map { step in
        [
          step.layer, step.operations.joined(separator: " + "), step.outputShape.description,
          step.algorithm?.rawValue ?? "", "\(step.multiplyAdds)", "\(step.seconds)",
        ].map(csvField).joined(separator: ",")
      }
      try writeAtomically(
        ([Self.csvHeader] + rows).joined(separator: "\n") + "\n", to: path)
    default:
      let rows = steps.map { step in
        Row(
          layer: step.layer, operations: step.operations, output: step.outputShape.dimensions,
          algorithm: step.algorithm?.rawValue, macs: step.multiplyAdds, seconds: step.seconds)
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      let text = String(decoding: try encoder.encode(rows), as: UTF8.self) + "\n"
      if path == "-" { try Output.deliver(text) } else { try writeAtomically(text, to: path) }
    }
  }

  private struct Row: Encodable {
    var layer: String
    var operations: [String]
    var output: [Int]
    var algorithm: String?
    var macs: Int
    var seconds: Double
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
