import ArgumentParser
import Foundation
import ModelZoo

enum ListFormat: String, ExpressibleByArgument, CaseIterable {
  case table, json, markdown
}

/// The zoo's entries for a person or a program.
struct ModelList {
  private let format: ListFormat

  init(_ format: ListFormat) { self.format = format }

  var text: String {
    switch format {
    case .json: json
    case .table: table(separator: "  ", edge: "", rule: nil)
    case .markdown: table(separator: " | ", edge: "|", rule: "---")
    }
  }

  private static let columns = ["model", "classes", "d", "parameters", "MACs", "top-1", "source"]

  private func table(separator: String, edge: String, rule: String?) -> String {
    var rows = [Self.columns]
    if let rule { rows.append(Self.columns.map { _ in rule }) }
    rows += Zoo.entries.map { entry in
      let (counts, configuration) = (entry.counts, entry.configuration)
      return [
        entry.name, "\(configuration.classes)",
        configuration.covariance.map { "\($0.dimension)" } ?? "–",
        String(format: "%.2f M", Double(counts.parameters) / 1e6),
        String(format: "%.2f G", Double(counts.multiplyAdds) / 1e9),
        entry.publishedTop1.map { String(format: "%.2f", $0) } ?? "–", sources(entry),
      ]
    }
    let widths = Self.columns.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).enumerated().map { column, cell in
        let padding = String(repeating: cell.0 == rule ? "-" : " ", count: cell.1 - cell.0.count)
        return column == 0 || column == Self.columns.count - 1 ? cell.0 + padding : padding + cell.0
      }
      let line = cells.joined(separator: separator)
      return edge.isEmpty ? trimmed(line) : "\(edge) \(line) \(edge)"
    }.joined(separator: "\n") + "\n"
  }

  /// The entry's source, and beside it those that say otherwise.
  private func sources(_ entry: ZooEntry) -> String {
    guard let source = entry.source else { return "–" }
    let others = entry.published.dropFirst().filter {
      $0.top1 != nil && $0.top1 != entry.publishedTop1
    }
    let notes = others.map { String(format: "%.2f in %@", $0.top1 ?? 0, $0.source as NSString) }
    return notes.isEmpty ? source : source + " (" + notes.joined(separator: ", ") + ")"
  }

  private func trimmed(_ line: String) -> String {
    String(line.reversed().drop { $0 == " " }.reversed())
  }

  private var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let rows = Zoo.entries.map(Row.init)
    return ((try? encoder.encode(rows)).map { String(decoding: $0, as: UTF8.self) } ?? "[]") + "\n"
  }

  /// What `--format json` says of an entry; absent figures are null.
  private struct Row: Encodable {
    let entry: ZooEntry
    init(_ entry: ZooEntry) { self.entry = entry }

    enum Key: String, CodingKey {
      case model, backbone, head, dimension, flavour, classes, imageSize, parameters, macs,
        publishedTop1, publishedTop5
      case source, published, checkpoint
    }

    func encode(to encoder: any Encoder) throws {
      let (configuration, counts) = (entry.configuration, entry.counts)
      var row = encoder.container(keyedBy: Key.self)
      try row.encode(entry.name, forKey: .model)
      try row.encode(configuration.backbone, forKey: .backbone)
      try row.encode(configuration.headName, forKey: .head)
      try row.encode(configuration.covariance?.dimension, forKey: .dimension)
      try row.encode(configuration.flavour, forKey: .flavour)
      try row.encode(configuration.classes, forKey: .classes)
      try row.encode(configuration.imageSize, forKey: .imageSize)
      try row.encode(counts.parameters, forKey: .parameters)
      try row.encode(counts.multiplyAdds, forKey: .macs)
      try row.encode(entry.publishedTop1, forKey: .publishedTop1)
      try row.encode(entry.published.first?.top5, forKey: .publishedTop5)
      try row.encode(entry.source, forKey: .source)
      try row.encode(entry.published, forKey: .published)
      try row.encode(entry.checkpointURL, forKey: .checkpoint)
    }
  }
}
