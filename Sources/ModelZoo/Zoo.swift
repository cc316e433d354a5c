/// The table of all networks.
public enum Zoo {
  /// Every entry, family by family, depth by depth.
  public static let entries: [ZooEntry] = imageNetEntries + cifarEntries

  /// The entry called `name`. Any dimension may be asked for by a tag, `.d64`, listed or not.
  /// - Throws: `ZooError.unknownModel` with names that come close.
  public static func entry(named name: String) throws -> ZooEntry {
    if let entry = entries.first(where: { $0.name == name }) { return entry }
    guard let configuration = parse(name) else { throw ZooError.unknownModel(name, suggestions(for: name)) }
    return entries.first { $0.configuration == configuration }
      ?? ZooEntry(name: configuration.name, configuration: configuration, published: [], checkpointURL: nil)
  }

  /// Reads `resnet<depth>[-<head>][.mindspore][.d<dimension>]`.
  private static func parse(_ name: String) -> NetworkConfiguration? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let base = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard base[0].hasPrefix("resnet"), let depth = Int(base[0].dropFirst("resnet".count)) else { return nil }
    guard let head = base.count == 1 ? .gap : Head(rawValue: String(base[1])) else { return nil }
    let tags = parts.dropFirst()
    let flavour: Flavour = tags.contains("mindspore") ? .mindspore : .pytorch
    guard var configuration = NetworkConfiguration(depth: depth, head: head, flavour: flavour) else { return nil }
    for tag in tags where tag != "mindspore" {
      guard head != .gap, tag.first == "d", let dimension = Int(tag.dropFirst()), (1...4096).contains(dimension) else {
        return nil
      }
      configuration.dimension = dimension
    }
    return configuration
  }

  /// Up to five names that share the most with `name`.
  private static func suggestions(for name: String) -> [String] {
    let wanted = Set(bigrams(name))
    let scored = entries.map { entry -> (name: String, score: Double) in
      let own = Set(bigrams(entry.name))
      return (entry.name, Double(own.intersection(wanted).count) / Double(max(own.union(wanted).count, 1)))
    }
    return scored.filter { $0.score > 0.3 }.sorted { $0.score > $1.score }.prefix(5).map(\.name)
  }

  private static func bigrams(_ text: String) -> [String] {
    zip(text, text.dropFirst()).map { "\($0)\($1)" }
  }
}

/// Why a network could not be had.
public enum ZooError: Error, CustomStringConvertible, Sendable {
  /// No network has this name; some come close.
  case unknownModel(String, [String])
  /// The weights that come with the package are in none of these directories.
  case boxNotFound(String, [String])

  public var description: String {
    switch self {
    case .unknownModel(let name, let close):
      "unknown model '\(name)'" + (close.isEmpty ? "" : "; did you mean \(close.joined(separator: ", "))?")
        + " (zoo-eval --list shows all)"
    case .boxNotFound(let name, let places):
      "the weights of \(name) that come with this package are not found: looked for \(places.joined(separator: ", "))"
    }
  }
}
