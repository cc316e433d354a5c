import CovariancePooling

/// The combinations of pooling and normalisation that the papers publish networks with; other normalisations have no
/// name but their own.
public enum PublishedHead: String, CaseIterable, Sendable {
  /// Global average pooling.
  case gap
  /// Covariance and Newton–Schulz iterations.
  case fastmpn
  /// Covariance and its exact square root.
  case mpn
  /// Covariance, with adaptive channel dropout in training.
  case dropcov

  /// The head with this normalisation, with any number of iterations, any road to the root and any gradient; `nil` where
  /// none is published.
  public init?(_ normalization: CovarianceNormalization?) {
    switch normalization?.normalizer {
    case nil: self = .gap
    case is RootNormalizer<NewtonSchulz>: self = .fastmpn
    case let power as RootNormalizer<CovarianceFunction> where power.root.function == .squareRoot: self = .mpn
    case is DropCov: self = .dropcov
    default: return nil
    }
  }

  /// What the head makes of its covariance; `nil` for global average pooling, which takes none.
  public var normalization: CovarianceNormalization? {
    switch self {
    case .gap: nil
    case .fastmpn: .newtonSchulz()
    case .mpn: .exact()
    case .dropcov: .dropCov
    }
  }

  /// What papers call it.
  public var title: String {
    switch self {
    case .gap: "GAP"
    case .fastmpn: "Fast-MPN"
    case .mpn: "MPN"
    case .dropcov: "DropCov"
    }
  }
}
