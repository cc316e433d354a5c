import Foundation
@_exported import ModelZoo

/// Trains a network: steps, validation, checkpoints.
///
/// Everything is a function of the settings and the number of threads: order and augmentation of (seed, epoch, image), what
/// layers drop of (seed, step). So a run that was interrupted anywhere goes on to the same bits.
public final class Trainer {
  /// What a step came to.
  public struct StepReport: Sendable {
    /// From 1.
    public var epoch: Int
    /// Images of the epoch that are done, and all.
    public var images, totalImages: Int
    /// Images since training began or resumed in this epoch, and the time for them.
    public var timedImages: Int
    public var seconds: Double
    /// Means over the epoch so far.
    public var loss, top1: Double
    public var learningRate: Double
    /// Images that could not be read.
    public var failures: [(path: String, reason: String)]
  }

  /// How a run ended.
  public enum Ending: Sendable {
    /// All epochs are done.
    case complete
    /// It was asked to stop; a checkpoint is saved.
    case stopped
  }

  public private(set) var network: ResNet<Float>
  /// Rows of the log so far.
  public var records: [EpochRecord] { progress.records }
  /// The epoch with the best validation accuracy, and the accuracy in percent.
  public var best: (epoch: Int, top1: Double)? { progress.best }
  /// What was asked for.
  public var settings: TrainingSettings { progress.settings }
  /// Seconds after which a checkpoint is saved within an epoch.
  public var saveInterval = 60.0
  /// Whether epochs or steps are already done.
  public var isResumed: Bool { progress.epoch > 0 || progress.step > 0 }
  /// Complete epochs, and steps of the one that is not.
  public var position: (epoch: Int, step: Int) { (progress.epoch, progress.step) }

  /// What the user should know before training goes on.
  public private(set) var warnings: [String] = []

  private var progress: TrainingProgress
  private var optimizer: any Optimizer<Float>
  private var average: ExponentialMovingAverage<ResNet<Float>>?
  private let directoryPath: String
  /// Held until the run ends, so that no other writes there.
  private var directory: RunDirectory?
  private let data: TrainingData
  private var lastSave = ContinuousClock.now

  /// A run that begins, in a directory that holds no other.
  ///
  /// From here on the process keeps memory that is freed, for the next step (`keepFreedMemory`).
  /// - Throws: `ZooError`, `DatasetError`, `RecipeError`, `TrainingError`, and `CheckpointError` or `LoadError` where
  ///   there is a checkpoint to start from.
  public convenience init(_ settings: TrainingSettings, output path: String) throws {
    try settings.recipe.validate()
    var configuration = try Zoo.entry(named: settings.model).configuration
    if let normalization = settings.normalization {
      guard configuration.head != .gap else {
        throw TrainingError.otherSettings("\(settings.model) has no covariance head to normalize by \(normalization)")
      }
      configuration.normalization = normalization
    }
    if RunDirectory.hasCheckpoint(path) {
      // Where the run that is there is going on, that is what is said.
      _ = try RunDirectory(claiming: path, for: settings.model)
      throw TrainingError.directoryInUse(path)
    }
    let data = try TrainingData(settings)
    let classes = data.classes
    try data.check(classes: classes)
    let channels = configuration.family == .cifar && data.isGrey ? 1 : 3
    var network: ResNet<Float>
    var warnings = data.warnings
    if let path = settings.finetune {
      let found = try ResNet<Float>.finetuned(
        configuration, from: path, classes: classes, seed: settings.seed, normalization: settings.normalization)
      network = found.network
      warnings += found.report.warnings
      if found.replacesClassifier {
        warnings.append("\(path) has another number of classes than \(settings.data): the classifier begins anew")
      }
      guard network.configuration.inputChannels == channels else {
        throw TrainingError.data(
          "\(settings.data): images of \(channels) channels; \(path) is for \(network.configuration.inputChannels)")
      }
    } else {
      (configuration.classes, configuration.inputChannels) = (classes, channels)
      network = ResNet<Float>(configuration)
      network.initialize(seed: settings.seed)
    }
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
  /// - Parameter settings: what is asked for now. It may differ from what the run began with in the place of the data, as
  ///   long as they are the same, and in the number of epochs, to which the schedule is stretched from here on.
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
    if let mean = state.average {
      average = ExponentialMovingAverage(of: mean, decay: asked.recipe.averageDecay ?? 0)
    }
    optimizer.state = state.optimizer
    self.warnings = data.warnings + warnings
  }

  private init(
    _ network: ResNet<Float>, _ progress: TrainingProgress, _ directory: RunDirectory, _ data: TrainingData
  ) {
    (self.network, self.progress, self.directory, self.data) = (network, progress, directory, data)
    directoryPath = directory.path
    let recipe = progress.settings.recipe
    optimizer = Self.optimizer(recipe)
    average = recipe.averageDecay.map { ExponentialMovingAverage(of: network, decay: $0) }
    keepFreedMemory()
  }

  /// A recipe's optimiser before its first step.
  static func optimizer(_ recipe: Recipe) -> any Optimizer<Float> {
    switch recipe.optimizer {
    case .sgd:
      SGD<Float>(
        momentum: recipe.momentum, weightDecay: recipe.weightDecay, isNesterov: recipe.nesterov, groups: recipe.groups)
    case .adamw: AdamW<Float>(weightDecay: recipe.weightDecay, groups: recipe.groups)
    }
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
    while progress.epoch < settings.recipe.epochs {
      let isWhole = try trainEpoch(directory, onStep: onStep, shouldStop: shouldStop)
      // Before validating too, which may take long.
      try save(directory)
      guard isWhole, !shouldStop(), let record = try finishEpoch(directory, onValidationFailures, shouldStop) else {
        return .stopped
      }
      onEpoch(record)
    }
    try directory.write(
      curves: curves(of: progress.records, title: "\(settings.model), seed \(settings.seed)"), run: progress.run)
    return .complete
  }

  /// Asks whether there is memory for a step: for what convolutions and normalisations keep until the way back, which is the
  /// larger part of it.
  private func checkMemory() throws(MemoryError) {
    let configuration = network.configuration
    let trace = network.trace(
      input: [1, configuration.inputChannels, configuration.imageSize, configuration.imageSize])
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
    let (recipe, epoch) = (settings.recipe, progress.epoch)
    let count = data.training.count
    let order = RandomStream(seed: settings.seed, name: "order \(epoch)").generatedPermutation(of: count)
    let steps = (count - 1) / recipe.batchSize + 1
    let transform = TrainingTransform(
      network.configuration.transform, recipe.augmentation, seed: settings.seed, epoch: epoch)
    let loader = DataLoader(
      dataset: data.training, transform: transform, batchSize: recipe.batchSize,
      indices: Array(order.dropFirst(progress.step * recipe.batchSize)), workers: WorkerPool.shared.width)
    var timed = 0
    var start = ContinuousClock.now
    while let batch = loader.next() {
      let labels = batch.labels.compactMap { $0 }
      let rate = recipe.learningRate(at: Double(epoch) + Double(progress.step) / Double(steps))
      if !labels.isEmpty { try step(batch.images, labels, rate) }
      progress.step += 1
      timed += labels.count
      let now = ContinuousClock.now
      progress.sums.seconds += (now - start) / .seconds(1)
      start = now
      let sums = progress.sums
      onStep(
        StepReport(
          epoch: epoch + 1, images: min(progress.step * recipe.batchSize, count), totalImages: count,
          timedImages: sums.images, seconds: sums.seconds, loss: sums.loss / Double(max(sums.images, 1)),
          top1: 100 * Double(sums.correct) / Double(max(sums.images, 1)), learningRate: rate,
          failures: batch.failures))
      if progress.step < steps {
        if shouldStop() { return false }
        if (ContinuousClock.now - lastSave) / .seconds(1) >= saveInterval { try save(directory) }
      }
    }
    guard progress.sums.images > 0 else {
      throw TrainingError.data("\(settings.data): none of the \(count) images could be read")
    }
    return true
  }

  private func step(_ images: Tensor<Float>, _ labels: [Int], _ rate: Double) throws {
    let recipe = settings.recipe
    let random = RandomStream(seed: settings.seed, name: "step \(progress.epoch) \(progress.step)")
    var logits: Tensor<Float>?
    let loss = SoftmaxCrossEntropy(labels: labels, labelSmoothing: recipe.labelSmoothing)
    var result = try valueWithGradients(of: network, random: random) { network in
      let output = network(images)
      logits = output.detached
      return loss.applied(to: output)
    }
    let value = Double(result.value.item)
    guard value.isFinite, result.gradients.norm.isFinite else {
      throw notFinite(images, loss, random, result.gradients)
    }
    if let limit = recipe.clipNorm { result.gradients.clip(norm: limit) }
    optimizer.step(&network, result.gradients, learningRate: rate)
    network.assign(result.updates)
    average?.update(with: network)
    progress.sums.images += labels.count
    progress.sums.batches += 1
    progress.sums.loss += value * Double(labels.count)
    progress.sums.correct += logits.map { correct($0, labels) } ?? 0
    progress.sums.dropRate += result.metrics.last { $0.name == "drop_rate" }?.value ?? 0
  }

  /// Goes through the step once more to find the first tensor that is not finite.
  private func notFinite(
    _ images: Tensor<Float>, _ loss: SoftmaxCrossEntropy, _ random: RandomStream, _ gradients: Gradients<Float>
  ) -> TrainingError {
    let tape = Tape<Float>(.differentiating(isTraining: true), random: random, checksFinite: true)
    var recorded = network
    recorded.forEachTensor { $1 = tape.leaf($1, name: $0.name, needsGradient: $0.role != .buffer) }
    _ = loss.applied(to: recorded(tape.leaf(images, name: "the images")))
    let gradient = zip(gradients.names, gradients.tensors).first { !$1.isFinite }.map { "the gradient of \($0.0)" }
    return .notFinite(
      epoch: progress.epoch + 1, step: progress.step + 1, tensor: tape.firstNotFinite ?? gradient ?? "the loss")
  }

  private func correct(_ logits: Tensor<Float>, _ labels: [Int]) -> Int {
    let classes = logits.shape[1]
    return logits.withUnsafeScalars { scores in
      labels.enumerated().count { row, label in
        topK(UnsafeBufferPointer(rebasing: scores[row * classes..<(row + 1) * classes]), 1).first?.index == label
      }
    }
  }

  /// Validates, logs and saves; `nil` if it was asked to stop.
  private func finishEpoch(
    _ directory: RunDirectory, _ onFailures: ([(path: String, reason: String)]) -> Void, _ shouldStop: () -> Bool
  ) throws -> EpochRecord? {
    let sums = progress.sums
    let evaluated = average?.module ?? network
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
    let isDropping = network.configuration.head == .dropcov
    let record = EpochRecord(
      epoch: progress.epoch + 1,
      learningRate: settings.recipe.learningRate(at: (Double(progress.epoch) + 1).nextDown),
      trainLoss: sums.loss / Double(sums.images), trainTop1: 100 * Double(sums.correct) / Double(sums.images),
      validationLoss: metrics?.loss, validationTop1: metrics?.top1, validationTop5: metrics?.top5,
      dropRate: isDropping ? sums.dropRate / Double(max(sums.batches, 1)) : nil, seconds: sums.seconds,
      imagesPerSecond: Double(sums.images) / max(sums.seconds, 1e-9))
    progress.records.append(record)
    progress.epoch += 1
    (progress.step, progress.sums) = (0, EpochSums())
    if progress.best?.epoch == record.epoch || data.validation == nil {
      try directory.saveBest(evaluated, progress: progress)
    }
    try save(directory)
    try directory.write(log: progress.records, run: progress.run)
    return record
  }

  private func save(_ directory: RunDirectory) throws {
    var state = optimizer.state.sorted { $0.key < $1.key }.map { (name: "optimizer.\($0.key)", tensor: $0.value) }
    state += average?.module.namedTensors.map { ("average.\($0.name)", $0.tensor) } ?? []
    // A step can make weights that only the next would find fault with.
    if let bad = (network.namedTensors + state).first(where: { !$0.tensor.isFinite }) { throw notFinite(bad.name) }
    try directory.save(network, state: state, progress: progress)
    lastSave = ContinuousClock.now
  }

  private func notFinite(_ tensor: String) -> TrainingError {
    .notFinite(epoch: progress.epoch + 1, step: progress.step, tensor: tensor)
  }
}

extension RandomStream {
  fileprivate func generatedPermutation(of count: Int) -> [Int] {
    var generator = self.generator
    return generator.permutation(of: count)
  }
}
