import Foundation
import ModelZoo

/// What was asked for: enough to start a run again.
public struct TrainingSettings: Equatable, Sendable, Codable {
  /// A name of the zoo.
  public var model: String
  /// The directory of the data.
  public var data: String
  /// How to train.
  public var recipe: Recipe
  /// Decides initial weights, order, augmentation and dropping.
  public var seed: UInt64
  /// A checkpoint to start from instead of random weights.
  public var finetune: String?
  /// A checkpoint to take the backbone's weights from; the head begins anew.
  public var backbone: String?
  /// What to make of the covariance in place of the head's own.
  public var normalization: CovarianceNormalization?
  /// At most so many images of each part of the data, spread over the classes: `Dataset.limited(to:)`.
  public var limit: Int?

  /// Settings of a run.
  public init(
    model: String, data: String, recipe: Recipe, seed: UInt64 = 0, finetune: String? = nil, limit: Int? = nil
  ) {
    (self.model, self.data, self.recipe, self.seed) = (model, data, recipe, seed)
    (self.finetune, self.limit) = (finetune, limit)
  }

  /// Makes a network's configuration what is asked for.
  /// - Throws: `TrainingError.otherSettings` where that is impossible.
  func adjust(_ configuration: inout NetworkConfiguration) throws {
    guard let normalization else { return }
    guard configuration.covariance != nil else {
      throw TrainingError.otherSettings("\(model) has no covariance head to normalize by \(normalization)")
    }
    configuration.covariance?.normalization = normalization
  }

  /// In which fields these are not those that the run in `directory` began with.
  func difference(from old: TrainingSettings, _ directory: String) -> String {
    func fields(_ settings: TrainingSettings) -> [String: String] {
      func flatten(_ value: Any, _ path: String) -> [(String, String)] {
        guard let object = value as? [String: Any] else { return [(path, "\(value)")] }
        return object.flatMap { flatten($0.value, path.isEmpty ? $0.key : path + "." + $0.key) }
      }
      let json = (try? JSONEncoder().encode(settings)).flatMap { try? JSONSerialization.jsonObject(with: $0) }
      return Dictionary(uniqueKeysWithValues: flatten(json ?? [:], ""))
    }
    let (before, after) = (fields(old), fields(self))
    let names = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
    let shown = names.prefix(3).map { "\($0) was \(before[$0] ?? "not set"), now \(after[$0] ?? "not set")" }
    return "\(directory): cannot be resumed with other settings: \(shown.joined(separator: "; "))"
  }
}

/// What is known of an epoch: a row of `log.csv`.
public struct EpochRecord: Equatable, Sendable, Codable {
  /// From 1.
  public var epoch: Int
  /// The rate at its end.
  public var learningRate: Double
  /// Mean over the epoch's batches, each before its step.
  public var trainLoss, trainTop1: Double
  /// On the validation images, after the epoch.
  public var validationLoss, validationTop1, validationTop5: Double?
  /// The mean of DropCov's drop rate.
  public var dropRate: Double?
  /// Time for training, without validation, and images in a second.
  public var seconds, imagesPerSecond: Double
}

/// Sums over the batches of an epoch so far.
struct EpochSums: Equatable, Sendable, Codable {
  var images = 0, correct = 0, batches = 0
  var loss = 0.0, dropRate = 0.0, seconds = 0.0
}

/// Where a run is, beside its tensors.
struct TrainingProgress: Equatable, Sendable, Codable {
  /// What this version writes and reads.
  static let currentFormat = 3

  var format = currentFormat
  /// Which run this is: 16 hexadecimal digits that were drawn when it began.
  var run = newRunName()
  var settings: TrainingSettings
  /// The structure, in which data and a checkpoint that was started from had their say.
  var configuration: NetworkConfiguration
  /// What the images and labels are that the run's numbers mean.
  var data: DataDescription
  var classNames: [String]?
  /// Epochs that are complete.
  var epoch = 0
  /// Steps of the current epoch that are done.
  var step = 0
  var sums = EpochSums()
  var records: [EpochRecord] = []
  var threads: Int
  /// A digest of the weights that this state goes with.
  var weights = ""

  init(
    settings: TrainingSettings, configuration: NetworkConfiguration, data: DataDescription, classNames: [String]?,
    threads: Int
  ) {
    (self.settings, self.configuration, self.data) = (settings, configuration, data)
    (self.classNames, self.threads) = (classNames, threads)
  }

  /// Whether a step has moved the weights yet.
  var hasLearned: Bool { epoch > 0 || sums.images > 0 }

  /// The same where the loop stands now.
  func standing(at loop: borrowing TrainingLoop<AnyNetwork<Float>>) -> TrainingProgress {
    var progress = self
    (progress.epoch, progress.step, progress.sums) = (loop.epoch, loop.step, loop.sums)
    return progress
  }

  /// The best validation accuracy so far, and its epoch.
  var best: (epoch: Int, top1: Double)? {
    records.compactMap { record in record.validationTop1.map { (record.epoch, $0) } }
      .max { ($0.1, -$0.0) < ($1.1, -$1.0) }
  }

  private static func newRunName() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
