import Kernels

/// A function of every scalar that a convolution or a normalisation can do in its own pass. NaN stays NaN.
public enum Activation: Sendable, Hashable, CaseIterable {
  /// x.
  case identity
  /// max(x, 0).
  case relu
  /// min(max(x, 0), 6) (Howard et al. 2017, as MobileNets have it).
  case relu6

  /// The kernels' name for it.
  package var kernel: covpool_activation {
    switch self {
    case .identity: COVPOOL_IDENTITY
    case .relu: COVPOOL_RELU
    case .relu6: COVPOOL_RELU6
    }
  }
}
