import Checkpoints
import Files
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
  /// What to make of the covariance in place of the head's own.
  public var normalization: CovarianceNormalization?
  /// At most so many images of each part of the data, the first ones.
  public var limit: Int?

  /// Settings of a run.
  public init(
    model: String, data: String, recipe: Recipe, seed: UInt64 = 0, finetune: String? = nil, limit: Int? = nil
  ) {
    (self.model, self.data, self.recipe, self.seed) = (model, data, recipe, seed)
    (self.finetune, self.limit) = (finetune, limit)
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
  var settings: TrainingSettings
  /// The structure, in which data and a checkpoint that was started from had their say.
  var configuration: NetworkConfiguration
  var classNames: [String]?
  /// Epochs that are complete.
  var epoch = 0
  /// Steps of the current epoch that are done.
  var step = 0
  var sums = EpochSums()
  var records: [EpochRecord] = []
  var threads: Int

  /// The best validation accuracy so far, and its epoch.
  var best: (epoch: Int, top1: Double)? {
    records.compactMap { record in record.validationTop1.map { (record.epoch, $0) } }
      .max { ($0.1, -$0.0) < ($1.1, -$1.0) }
  }
}

/// The files of a run.
///
/// `last.safetensors` holds the weights and names the state file that goes with it, which was written before: replacing
/// `last.safetensors` is the one moment at which a new checkpoint takes the old one's place.
struct TrainingFiles {
  let directory: String

  private func path(_ name: String) -> String { directory + "/" + name }
  var last: String { path("last.safetensors") }
  var best: String { path("best.safetensors") }
  var log: String { path("log.csv") }
  var curves: String { path("curves.svg") }
  private static let stateKey = "training_state"

  func prepare() throws {
    do { try createDirectory(directory) } catch { throw TrainingError.cannotWrite(directory, error.reason) }
  }

  /// Whether there is something to resume.
  var hasCheckpoint: Bool { fileKind(last) != nil }

  /// Writes a checkpoint: first the state under a new name, then the weights that name it; then the old state goes.
  func save(
    _ network: ResNet<Float>, state: [(name: String, tensor: Tensor<Float>)], progress: TrainingProgress
  ) throws {
    let name = "state-\(progress.epoch)-\(progress.step).safetensors"
    let json = String(decoding: try JSONEncoder().encode(progress), as: UTF8.self)
    try writeSafetensors(state, metadata: ["training": json], to: path(name))
    var metadata = Self.metadata(network, progress)
    metadata[Self.stateKey] = name
    try writeSafetensors(network.namedTensors, metadata: metadata, to: last)
    let others = (try? directoryEntries(directory)) ?? []
    for other in others where other.hasPrefix("state-") && other.hasSuffix(".safetensors") && other != name {
      try? removeFile(path(other))
    }
    for partial in others where partial.hasPrefix(".") && partial.hasSuffix(".partial") {
      try? removeFile(path(partial))  // of a process that was killed
    }
  }

  func saveBest(_ network: ResNet<Float>, progress: TrainingProgress) throws {
    try writeSafetensors(network.namedTensors, metadata: Self.metadata(network, progress), to: best)
  }

  /// What names of tensors cannot say.
  static func metadata(_ network: ResNet<Float>, _ progress: TrainingProgress) -> [String: String] {
    let (configuration, transform) = (network.configuration, network.configuration.transform)
    func list(_ values: [Float]) -> String { "[" + values.map { "\($0)" }.joined(separator: ", ") + "]" }
    var metadata = [
      "model": configuration.name, "flavour": configuration.flavour.rawValue, "head": configuration.head.rawValue,
      "d": "\(configuration.dimension)", "classes": "\(configuration.classes)",
      "input_channels": "\(configuration.inputChannels)", "input_size": "\(configuration.imageSize)",
      "mean": list(transform.mean), "std": list(transform.deviation), "epoch": "\(progress.epoch)",
      "step": "\(progress.step)", "seed": "\(progress.settings.seed)", "recipe": progress.settings.recipe.name,
    ]
    metadata["normalization"] = configuration.normalization?.description
    if case .newtonSchulz(let operation, _) = configuration.normalization {
      metadata["iterations"] = "\(operation.iterations)"
      metadata["scaling"] = operation.scaling.rawValue
    }
    if let names = progress.classNames, let json = try? JSONEncoder().encode(names) {
      metadata["class_names"] = String(decoding: json, as: UTF8.self)
    }
    if progress.step == 0, let record = progress.records.last, let top1 = record.validationTop1 {
      metadata["validation_top1"] = "\(top1)"
    }
    return metadata
  }

  /// Reads what `save` wrote.
  func load() throws -> (weights: Checkpoint, state: Checkpoint, progress: TrainingProgress) {
    let weights = try Checkpoint(contentsOf: last)
    guard let name = weights.metadata[Self.stateKey], !name.contains("/") else {
      throw TrainingError.notResumable(last, "it names no training state")
    }
    let state = try Checkpoint(contentsOf: path(name))
    guard let json = state.metadata["training"] else {
      throw TrainingError.notResumable(path(name), "it holds no training state")
    }
    do {
      let progress = try JSONDecoder().decode(TrainingProgress.self, from: Data(json.utf8))
      return (weights, state, progress)
    } catch { throw TrainingError.notResumable(path(name), "its training state cannot be read") }
  }

  /// Writes `log.csv`: a row for each epoch.
  func write(log records: [EpochRecord]) throws {
    func field(_ value: Double?, _ format: String) -> String { value.map { String(format: format, $0) } ?? "" }
    var text =
      "epoch,learning_rate,train_loss,train_top1,validation_loss,validation_top1,validation_top5,drop_rate,seconds,"
      + "images_per_second\n"
    for r in records {
      text +=
        [
          "\(r.epoch)", field(r.learningRate, "%.8g"), field(r.trainLoss, "%.6f"), field(r.trainTop1, "%.3f"),
          field(r.validationLoss, "%.6f"), field(r.validationTop1, "%.3f"), field(r.validationTop5, "%.3f"),
          field(r.dropRate, "%.4f"), field(r.seconds, "%.1f"), field(r.imagesPerSecond, "%.1f"),
        ].joined(separator: ",") + "\n"
    }
    try writeAtomically(text, to: log)
  }

  func write(curves svg: String) throws { try writeAtomically(svg, to: curves) }
}

extension Module where Scalar == Float {
  /// All tensors by name, in PyTorch's order.
  var namedTensors: [(name: String, tensor: Tensor<Float>)] { tensors.map { ($0.description.name, $0.tensor) } }
}

/// Why training cannot begin or go on.
public enum TrainingError: Error, CustomStringConvertible {
  /// A file or directory cannot be written.
  case cannotWrite(String, String)
  /// A checkpoint that training cannot go on from.
  case notResumable(String, String)
  /// The directory holds another run.
  case directoryInUse(String)
  /// Settings that differ from those of the run that is to be resumed.
  case otherSettings(String)
  /// Data that the network cannot learn from.
  case data(String)
  /// A number that is not finite: where in the run, and which tensor.
  case notFinite(epoch: Int, step: Int, tensor: String)

  public var description: String {
    switch self {
    case .cannotWrite(let path, let reason): "\(path): cannot be written: \(reason)"
    case .notResumable(let path, let reason): "\(path): cannot be resumed: \(reason)"
    case .directoryInUse(let directory):
      "\(directory): holds a run already; --resume it, or choose another --output"
    case .otherSettings(let what): what
    case .data(let what): what
    case .notFinite(let epoch, let step, let tensor):
      "epoch \(epoch), step \(step): \(tensor) is not finite; the last good checkpoint is kept"
    }
  }
}
