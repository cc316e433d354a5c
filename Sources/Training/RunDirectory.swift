import Checkpoints
import Files
import Foundation
import ModelZoo

/// The directory of a run, which one process owns while this object lives, and the run's files in it.
///
/// `last.safetensors` holds the weights and names the state file that goes with it, which was written before: replacing
/// `last.safetensors` is the one moment at which a new checkpoint takes the old one's place. What the run did not write is
/// neither removed nor overwritten: state files and those that a crash left half-written bear the run's name.
final class RunDirectory {
  let path: String
  private let lock: DirectoryLock
  /// The state file that `last.safetensors` names.
  private var currentState: String?

  var last: String { path + "/last.safetensors" }
  var best: String { path + "/best.safetensors" }
  var log: String { path + "/log.csv" }
  var curves: String { path + "/curves.svg" }
  static let stateKey = "training_state"
  static let runKey = "run"
  static let digestKey = "training_digest"

  /// Takes a directory, which is made where it is missing.
  /// - Throws: `TrainingError.directoryLocked` where a run is going on in it, `TrainingError.cannotWrite`.
  init(claiming path: String, for model: String) throws {
    self.path = path
    do {
      try createDirectory(path)
      lock = try DirectoryLock(path, name: ".zoo-train.lock", owner: "training \(model)")
    } catch {
      if error.path == path, error.reason.hasPrefix("in use by ") {
        throw TrainingError.directoryLocked(path, holder: String(error.reason.dropFirst("in use by ".count)))
      }
      throw TrainingError.cannotWrite(error.path, error.reason)
    }
  }

  /// Whether there is something to resume.
  static func hasCheckpoint(_ path: String) -> Bool { fileKind(path + "/last.safetensors") != nil }

  /// - Throws: `TrainingError` where a run that begins would overwrite something.
  func checkIsFree() throws {
    guard fileKind(last) == nil else { throw TrainingError.directoryInUse(path) }
    for file in [last, best, log, curves] where isTaken(file) { throw TrainingError.foreignFile(file) }
  }

  /// - Throws: `TrainingError.foreignFile` where a file that the run would overwrite is not its own.
  func checkIsOwn(_ progress: TrainingProgress) throws {
    if fileKind(best) != nil, (try? Checkpoint(contentsOf: best))?.metadata[Self.runKey] != progress.run {
      throw TrainingError.foreignFile(best)
    }
    // A row less after a crash; anything else somebody wrote there.
    if fileKind(log) != nil,
      (try? readFile(log)).map({ Self.text(of: progress.records).utf8.starts(with: $0) }) != true
    {
      throw TrainingError.foreignFile(log)
    }
    if fileKind(curves) != nil, !isOwnPicture(progress.run) { throw TrainingError.foreignFile(curves) }
  }

  /// Writes a checkpoint: first the state under a new name, then the weights that name it; then the old state goes.
  func save(
    _ network: AnyNetwork<Float>, state: [(name: String, tensor: Tensor<Float>)], progress: TrainingProgress
  ) throws {
    try checkIsHeld()
    var progress = progress
    progress.weights = Digest.of(network)
    let name = Self.stateName(progress)
    let json = String(decoding: try JSONEncoder().encode(progress), as: UTF8.self)
    try writeSafetensors(state, metadata: ["training": json], to: path + "/" + name, tag: progress.run)
    var metadata = Self.metadata(network, progress)
    metadata[Self.stateKey] = name
    metadata[Self.digestKey] = Digest.of(json: json, state)
    try writeSafetensors(network.namedTensors, metadata: metadata, to: last, tag: progress.run)
    if let old = currentState, old != name { try? removeFile(path + "/" + old) }
    currentState = name
  }

  func saveBest(_ network: AnyNetwork<Float>, progress: TrainingProgress) throws {
    try checkIsHeld()
    try writeSafetensors(
      network.namedTensors, metadata: Self.metadata(network, progress), to: best, tag: progress.run)
  }

  /// Reads what `save` wrote, which is checked as any file is.
  func load() throws -> RunState {
    let weights = try Checkpoint(contentsOf: last)
    guard let name = weights.metadata[Self.stateKey], Self.isStateName(name) else {
      throw TrainingError.notResumable(last, "it names no training state of this version")
    }
    let state = try RunState(weights: weights, state: Checkpoint(contentsOf: path + "/" + name))
    guard name == Self.stateName(state.progress) else {
      throw TrainingError.notResumable(
        last, "it names \(name), whose content is that of \(Self.stateName(state.progress))")
    }
    currentState = name
    removeLeftovers(of: state.progress.run)
    return state
  }

  /// Files that this run was writing, or had written before the checkpoint that names them, when it was killed.
  private func removeLeftovers(of run: String) {
    for name in (try? directoryEntries(path)) ?? [] {
      let isOldState = Self.isStateName(name) && name.hasPrefix("state-\(run)-") && name != currentState
      if isOldState || isPartial(name, tag: run) { try? removeFile(path + "/" + name) }
    }
  }

  private static func stateName(_ progress: TrainingProgress) -> String {
    "state-\(progress.run)-\(progress.epoch)-\(progress.step).safetensors"
  }

  /// Whether a name is one that `stateName` gives.
  private static func isStateName(_ name: String) -> Bool {
    name.wholeMatch(of: #/state-[0-9a-f]{16}-[0-9]{1,18}-[0-9]{1,18}\.safetensors/#) != nil
  }

  /// What names of tensors cannot say.
  static func metadata(_ network: AnyNetwork<Float>, _ progress: TrainingProgress) -> [String: String] {
    var metadata = network.configuration.metadata(classNames: progress.classNames)
    metadata["epoch"] = "\(progress.epoch)"
    metadata["step"] = "\(progress.step)"
    metadata["seed"] = "\(progress.settings.seed)"
    metadata["recipe"] = progress.settings.recipe.name
    metadata[runKey] = progress.run
    if progress.step == 0, let record = progress.records.last, let top1 = record.validationTop1 {
      metadata["validation_top1"] = "\(top1)"
    }
    return metadata
  }

  private static let logHeader =
    "epoch,learning_rate,train_loss,train_top1,validation_loss,validation_top1,validation_top5,drop_rate,seconds,"
    + "images_per_second\n"

  /// Writes `log.csv`: a row for each epoch.
  func write(log records: [EpochRecord], run: String) throws {
    try checkIsHeld()
    try writeAtomically(Self.text(of: records), to: log, tag: run)
  }

  private static func text(of records: [EpochRecord]) -> String {
    func field(_ value: Double?, _ format: String) -> String { value.map { String(format: format, $0) } ?? "" }
    var text = logHeader
    for r in records {
      text +=
        [
          "\(r.epoch)", field(r.learningRate, "%.8g"), field(r.trainLoss, "%.6f"), field(r.trainTop1, "%.3f"),
          field(r.validationLoss, "%.6f"), field(r.validationTop1, "%.3f"), field(r.validationTop5, "%.3f"),
          field(r.dropRate, "%.4f"), field(r.seconds, "%.1f"), field(r.imagesPerSecond, "%.1f"),
        ].joined(separator: ",") + "\n"
    }
    return text
  }

  func write(curves svg: String, run: String) throws {
    try checkIsHeld()
    // Somebody else's picture is left alone, wherever it came from.
    guard fileKind(curves) == nil || isOwnPicture(run) else { throw TrainingError.foreignFile(curves) }
    try writeAtomically(svg.replacing("</svg>", with: "<!-- run \(run) --></svg>"), to: curves, tag: run)
  }

  private func isOwnPicture(_ run: String) -> Bool {
    (try? readFile(curves)).map { String(decoding: $0, as: UTF8.self).contains("<!-- run \(run) -->") } ?? false
  }

  /// - Throws: where the directory was moved away or the lock removed, so that another run may be in its place.
  private func checkIsHeld() throws {
    guard lock.isHeld else {
      throw TrainingError.cannotWrite(path, "the directory or its lock was replaced since the run began")
    }
  }
}
