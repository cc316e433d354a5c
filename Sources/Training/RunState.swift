import Checkpoints
import Foundation
import ModelZoo

/// A run as its files tell it, which anybody may have edited: every number is checked for its range, every tensor for its
/// place, its shape and its values, before anything is made of them.
struct RunState {
  let progress: TrainingProgress
  private(set) var network: AnyNetwork<Float>
  private(set) var average: AnyNetwork<Float>?
  private(set) var optimizer: [String: Tensor<Float>] = [:]

  private let path: String

  /// Reads weights and the state that goes with them.
  /// - Throws: `TrainingError.notResumable` with the field or tensor, what was expected and what was found;
  ///   `CheckpointError`.
  init(weights: Checkpoint, state: Checkpoint) throws {
    path = state.path
    progress = try Self.progress(of: state)
    try Self.check(progress, path)
    guard weights.metadata[RunDirectory.runKey] == progress.run else {
      throw TrainingError.notResumable(weights.path, "it is of another run than \(state.path)")
    }
    try Self.check(progress.configuration, weights, path)
    network = AnyNetwork<Float>(progress.configuration)
    try Self.fill(&network, from: weights, prefix: "")
    try readState(state)
    // Whatever is in range by itself must still be what was written together.
    let wanted = RunDirectory.metadata(network, progress)
    if let key = wanted.keys.sorted().first(where: { wanted[$0] != weights.metadata[$0] }) {
      throw TrainingError.notResumable(
        weights.path, "its \(key) is '\(weights.metadata[key] ?? "missing")', that of \(path) '\(wanted[key] ?? "")'")
    }
    let tensors = try state.names.compactMap { name in
      try state.tensors[name].map { (name: name, tensor: try $0.tensor(as: Float.self)) }
    }
    let digest = Digest.of(json: state.metadata["training"] ?? "", tensors)
    let isWhole =
      Digest.of(network) == progress.weights && digest == weights.metadata[RunDirectory.digestKey]
    guard isWhole else {
      throw TrainingError.notResumable(path, "it or \(weights.path) was changed since they were written together")
    }
  }

  private static func progress(of state: Checkpoint) throws -> TrainingProgress {
    func failure(_ reason: String) -> TrainingError { .notResumable(state.path, reason) }
    guard let json = state.metadata["training"] else { throw failure("it holds no training state") }
    struct Format: Decodable { var format: Int? }
    let data = Data(json.utf8)
    let format = try? JSONDecoder().decode(Format.self, from: data)
    guard let format, format.format == TrainingProgress.currentFormat else {
      throw failure(
        "its state is of format \(format?.format.map { "\($0)" } ?? "1"), this version reads "
          + "\(TrainingProgress.currentFormat); start a new run from its weights with --finetune")
    }
    do { return try JSONDecoder().decode(TrainingProgress.self, from: data) } catch let error as DecodingError {
      throw failure("its training state: \(describe(error))")
    }
  }

  /// Numbers for themselves and among each other.
  private static func check(_ progress: TrainingProgress, _ path: String) throws {
    func check(_ isGood: Bool, _ name: String, _ value: Any, _ wanted: String) throws {
      guard isGood else { throw TrainingError.notResumable(path, "\(name) must be \(wanted), found \(value)") }
    }
    let settings = progress.settings
    do { try settings.recipe.validate() } catch { throw TrainingError.notResumable(path, "\(error)") }
    let entry: ZooEntry
    do { entry = try Zoo.entry(named: settings.model) } catch { throw TrainingError.notResumable(path, "\(error)") }
    let (own, named) = (progress.configuration, entry.configuration)
    try check(
      own.backbone == named.backbone && (own.covariance == nil) == (named.covariance == nil), "configuration",
      own.backbone, settings.model)
    try check(
      progress.run.wholeMatch(of: /[0-9a-f]{16}/) != nil, "run", "'\(progress.run.prefix(40))'", "16 hex digits")
    let limits = TrainingLimits.self
    try check(limits.threads.contains(progress.threads), "threads", progress.threads, limits.text(limits.threads))
    try check((settings.limit ?? 1) >= 1, "limit", settings.limit ?? 0, "at least 1")

    let epochs = settings.recipe.epochs
    try check((0...epochs).contains(progress.epoch), "epoch", progress.epoch, "from 0 to \(epochs)")
    try check(
      progress.records.map(\.epoch) == Array(0..<progress.epoch).map { $0 + 1 }, "records",
      "those of \(progress.records.count) epochs", "those of the \(progress.epoch) epochs that are done")
    for record in progress.records {
      let numbers = [
        record.learningRate, record.trainLoss, record.trainTop1, record.validationLoss, record.validationTop1,
        record.validationTop5, record.dropRate, record.seconds, record.imagesPerSecond,
      ].compactMap { $0 }
      try check(
        numbers.allSatisfy { $0.isFinite && $0 >= 0 }, "record \(record.epoch)", numbers, "numbers of 0 or more")
    }

    let images = progress.data.trainingImages
    try check(limits.images.contains(images), "data.trainingImages", images, limits.text(limits.images))
    if let count = progress.data.validationImages {
      try check(limits.images.contains(count), "data.validationImages", count, limits.text(limits.images))
    }
    let batch = settings.recipe.batchSize
    let steps = images / batch + (images % batch == 0 ? 0 : 1)
    try check((0...steps).contains(progress.step), "step", progress.step, "from 0 to \(steps)")
    try check(progress.epoch < epochs || progress.step == 0, "step", progress.step, "0 after the last epoch")
    let sums = progress.sums
    // Every step but an epoch's last has a whole batch, of which images may have been unreadable.
    let most = min(images, progress.step * min(batch, images))
    try check((0...most).contains(sums.images), "sums.images", sums.images, "from 0 to \(most)")
    try check((0...sums.images).contains(sums.correct), "sums.correct", sums.correct, "from 0 to \(sums.images)")
    try check((0...progress.step).contains(sums.batches), "sums.batches", sums.batches, "from 0 to \(progress.step)")
    try check((sums.batches == 0) == (sums.images == 0), "sums.batches", sums.batches, "those of sums.images")
    for (name, value) in [("loss", sums.loss), ("dropRate", sums.dropRate), ("seconds", sums.seconds)] {
      try check(value.isFinite && value >= 0, "sums.\(name)", value, "0 or more")
    }
    if let names = progress.classNames {
      try check(names == progress.data.classNames, "classNames", "others", "those of the data")
      try check(names.count <= own.classes, "classNames", names.count, "at most \(own.classes) names")
    }
  }

  /// The structure, as far as memory depends on it, is that of the weights, whose shapes the file's size bounds.
  private static func check(
    _ configuration: NetworkConfiguration, _ weights: Checkpoint, _ path: String
  ) throws {
    func check(_ name: String, _ value: Int, _ found: Int?) throws {
      guard value == found else {
        throw TrainingError.notResumable(
          path, "configuration.\(name) is \(value), that of \(weights.path) \(found.map { "\($0)" } ?? "is none")")
      }
    }
    let tensors = weights.tensors
    func extent(_ tensor: String, _ axis: Int, rank: Int) -> Int? {
      tensors[tensor].flatMap { $0.shape.rank == rank ? $0.shape[axis] : nil }
    }
    let (names, stem) = (configuration.architecture.headNames(configuration), configuration.architecture.marks[0])
    try check("classes", configuration.classes, extent(names.classifier + ".weight", 0, rank: 2))
    try check("inputChannels", configuration.inputChannels, extent(stem, 1, rank: 4))
    if let covariance = configuration.covariance {
      try check("dimension", covariance.dimension, extent(names.reduction + ".weight", 0, rank: 4))
    }
    let sizes = 1...4096
    guard CovarianceHead.dimensions.contains(configuration.covariance?.dimension ?? 1), configuration.classes >= 1,
      configuration.architecture.release(configuration.backbone, flavour: configuration.flavour) != nil,
      configuration.input.isUsable, configuration.input.resize.isWithin(sizes),
      sizes.contains(configuration.input.crop ?? 1)
    else { throw TrainingError.notResumable(path, "its configuration is that of no network of the zoo") }
  }

  /// Takes every tensor of a network from a file that may hold no others with this prefix.
  private static func fill(_ network: inout AnyNetwork<Float>, from checkpoint: Checkpoint, prefix: String) throws {
    func refusal(_ reason: String) -> TrainingError { .notResumable(checkpoint.path, reason) }
    var unused = Set(checkpoint.names.filter { $0.hasPrefix(prefix) })
    var failure: (any Error)?
    network.forEachTensor { description, tensor in
      guard failure == nil else { return }
      let name = prefix + description.name
      unused.remove(name)
      do {
        guard let stored = checkpoint.tensors[name], stored.shape == tensor.shape else {
          throw refusal(
            "it holds no \(name) of shape \(tensor.shape)"
              + (checkpoint.tensors[name].map { ", but one of \($0.shape)" } ?? ""))
        }
        tensor = try stored.tensor(as: Float.self)
        guard tensor.isFinite else { throw refusal("\(name) is not finite") }
        guard !name.hasSuffix("running_var") || tensor.scalars.allSatisfy({ $0 >= 0 }) else {
          throw refusal("\(name) has negative variances")
        }
      } catch { failure = error }
    }
    if let failure { throw failure }
    if let name = unused.min() { throw refusal("it holds a tensor '\(name)' that the network has not") }
  }

  /// What the optimiser remembers, and the mean of the weights.
  private mutating func readState(_ state: Checkpoint) throws {
    func refusal(_ reason: String) -> TrainingError { .notResumable(state.path, reason) }
    let recipe = progress.settings.recipe
    if recipe.averageDecay != nil {
      var mean = network
      try Self.fill(&mean, from: state, prefix: "average.")
      average = mean
    }
    let prefix = "optimizer."
    let frozen = ParameterGroup(recipe.frozen)
    let learned = network.tensors.filter { $0.description.role != .buffer && !frozen.contains($0.description.name) }
    var expected =
      progress.hasLearned
      ? recipe.newOptimizer().stateShapes(for: learned.map { ($0.description.name, $0.tensor.shape) }) : [:]
    for name in state.names where !(average != nil && name.hasPrefix("average.")) {
      let key = String(name.dropFirst(prefix.count))
      guard name.hasPrefix(prefix), let shape = expected.removeValue(forKey: key), let stored = state.tensors[name]
      else {
        throw refusal("it holds a tensor '\(name)' that its optimiser has not")
      }
      guard stored.shape == shape else { throw refusal("\(name) has shape \(stored.shape), expected \(shape)") }
      let tensor = try stored.tensor(as: Float.self)
      guard tensor.isFinite else { throw refusal("\(name) is not finite") }
      if key == "steps", tensor.item < 1 { throw refusal("\(name) is \(tensor.item), expected 1 or more") }
      if key.hasPrefix("square."), tensor.scalars.contains(where: { $0 < 0 }) {
        throw refusal("\(name) has negative numbers")
      }
      optimizer[key] = tensor
    }
    if let name = expected.keys.min() { throw refusal("it holds no \(prefix)\(name)") }
  }
}

/// Where in a JSON text a decoder met what it did not expect, and what.
func describe(_ error: DecodingError) -> String {
  switch error {
  case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
    let path = context.codingPath.map(\.stringValue).joined(separator: ".")
    let text = context.debugDescription
    return path.isEmpty ? text : "\(path): \(text)"
  case .keyNotFound(let key, let context):
    return "\((context.codingPath + [key]).map(\.stringValue).joined(separator: ".")) is missing"
  @unknown default: return "cannot be read"
  }
}
