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
  private let files: TrainingFiles
  private let trainingData: any Dataset
  private let validationData: (any Dataset)?
  private var lastSave = Date()

  /// A run that begins, in a directory that holds no other.
  ///
  /// From here on the process keeps memory that is freed, for the next step (`keepFreedMemory`).
  /// - Throws: `ZooError`, `DatasetError`, `RecipeError`, `TrainingError`, and `CheckpointError` or `LoadError` where
  ///   there is a checkpoint to start from.
  public convenience init(_ settings: TrainingSettings, output directory: String) throws {
    try settings.recipe.validate()
    var configuration = try Zoo.entry(named: settings.model).configuration
    if let normalization = settings.normalization {
      guard configuration.head != .gap else {
        throw TrainingError.otherSettings("\(settings.model) has no covariance head to normalize by \(normalization)")
      }
      configuration.normalization = normalization
    }
    let data = try Self.open(settings)
    let labels = (0..<data.training.count).lazy.compactMap { data.training.label($0) }
    guard let highest = labels.max(), labels.count == data.training.count else {
      throw TrainingError.data("\(settings.data): images without labels cannot be learnt from")
    }
    let isImageNet = (data.training as? ImageFolder)?.hasWordNetLabels == true
    let classes = isImageNet ? ImageNet.classNames.count : max(highest + 1, data.training.classNames?.count ?? 0)
    let channels = configuration.family == .cifar && data.training is IDXDataset ? 1 : 3
    var network: ResNet<Float>
    var warnings: [String] = []
    if let path = settings.finetune {
      let found = try ResNet<Float>.finetuned(
        configuration, from: path, classes: classes, seed: settings.seed, normalization: settings.normalization)
      (network, warnings) = (found.network, found.report.warnings)
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
    let progress = TrainingProgress(
      settings: settings, configuration: network.configuration, classNames: isImageNet ? nil : data.training.classNames,
      threads: WorkerPool.shared.width)
    try Self.check(data.validation, classes: classes)
    let files = TrainingFiles(directory: directory)
    guard !files.hasCheckpoint else { throw TrainingError.directoryInUse(directory) }
    try files.prepare()
    self.init(network, progress, files, data)
    self.warnings = warnings
  }

  /// A run that goes on from the checkpoint in a directory.
  /// - Parameter settings: what is asked for now; may not differ from what the run began with.
  /// - Returns: `nil` where the directory holds no checkpoint.
  public convenience init?(resuming directory: String, settings: (TrainingSettings) throws -> TrainingSettings) throws {
    let files = TrainingFiles(directory: directory)
    guard files.hasCheckpoint else { return nil }
    let (weights, state, progress) = try files.load()
    let asked = try settings(progress.settings)
    guard asked == progress.settings else {
      throw TrainingError.otherSettings(Self.difference(progress.settings, asked, directory))
    }
    var network = ResNet<Float>(progress.configuration)
    try network.fill(from: weights)
    self.init(network, progress, files, try Self.open(asked, classes: progress.configuration.classes))
    var averaged = network
    if average != nil {
      try averaged.fill(from: state, prefix: "average.")
      average = ExponentialMovingAverage(of: averaged, decay: asked.recipe.averageDecay ?? 0)
    }
    var remembered: [String: Tensor<Float>] = [:]
    for (name, tensor) in state.tensors where name.hasPrefix("optimizer.") {
      remembered[String(name.dropFirst("optimizer.".count))] = try tensor.tensor(as: Float.self)
    }
    optimizer.state = remembered
    if progress.threads != WorkerPool.shared.width {
      warnings.append(
        "the run began with \(progress.threads) threads and goes on with \(WorkerPool.shared.width): the result will differ "
          + "in the last bits from that of an uninterrupted run")
    }
  }

  private init(
    _ network: ResNet<Float>, _ progress: TrainingProgress, _ files: TrainingFiles,
    _ data: (training: any Dataset, validation: (any Dataset)?)
  ) {
    (self.network, self.progress, self.files) = (network, progress, files)
    (trainingData, validationData) = data
    let recipe = progress.settings.recipe
    switch recipe.optimizer {
    case .sgd:
      optimizer = SGD<Float>(
        momentum: recipe.momentum, weightDecay: recipe.weightDecay, isNesterov: recipe.nesterov, groups: recipe.groups)
    case .adamw: optimizer = AdamW<Float>(weightDecay: recipe.weightDecay, groups: recipe.groups)
    }
    average = recipe.averageDecay.map { ExponentialMovingAverage(of: network, decay: $0) }
    keepFreedMemory()
  }

  /// Trains until all epochs are done or `shouldStop` says so, asked after each step and while validating.
  /// - Throws: `TrainingError` where a number is not finite or a file cannot be written.
  public func run(
    onStep: (StepReport) -> Void = { _ in }, onEpoch: (EpochRecord) -> Void = { _ in },
    shouldStop: () -> Bool = { false }
  ) throws -> Ending {
    lastSave = Date()
    try files.write(log: progress.records)
    while progress.epoch < settings.recipe.epochs {
      let isWhole = try trainEpoch(onStep: onStep, shouldStop: shouldStop)
      // Before validating too, which may take long.
      try save()
      guard isWhole, !shouldStop(), let record = try finishEpoch(shouldStop) else { return .stopped }
      onEpoch(record)
    }
    try files.write(curves: curves(of: progress.records, title: "\(settings.model), seed \(settings.seed)"))
    return .complete
  }

  /// The rest of the current epoch; false if it was asked to stop.
  private func trainEpoch(onStep: (StepReport) -> Void, shouldStop: () -> Bool) throws -> Bool {
    let (recipe, epoch) = (settings.recipe, progress.epoch)
    let count = min(settings.limit ?? trainingData.count, trainingData.count)
    let order = RandomStream(seed: settings.seed, name: "order \(epoch)").generatedPermutation(of: count)
    let steps = (count + recipe.batchSize - 1) / recipe.batchSize
    let transform = TrainingTransform(
      network.configuration.transform, recipe.augmentation, seed: settings.seed, epoch: epoch)
    let loader = DataLoader(
      dataset: trainingData, transform: transform, batchSize: recipe.batchSize,
      indices: Array(order.dropFirst(progress.step * recipe.batchSize)), workers: WorkerPool.shared.width)
    var timed = 0
    var start = Date()
    while let batch = loader.next() {
      let labels = batch.labels.compactMap { $0 }
      let rate = recipe.learningRate(at: Double(epoch) + Double(progress.step) / Double(steps))
      if !labels.isEmpty { try step(batch.images, labels, rate) }
      progress.step += 1
      timed += labels.count
      progress.sums.seconds += Date().timeIntervalSince(start)
      start = Date()
      let sums = progress.sums
      onStep(
        StepReport(
          epoch: epoch + 1, images: min(progress.step * recipe.batchSize, count), totalImages: count,
          timedImages: sums.images, seconds: sums.seconds, loss: sums.loss / Double(max(sums.images, 1)),
          top1: 100 * Double(sums.correct) / Double(max(sums.images, 1)), learningRate: rate,
          failures: batch.failures))
      if progress.step < steps {
        if shouldStop() { return false }
        if Date().timeIntervalSince(lastSave) >= saveInterval { try save() }
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
  private func finishEpoch(_ shouldStop: () -> Bool) throws -> EpochRecord? {
    let sums = progress.sums
    let evaluated = average?.module ?? network
    var metrics: ClassificationMetrics?
    if let validationData {
      let evaluation = Evaluation(batchSize: 64, limit: settings.limit)
      do {
        metrics = try evaluation(Classifier(evaluated), on: validationData, isCancelled: shouldStop).metrics
      } catch is CancellationError {
        return nil
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
    if progress.best?.epoch == record.epoch || validationData == nil {
      try files.saveBest(evaluated, progress: progress)
    }
    try save()
    try files.write(log: progress.records)
    return record
  }

  private func save() throws {
    var state = optimizer.state.sorted { $0.key < $1.key }.map { (name: "optimizer.\($0.key)", tensor: $0.value) }
    state += average?.module.namedTensors.map { ("average.\($0.name)", $0.tensor) } ?? []
    // A step can make weights that only the next would find fault with.
    if let bad = (network.namedTensors + state).first(where: { !$0.tensor.isFinite }) { throw notFinite(bad.name) }
    try files.save(network, state: state, progress: progress)
    lastSave = Date()
  }

  private func notFinite(_ tensor: String) -> TrainingError {
    .notFinite(epoch: progress.epoch + 1, step: progress.step, tensor: tensor)
  }

  /// Images to learn from, and those to validate on where there are any.
  private static func open(
    _ settings: TrainingSettings, classes: Int? = nil
  ) throws -> (training: any Dataset, validation: (any Dataset)?) {
    let index = ImageNet.indexOfWordNetID
    let training = try openDataset(settings.data, split: .train, wordNetIndex: index)
    var validation: (any Dataset)?
    do {
      validation = try openDataset(settings.data, split: .test, wordNetIndex: index, classNames: training.classNames)
    } catch DatasetError.missingPart { validation = nil }
    // A folder that has no parts is all for training.
    if validation?.summary == training.summary { validation = nil }
    let known = Set(training.classNames ?? [])
    if !known.isEmpty, let other = validation?.classNames?.first(where: { !known.contains($0) }) {
      throw TrainingError.data("\(settings.data): its validation images have a class '\(other)' that training has not")
    }
    if let classes { try check(validation, classes: classes) }
    return (training, validation)
  }

  private static func check(_ validation: (any Dataset)?, classes: Int) throws {
    guard let validation else { return }
    let highest = (0..<validation.count).lazy.compactMap { validation.label($0) }.max() ?? 0
    guard highest < classes else {
      throw TrainingError.data("\(validation.summary): labels go up to \(highest), but there are \(classes) classes")
    }
  }

  private static func difference(_ old: TrainingSettings, _ new: TrainingSettings, _ directory: String) -> String {
    func fields(_ settings: TrainingSettings) -> [String: String] {
      func flatten(_ value: Any, _ path: String) -> [(String, String)] {
        guard let object = value as? [String: Any] else { return [(path, "\(value)")] }
        return object.flatMap { flatten($0.value, path.isEmpty ? $0.key : path + "." + $0.key) }
      }
      let json = (try? JSONEncoder().encode(settings)).flatMap { try? JSONSerialization.jsonObject(with: $0) }
      return Dictionary(uniqueKeysWithValues: flatten(json ?? [:], ""))
    }
    let (before, after) = (fields(old), fields(new))
    let names = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
    let shown = names.prefix(3).map { "\($0) was \(before[$0] ?? "not set"), now \(after[$0] ?? "not set")" }
    return "\(directory): cannot be resumed with other settings: \(shown.joined(separator: "; "))"
  }
}

extension RandomStream {
  fileprivate func generatedPermutation(of count: Int) -> [Int] {
    var generator = self.generator
    return generator.permutation(of: count)
  }
}
