import Foundation

/// How the learning rate changes over training: a factor of the initial rate as a function of the epoch.
public struct LearningRateSchedule: Hashable, Sendable, Codable {
  /// The curve.
  public enum Shape: Hashable, Sendable, Codable {
    /// Always 1.
    case constant
    /// `factor` to the power of ⌊e / epochs⌋.
    case step(epochs: Double, factor: Double)
    /// (1 − (e − 1) / (epochs − 1))^power, never below 0; above 1 before the second epoch, as published.
    case polynomial(epochs: Double, power: Double)
    /// Straight lines between points (epoch, factor); the first factor before them, the last behind.
    case piecewiseLinear(epochs: [Double], factors: [Double])
    /// ½ (1 + cos(π e / epochs)).
    case cosine(epochs: Double)
  }

  /// The curve.
  public var shape: Shape
  /// Epochs in which the rate rises from 0 to the curve in a straight line.
  public var warmup: Double
  /// Whether the rate changes with every step rather than every epoch.
  public var isContinuous: Bool

  /// A schedule.
  public init(_ shape: Shape, warmup: Double = 0, isContinuous: Bool = false) {
    (self.shape, self.warmup, self.isContinuous) = (shape, warmup, isContinuous)
  }

  /// The factor after `progress` epochs, 0 at the start; fractions count where the schedule is continuous or warms up.
  public func factor(at progress: Double) -> Double {
    if progress < warmup { return progress / warmup }
    let epoch = isContinuous ? progress : progress.rounded(.down)
    switch shape {
    case .constant: return 1
    case .step(let epochs, let factor): return pow(factor, (epoch / epochs).rounded(.down))
    case .polynomial(let epochs, let power): return pow(max(0, 1 - (epoch - 1) / (epochs - 1)), power)
    case .piecewiseLinear(let epochs, let factors):
      guard let next = epochs.firstIndex(where: { $0 > epoch }) else { return factors.last ?? 1 }
      guard next > 0 else { return factors[0] }
      let share = (epoch - epochs[next - 1]) / (epochs[next] - epochs[next - 1])
      return factors[next - 1] + share * (factors[next] - factors[next - 1])
    case .cosine(let epochs): return (1 + cos(.pi * min(epoch / epochs, 1))) / 2
    }
  }
}
