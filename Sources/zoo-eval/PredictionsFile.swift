import Console
import Files
import Foundation
import ModelZoo

/// The rows of `--predictions`.
struct PredictionsFile {
  static let header =
    "path,label," + (1...5).map { "class\($0),probability\($0)" }.joined(separator: ",") + ",label_name,"
    + (1...5).map { "name\($0)" }.joined(separator: ",") + "\n"

  private let classNames: [String]?
  private(set) var text = header

  /// - Parameter classNames: the network's classes, where they have names.
  init(classNames: [String]?) { self.classNames = classNames }

  /// Adds an image. Networks with fewer than five classes leave columns empty.
  mutating func add(path: String, label: Int?, top: [(index: Int, probability: Float)]) {
    func name(_ index: Int?) -> String {
      guard let index, let classNames, classNames.indices.contains(index) else { return "" }
      return csvField(classNames[index])
    }
    var fields = [csvField(path), label.map(String.init) ?? ""]
    let ranks = (0..<5).map { $0 < top.count ? top[$0] : nil }
    for rank in ranks {
      fields += rank.map { ["\($0.index)", String(format: "%.6f", $0.probability)] } ?? ["", ""]
    }
    fields += [name(label)] + ranks.map { name($0?.index) }
    text += fields.joined(separator: ",") + "\n"
  }

  /// Writes all rows to a file or, for `-`, to standard output.
  func write(to path: String) throws {
    if path == "-" { try Output.deliver(text) } else { try writeAtomically(text, to: path) }
  }

  /// Writes the rows of a run that was interrupted under a name that says so and that nothing has yet.
  /// - Returns: that name.
  func writePart(of path: String) throws -> String? {
    guard path != "-", text != Self.header else { return nil }
    for number in 1...1000 {
      let candidate = path + (number == 1 ? ".partial" : ".partial-\(number)")
      if fileKind(candidate) == nil {
        try writeAtomically(text, to: candidate)
        return candidate
      }
    }
    return nil
  }
}
