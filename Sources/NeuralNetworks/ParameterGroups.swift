/// How parameters with certain names are treated differently from the others.
public struct ParameterGroup: Hashable, Sendable, Codable {
  /// The parameters whose names begin with one of these, or, for a prefix that begins with `.`, end with it.
  public var prefixes: [String]
  /// A factor of the learning rate.
  public var learningRateFactor: Double
  /// Replaces the optimiser's weight decay where given.
  public var weightDecay: Double?

  /// A group: `ParameterGroup(["fc"], learningRateFactor: 5)`.
  public init(_ prefixes: [String], learningRateFactor: Double = 1, weightDecay: Double? = nil) {
    self.prefixes = prefixes
    self.learningRateFactor = learningRateFactor
    self.weightDecay = weightDecay
  }

  /// Whether the parameter of this name is one of the group.
  public func contains(_ name: String) -> Bool {
    prefixes.contains { prefix in
      prefix.hasPrefix(".") ? name.hasSuffix(prefix) : name == prefix || name.hasPrefix(prefix + ".")
    }
  }
}

extension [ParameterGroup] {
  /// Factor of the learning rate and weight decay of a parameter; the first group that contains it decides.
  func settings(for name: String, weightDecay: Double) -> (factor: Double, decay: Double) {
    guard let group = first(where: { $0.contains(name) }) else { return (1, weightDecay) }
    return (group.learningRateFactor, group.weightDecay ?? weightDecay)
  }
}
