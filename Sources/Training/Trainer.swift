import Foundation
@_exported import ModelZoo

/// A run of training: the loop, validation, and a directory of checkpoints and logs.
///
/// Everything is a function of the settings and the number of threads, so a run that was interrupted anywhere goes on to
/// the same bits.
public final class Trainer {
  /// What a step came to.
  public typealias StepReport = TrainingLoop<AnyNetwork<Float>>.StepReport

  /// How a run ended.
  public enum Ending: Sendable {
    /// All epochs are done.
    case complete
    /// It was asked to stop; a checkpoint is saved.
    case stopped
  }

  /// The network as it is now.
  public var network: AnyNetwork<Float> { loop.model }
  /// Rows of the log so far.
  public var records: [EpochRecord] { progress.records }
  /// The epoch with the best validation accuracy, and the accuracy in percent.
  public var best: (epoch: Int, top1: Double)? { progress.best }
  /// What was asked for.
  public var settings: TrainingSettings { progress.settings }
  /// Seconds after which a checkpoint is saved within an epoch.
  public var saveInterval = 60.0
  /// Whether epochs or steps are already done.
  public var isResumed: Bool { loop.epoch > 0 || loop.step > 0 }
  /// Complete epochs, and steps of the one that is not.
  public var position: (epoch: Int, step: Int) { (loop.epoch, loop.step) }

  /// What the user should know before training goes on.
  public private(set) var warnings: [String] = []

  /// What was settled before and what the epochs came to; where the run stands is the loop's.
  private var progress: TrainingProgress
  private var loop: TrainingLoop<AnyNetwork<Float>>
  private let directoryPath: String
  /// Held until the run ends, so that no other writes there.
  private var directory: RunDirectory?
  private let data: TrainingData
  private var lastSave = ContinuousClock.now

  /// A run that begins, in a directory that holds no other.
  ///
  /// - Throws: `ZooError`, `DatasetError`, `RecipeError`, `TrainingError`, and `CheckpointError` or `LoadError` where
  ///   there is a checkpoint to start from.
  public convenience init(_ settings: TrainingSettings, output path: String) throws {
    try settings.recipe.validate()
    var configuration = try Zoo.entry(named: settings.model).configuration
    try settings.adjust(&configuration)
    if RunDirectory.hasCheckpoint(path) {
      // Where the run that is there is going on, that is what is said.
      _ = try RunDirectory(claiming: path, for: settings.model)
      throw TrainingError.directoryInUse(path)
    }
    let data = try TrainingData(settings)
    let classes = data.classes
    try data.check(classes: classes)
    let channels = configuration.isSmall && data.isGrey ? 1 : 3
    var network: AnyNetwork<Float>
    var warnings = data.warnings
    if let path = settings.finetune {
      let found = try AnyNetwork<Float>.finetuned(
        configuration, from: path, classes: classes, seed: settings.seed, adjust: settings.adjust)
      network = found.network
      warnings += found.report.warnings
      if found.replacesClassifier {
        warnings.append("\(path) has another number of classes than \(settings.data): the classifier begins anew")
      }
    } else if let path = settings.backbone {
      configuration.classes = classes
      let found = try AnyNetwork<Float>.withBackbone(configuration, from: path, seed: settings.seed)
      network = found.network
      warnings += found.report.warnings
    } else {
      configuration.classes = classes
      configuration.input = configuration.architecture.input(configuration.backbone, channels: channels)
      network = AnyNetwork(configuration)
      network.initialize(seed: settings.seed)
    }
    if let path = settings.finetune ?? settings.backbone, network.configuration.inputChannels != channels {
      throw TrainingError.data(
        "\(settings.data): images of \(channels) channels; \(path) is for \(network.configuration.inputChannels)")
    }
    try settings.recipe.checkFrozen(network)
    // Only now, so that a mistake in the above leaves no directory behind.
    let directory = try RunDirectory(claiming: path, for: settings.model)
    try directory.checkIsFree()
    let progress = TrainingProgress(
      settings: settings, configuration: network.configuration, data: data.description,
      classNames: data.hasWordNetLabels ? nil : data.training.classNames, threads: WorkerPool.shared.width)
    self.init(network, progress, directory, data)
    self.warnings = warnings
  }

  /// A run that goes on from the checkpoint in a directory.
  /// - Parameters:
  ///   - path: the run's directory.
  ///   - settings: what is asked for now. It may differ from what the run began with in the place of the data, as long as
  ///     they are the same, and in the number of epochs, to which the schedule is stretched from here on.
  /// - Returns: `nil` where the directory holds no checkpoint.
  /// - Throws: `TrainingError` where the files are not those of one run, settings differ or the data are others.
  public convenience init?(resuming path: String, settings: (TrainingSettings) throws -> TrainingSettings) throws {
    guard RunDirectory.hasCheckpoint(path) else { return nil }
    let directory = try RunDirectory(claiming: path, for: "the run that is there")
    let state = try directory.load()
    var progress = state.progress
    try directory.checkIsOwn(progress)
    let asked = try settings(progress.settings)
    var warnings: [String] = []
    let epochs = (before: progress.settings.recipe.epochs, now: asked.recipe.epochs)
    (progress.settings.data, progress.settings.recipe.epochs) = (asked.data, asked.recipe.epochs)
    guard asked == progress.settings else {
      throw TrainingError.otherSettings(asked.difference(from: state.progress.settings, path))
    }
    if epochs.now != epochs.before {
      let begun = progress.epoch + (progress.step > 0 ? 1 : 0)
      guard epochs.now >= begun else {
        throw TrainingError.otherSettings(
          "\(path): \(begun) epochs are begun or done; --epochs must be at least that, found \(epochs.now)")
      }
      warnings.append(
        "\(epochs.before) epochs become \(epochs.now): the schedule is stretched to them from here on, so the result is "
          + "not that of a run of \(epochs.now) from its start")
    }
    let data = try TrainingData(asked)
    if let difference = progress.data.difference(to: data.description) {
      throw TrainingError.data("\(asked.data): cannot go on with other data: \(difference)")
    }
    try data.check(classes: progress.configuration.classes)
    if progress.threads != WorkerPool.shared.width {
      warnings.append(
        "the run began with \(progress.threads) threads and goes on with \(WorkerPool.shared.width): the result will differ "
          + "in the last bits from that of an uninterrupted run")
    }
    self.init(state.network, progress, directory, data)
    (loop.epoch, loop.step, loop.sums) = (progress.epoch, progress.step, progress.sums)
    if let mean = state.average {
      loop.average = ExponentialMovingAverage(of: mean, decay: asked.recipe.averageDecay ?? 0)
    }
    loop.optimizer.state = state.optimizer
    self.warnings = data.warnings + warnings
  }

  private init(
    _ network: AnyNetwork<Float>, _ progress: TrainingProgress, _ directory: RunDirectory, _ data: TrainingData
  ) {
    (self.progress, self.directory, self.data) = (progress, directory, data)
    loop = TrainingLoop(network, recipe: progress.settings.recipe, seed: progress.settings.seed)
    directoryPath = directory.path
  }

  /// Trains until all epochs are done or `shouldStop` says so, asked after each step and while validating; then the
  /// directory is free for others.
  /// - Throws: `MemoryError` where there is not enough for a step; `TrainingError` where a number is not finite or a file cannot be written.
  /// - Precondition: it is called once.
  public func run(
    onStep: (StepReport) -> Void = { _ in }, onEpoch: (EpochRecord) -> Void = { _ in },
    onValidationFailures: ([(path: String, reason: String)]) -> Void = { _ in },
    shouldStop: () -> Bool = { false }
  ) throws -> Ending {
    guard let directory else { preconditionFailure("a trainer runs once; resume the run in \(directoryPath)") }
    defer { self.directory = nil }
    try checkMemory()
    lastSave = ContinuousClock.now
    while loop.epoch < settings.recipe.epochs {
      let isWhole = try trainEpoch(directory, onStep: onStep, shouldStop: shouldStop)
      // Before validating too, which may take long.
      try save(directory)
      guard isWhole, !shouldStop(), let record = try finishEpoch(directory, onValidationFailures, shouldStop) else {
        return .stopped
      }
      onEpoch(record)
    }
    try directory.write(
      curves: curves(of: progress.records, title: "\(network.configuration.name), seed \(settings.seed)"),
      run: progress.run)
    return .complete
  }

  /// Asks whether there is memory for a step: for what convolutions and normalisations keep until the way back, which is the
  /// larger part of it.
  private func checkMemory() throws(MemoryError) {
    let trace = network.trace(input: network.configuration.inputShape)
    let kept = trace.steps.filter { $0.inputs.contains { trace.values[$0].tensor != nil } }
      .reduce(0) { $0 + trace.values[$1.inputs[0]].shape.scalarCount }
    let batch = min(settings.recipe.batchSize, data.training.count)
    try LinearAlgebra.checkMemory(
      kept * MemoryLayout<Float>.stride * batch, for: "a step of \(settings.model) with \(batch) images",
      remedy: "lower the batch size (--batch-size)")
  }

  /// The rest of the current epoch; false if it was asked to stop.
  private func trainEpoch(
    _ directory: RunDirectory, onStep: (StepReport) -> Void, shouldStop: () -> Bool
  ) throws -> Bool {
    try loop.trainEpoch(on: data.training, transform: network.configuration.input, onStep: onStep) { loop in
      if shouldStop() { return true }
      if (ContinuousClock.now - lastSave) / .seconds(1) >= saveInterval { try save(directory, loop) }
      return false
    }
  }

  /// Validates, logs and saves; `nil` if it was asked to stop.
  private func finishEpoch(
    _ directory: RunDirectory, _ onFailures: ([(path: String, reason: String)]) -> Void, _ shouldStop: () -> Bool
  ) throws -> EpochRecord? {
    let (sums, evaluated) = (loop.sums, loop.evaluated)
    var metrics: ClassificationMetrics?
    if let validation = data.validation {
      let evaluation = Evaluation(batchSize: 64)
      do {
        let summary = try evaluation(Classifier(evaluated), on: validation, isCancelled: shouldStop)
        guard summary.isComplete else { return nil }
        guard summary.metrics.images > 0 else {
          throw TrainingError.data(
            "\(settings.data): none of the \(summary.failures.count) validation images could be read"
              + (summary.failures.first.map { ": \($0.reason)" } ?? ""))
        }
        metrics = summary.metrics
        onFailures(summary.failures)
      } catch let error as EvaluationError {
        throw notFinite("the validation result of \(error.path), from \(error.failure.operation) on,")
      }
      guard metrics?.loss.isFinite == true else { throw notFinite("the validation loss") }
    }
    let isDropping = network.configuration.normalization?.normalizer is DropCov
    let record = EpochRecord(
      epoch: loop.epoch + 1, learningRate: settings.recipe.learningRate(at: (Double(loop.epoch) + 1).nextDown),
      trainLoss: sums.loss / Double(sums.images), trainTop1: 100 * Double(sums.correct) / Double(sums.images),
      validationLoss: metrics?.loss, validationTop1: metrics?.top1, validationTop5: metrics?.top5,
      dropRate: isDropping ? sums.dropRate / Double(max(sums.batches, 1)) : nil, seconds: sums.seconds,
      imagesPerSecond: Double(sums.images) / max(sums.seconds, 1e-9))
    progress.records.append(record)
    loop.finishEpoch()
    if progress.best?.epoch == record.epoch || data.validation == nil {
      try directory.saveBest(evaluated, progress: progress.standing(at: loop))
    }
    try save(directory)
    try directory.write(log: progress.records, run: progress.run)
    return record
  }

  private func save(_ directory: RunDirectory) throws { try save(directory, loop) }

  private func save(_ directory: RunDirectory, _ loop: borrowing TrainingLoop<AnyNetwork<Float>>) throws {
    var state = loop.optimizer.state.sorted { $0.key < $1.key }.map { (name: "optimizer.\($0.key)", tensor: $0.value) }
    state += loop.average?.module.namedTensors.map { ("average.\($0.name)", $0.tensor) } ?? []
    // A step can make weights that only the next would find fault with.
    if let bad = (loop.model.namedTensors + state).first(where: { !$0.tensor.isFinite }) {
      throw TrainingError.notFinite(epoch: loop.epoch + 1, step: loop.step, tensor: bad.name)
    }
    try directory.save(loop.model, state: state, progress: progress.standing(at: loop))
    lastSave = ContinuousClock.now
  }

  private func notFinite(_ tensor: String) -> TrainingError {
    .notFinite(epoch: loop.epoch + 1, step: loop.step, tensor: tensor)
  }
}
