import Foundation
import Tensors

/// What became of each tensor when a checkpoint was loaded into a network.
public struct LoadReport: Sendable {
  /// A tensor whose shape in the file is not the network's.
  public struct Mismatch: Sendable, Equatable {
    /// The name in the file.
    public var key: String
    /// The network's shape.
    public var expected: Shape
    /// The file's shape.
    public var found: Shape
  }

  /// Names, in the network's order, of what was loaded.
  public internal(set) var loaded: [String] = []
  /// Names the network needs and the file lacks.
  public internal(set) var missing: [String] = []
  /// Names the file holds and the network has no place for.
  public internal(set) var unexpected: [String] = []
  /// Tensors of another shape.
  public internal(set) var mismatched: [Mismatch] = []
  /// Tensors with values that are NaN or infinite.
  public internal(set) var notFinite: [String] = []
  /// Running variances with numbers below 0.
  public internal(set) var negativeVariances: [String] = []
  /// What a careful user should know: weights of another head, values that are not numbers.
  public internal(set) var warnings: [String] = []
  /// What the file says about itself: epoch, architecture, accuracy.
  public internal(set) var metadata: [String: String] = [:]

  /// Whether every tensor of the network was loaded and every tensor of the file used.
  public var isComplete: Bool { missing.isEmpty && unexpected.isEmpty && mismatched.isEmpty }
}

/// Why a checkpoint does not fit a network.
public enum LoadError: Error, CustomStringConvertible, Sendable {
  /// The file's network is of another architecture, or its head is another.
  case otherNetwork(path: String, model: String, found: String, suggestion: String?)
  /// The file is no checkpoint of a network of the zoo.
  case notANetwork(path: String, missing: String, names: [String])
  /// Two tensors of the file are one of the network's, and which is meant cannot be told.
  case sameName(path: String, name: String, tensors: [String])
  /// A tensor that the network needs is of a kind that is not read: sparse, quantised, of 8-bit floating point.
  case unread(path: String, name: String, kind: String)
  /// The stem takes neither colour nor grey images.
  case inputChannels(path: String, tensor: String, found: Int)
  /// The file names a normalisation that there is not.
  case normalization(path: String, reason: String)
  /// Tensors are missing, left over or of another shape.
  case mismatch(path: String, model: String, report: LoadReport, suggestion: String?)

  /// One line, then at most five that list tensors.
  public var description: String {
    switch self {
    case .otherNetwork(let path, let model, let found, let suggestion):
      return "\(path): \(found); \(model) is another network" + (suggestion.map { ", use \($0)" } ?? "")
    case .notANetwork(let path, let missing, let names):
      return
        "\(path): no checkpoint of such a network: it holds no '\(missing)', under no prefix either; its tensors are "
        + "called \(names.map { "'\($0)'" }.joined(separator: ", "))\(names.isEmpty ? "nothing" : ", …")"
    case .sameName(let path, let name, let tensors):
      return "\(path): \(tensors.map { "'\($0)'" }.joined(separator: " and ")) are both the network's '\(name)'"
    case .unread(let path, let name, let kind):
      return "\(path): its tensor '\(name)' is of a kind that is not read: \(kind)"
    case .inputChannels(let path, let tensor, let found):
      return "\(path): its \(tensor) has \(found) input channels; images have 3, or 1 if grey"
    case .normalization(let path, let reason):
      return "\(path): \(reason)"
    case .mismatch(let path, let model, let report, let suggestion):
      let counts = [
        (report.mismatched.count, "of another shape"), (report.missing.count, "missing"),
        (report.unexpected.count, "unexpected"),
      ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
      let lines =
        report.mismatched.map { "\($0.key): expected \($0.expected), found \($0.found)" }
        + report.missing.map { "missing: \($0)" } + report.unexpected.map { "unexpected: \($0)" }
      let shown = lines.count > 5 ? lines.prefix(4) + ["… and \(lines.count - 4) more"] : lines[...]
      return "\(path): does not fit \(model): tensors \(counts)" + (suggestion.map { "; it looks like \($0)" } ?? "")
        + shown.map { "\n  \($0)" }.joined()
    }
  }
}

extension LoadError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
