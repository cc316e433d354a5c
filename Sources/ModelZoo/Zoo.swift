import CovariancePooling
import Foundation

/// The table of all networks.
public enum Zoo {
  /// The architectures. Everything else about them comes from their folders.
  public static let architectures: [any Architecture.Type] = [
    ResNetArchitecture.self, MobileNetV2Architecture.self, ShuffleNetV2Architecture.self,
  ]

  /// Every listed network, architecture by architecture.
  public static let entries: [ZooEntry] = architectures.flatMap { $0.entries }

  /// The architecture that a backbone belongs to.
  static func architecture(of backbone: String) -> (any Architecture.Type)? {
    architectures.first { $0.backbones.contains(backbone) }
  }

  /// The entry called `name`: `<backbone>[-<normalization>][.mindspore][.d<dimension>]`, listed or not.
  /// - Throws: `ZooError.unknownModel` with names that come close.
  public static func entry(named name: String) throws(ZooError) -> ZooEntry {
    if let entry = entries.first(where: { $0.name == name }) { return entry }
    guard let configuration = configuration(named: withoutAlias(name)) else {
      throw ZooError.unknownModel(name, suggestions(for: name))
    }
    return entries.first { $0.configuration == configuration }
      ?? ZooEntry(name: configuration.name, configuration: configuration, published: [], checkpointURL: nil)
  }

  /// What a network called `name` is, as released; `nil` where there is none.
  static func configuration(named name: String) -> NetworkConfiguration? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let base = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let architecture = architecture(of: base[0]) else { return nil }
    var normalization: CovarianceNormalization?
    if base.count == 2, base[1] != "gap" {
      guard !base[1].contains(":"), let found = try? CovarianceNormalization(base[1]) else { return nil }
      normalization = found
    }
    let tags = parts.dropFirst()
    guard Set(tags).count == tags.count, tags.count { $0.first == "d" } <= 1 else { return nil }
    let flavour: Flavour = tags.contains("mindspore") ? .mindspore : .pytorch
    guard var configuration = architecture.configuration(base[0], normalization, flavour: flavour) else { return nil }
    for tag in tags where tag != "mindspore" {
      guard normalization != nil, tag.first == "d", let dimension = Int(tag.dropFirst()), tag == "d\(dimension)",
        CovarianceHead.dimensions.contains(dimension)
      else { return nil }
      configuration.covariance?.dimension = dimension
    }
    return configuration
  }

  /// A name with the whole of it, or its backbone, in the zoo's own words.
  private static func withoutAlias(_ name: String) -> String {
    func own(_ name: String) -> String? { architectures.lazy.compactMap { $0.aliases[name] }.first }
    if let whole = own(name) { return whole }
    let end = name.firstIndex { $0 == "-" || $0 == "." } ?? name.endIndex
    return own(String(name[..<end])).map { $0 + name[end...] } ?? name
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

extension CovarianceHead {
  /// Values of d that a network may have.
  public static let dimensions = 1...4096
}

/// Why a network could not be had.
public enum ZooError: Error, CustomStringConvertible, Sendable {
  /// No network has this name; some come close.
  case unknownModel(String, [String])
  /// Images of this size leave one position to take the covariance over.
  case imageTooSmall(String, Int)
  /// A network pools by no covariance.
  case noCovariance(String)
  /// A checkpoint is that of no network of the zoo.
  case unrecognized(String)
  /// The weights that come with the package are in none of these directories.
  case boxNotFound(String, [String])

  public var description: String {
    switch self {
    case .unknownModel(let name, let close):
      "unknown model '\(name)'" + (close.isEmpty ? "" : "; did you mean \(close.joined(separator: ", "))?")
        + " (zoo-eval --list shows all)"
    case .imageTooSmall(let name, let size):
      "\(name): images of \(size) px leave feature maps of one position, whose covariance is 0 whatever they show"
    case .noCovariance(let name): "\(name) has no covariance head"
    case .unrecognized(let path): "\(path): does not say which network it is, and looks like none of the zoo's"
    case .boxNotFound(let name, let places):
      "the weights of \(name) that come with this package are not found: looked for \(places.joined(separator: ", "))"
    }
  }
}

extension ZooError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
