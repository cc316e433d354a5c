/// What numbers a user may write, in options, recipes and a run's state; beyond them lies no training that anybody means.
public enum TrainingLimits {
  /// Passes over the data.
  public static let epochs = 1...1_000_000
  /// Images in a step.
  public static let batchSize = 1...65_536
  /// Threads.
  public static let threads = 1...1024
  /// Pixels of padding.
  public static let padding = 0...1024
  /// Channels d of a covariance head.
  public static let dimension = 1...4096

  /// Images of a data set.
  public static let images = 1...(1 << 40)

  /// A range as messages say it.
  public static func text(_ range: ClosedRange<Int>) -> String { "from \(range.lowerBound) to \(range.upperBound)" }
}
