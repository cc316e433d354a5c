import Checkpoints
import Foundation

/// A checkpoint as a network of the zoo sees it: PyTorch's names and what the shapes say of the network.
struct NetworkCheckpoint {
  let path: String
  let flavour: Flavour
  /// Tensors by PyTorch's names.
  let tensors: [String: StoredTensor]
  let metadata: [String: String]

  /// What was taken where the file left a choice.
  let notes: [String]
  /// Tensors of kinds that are not read, and which class makes them.
  let unread: [String: String]

  init(_ checkpoint: Checkpoint) {
    path = checkpoint.path
    metadata = checkpoint.metadata
    let scope = CheckpointScope(checkpoint.names, in: checkpoint.path)
    notes = checkpoint.notes + scope.notes
    let flavour = KeyMap.flavour(of: checkpoint.tensors.keys)
    self.flavour = flavour
    func named<Value>(_ values: [String: Value]) -> [String: Value] {
      Dictionary(
        values.compactMap { name, value in
          scope.name(name).flatMap { KeyMap.pytorchName($0, flavour: flavour) }.map { ($0, value) }
        }, uniquingKeysWith: { first, _ in first })
    }
    tensors = named(checkpoint.tensors)
    unread = named(checkpoint.unread)
  }

  /// Whether the file's network has DropCov's attention.
  var hasAttention: Bool { tensors["eca_layer.conv.weight"] != nil }

  var hasCovarianceHead: Bool { tensors["layer_reduce.weight"] != nil }

  /// What the file's covariances were trained with, as far as it tells; by default what the head is published with.
  func normalization(of head: Head) throws -> CovarianceNormalization? {
    guard metadata["head"].map({ $0 == head.rawValue }) ?? true else { return head.normalization }
    if let text = metadata["normalization"] {
      do { return try CovarianceNormalization(text) } catch {
        throw LoadError.normalization(path: path, reason: error.description)
      }
    }
    guard head == .fastmpn else { return head.normalization }
    let iterations = metadata["iterations"].flatMap { Int($0) }.flatMap { (1...100).contains($0) ? $0 : nil }
    let scaling = metadata["scaling"].flatMap(NewtonSchulz.Scaling.init)
    return .newtonSchulz(NewtonSchulz(iterations: iterations, scaling: scaling ?? .trace))
  }

  /// `asked` with what the file decides: flavour, d, class count, input channels and normalisation.
  func configuration(for asked: NetworkConfiguration) throws -> NetworkConfiguration {
    guard let stem = tensors["conv1.weight"]?.shape, stem.rank == 4 else {
      if let kind = unread["conv1.weight"] { throw LoadError.unread(path: path, name: "conv1.weight", kind: kind) }
      throw LoadError.notANetwork(path: path, missing: "conv1.weight", names: Array(tensors.keys.sorted().prefix(3)))
    }
    guard stem[1] == 1 || stem[1] == 3 else { throw LoadError.inputChannels(path: path, found: stem[1]) }
    var found = asked
    found.inputChannels = stem[1]
    if found.family == .imageNet { found.flavour = flavour }
    if hasCovarianceHead != (asked.head != .gap) {
      throw LoadError.otherHead(
        path: path, model: asked.name,
        found: hasCovarianceHead
          ? "holds a covariance head (layer_reduce)" : "holds no covariance head (no layer_reduce)",
        suggestion: likelyModel)
    }
    if asked.head != .gap, let reduction = tensors["layer_reduce.weight"]?.shape, reduction.rank == 4, reduction[0] > 0,
      reduction[0] <= 4096
    {
      found.dimension = reduction[0]
    }
    if let classifier = tensors[ResNet<Float>.classifierName(asked) + ".weight"]?.shape, classifier.rank == 2,
      classifier[0] > 0
    {
      found.classes = classifier[0]
    }
    found.normalization = try normalization(of: asked.head)
    return found
  }

  /// The model that the file's names point to, if they point to one.
  var likelyModel: String? {
    let blocks = (1...4).map { stage in
      (0..<100).prefix { tensors["layer\(stage).\($0).conv1.weight"] != nil }.count
    }
    let isBottleneck = tensors["layer1.0.conv3.weight"] != nil
    let layouts = blocks[3] > 0 ? ResidualLayout.imageNet : ResidualLayout.cifar
    let depth = layouts.first { $1.isBottleneck == isBottleneck && $1.blocks == blocks.filter { $0 > 0 } }?.key
    let head: Head = hasAttention ? .dropcov : hasCovarianceHead ? .fastmpn : .gap
    return depth.flatMap { NetworkConfiguration(depth: $0, head: head) }?.name
  }
}

extension ResNet {
  /// Loads a checkpoint of any container into the network that `asked` names; flavour, d, class count and input channels
  /// are the file's.
  ///
  /// Loading is strict: every tensor of the network must be in the file with its shape, and the file may hold no others,
  /// except DropCov's attention, which inference does not use.
  /// - Parameter normalization: what to make of the covariance in place of what the file was trained with.
  /// - Throws: `CheckpointError` for a file that cannot be read, `LoadError` for one that does not fit.
  public static func load(
    _ asked: NetworkConfiguration, from path: String, normalization: CovarianceNormalization? = nil
  ) throws -> (ResNet, LoadReport) {
    let checkpoint = try Checkpoint(contentsOf: path)
    try checkpoint.verifyChecksums()
    return try load(asked, from: NetworkCheckpoint(checkpoint), normalization: normalization)
  }

  static func load(
    _ asked: NetworkConfiguration, from file: NetworkCheckpoint, normalization: CovarianceNormalization? = nil
  ) throws -> (ResNet, LoadReport) {
    var configuration = try file.configuration(for: asked)
    let trained = configuration.normalization
    configuration.normalization = normalization ?? trained
    var network = ResNet(configuration)
    var report = LoadReport()
    report.metadata = file.metadata
    var unused = Set(file.tensors.keys)
    var failure: (any Error)?
    network.forEachTensor { description, tensor in
      guard failure == nil else { return }
      unused.remove(description.name)
      guard let stored = file.tensors[description.name] else {
        guard description.role == .trainingParameter else { return report.missing.append(description.name) }
        tensor = description.initializer.values(tensor.shape, RandomStream(seed: 0, name: description.name))
        return
      }
      guard stored.shape == tensor.shape || fits(stored.shape, description, tensor.shape) else {
        report.mismatched.append(
          LoadReport.Mismatch(key: stored.name, expected: tensor.shape, found: stored.shape))
        return
      }
      do {
        tensor = try stored.tensor(as: Scalar.self).reshaped(to: tensor.shape.dimensions)
        report.loaded.append(description.name)
        if !tensor.isFinite { report.notFinite.append(stored.name) }
        if description.name.hasSuffix("running_var"), tensor.scalars.contains(where: { $0 < 0 }) {
          report.negativeVariances.append(stored.name)
        }
      } catch { failure = error }
    }
    if let failure { throw failure }
    if configuration.normalization != .dropCov { unused.remove("eca_layer.conv.weight") }
    report.unexpected = unused.sorted()
    report.warnings = file.notes + warnings(configuration, file, report)
    if let name = report.missing.first(where: { file.unread[$0] != nil }), let kind = file.unread[name] {
      throw LoadError.unread(path: file.path, name: name, kind: kind)
    }
    if let chosen = configuration.normalization, let trained, chosen != trained {
      report.warnings.append(
        "\(file.path) was trained with the normalization \(trained); it runs with \(chosen), another network")
    }
    guard report.isComplete else {
      let likely = file.likelyModel
      throw LoadError.mismatch(
        path: file.path, model: configuration.name, report: report,
        suggestion: likely == asked.name || likely == configuration.name ? nil : likely)
    }
    return (network, report)
  }

  /// Whether a tensor of another rank holds the same: MindSpore keeps the attention's filter as `[1, 1, 1, 3]`.
  private static func fits(_ found: Shape, _ description: TensorDescription, _ expected: Shape) -> Bool {
    description.role == .trainingParameter && found.scalarCount == expected.scalarCount
      && found.filter { $0 != 1 } == expected.filter { $0 != 1 }
  }

  private static func warnings(
    _ configuration: NetworkConfiguration, _ file: NetworkCheckpoint, _ report: LoadReport
  ) -> [String] {
    var warnings: [String] = []
    if configuration.head != .gap, configuration.head != .dropcov, file.hasAttention {
      warnings.append(
        "\(file.path) holds eca_layer.conv.weight, so it looks like a DropCov network; run as \(configuration.name) "
          + "its covariances are normalised, which it was not trained for")
    }
    if configuration.head == .dropcov, !file.hasAttention {
      warnings.append(
        "\(file.path) holds no eca_layer.conv.weight, so it looks like a Fast-MPN network; run as "
          + "\(configuration.name) its covariances are not normalised, which it was not trained for")
    }
    if let head = file.metadata["head"].flatMap(Head.init), head != configuration.head {
      warnings.append("\(file.path) says that its head is \(head.rawValue); it runs as \(configuration.head.rawValue)")
    }
    if let name = report.negativeVariances.first {
      warnings.append("\(file.path) holds negative variances in \(name), which give NaN; no result can be trusted")
    }
    if !report.notFinite.isEmpty {
      let shown = report.notFinite.prefix(3).joined(separator: ", ")
      let more = report.notFinite.count > 3 ? " and \(report.notFinite.count - 3) more" : ""
      warnings.append("\(file.path) holds NaN or infinite values in \(shown)\(more); no result can be trusted")
    }
    return warnings
  }
}

extension ResNet {
  /// The network of the zoo that a checkpoint looks like by its tensors' names, with its weights.
  /// - Returns: the zoo's name and the network; `nil` where the file looks like none.
  /// - Throws: `CheckpointError`, `LoadError`.
  public static func recognized(_ path: String) throws -> (model: String, network: ResNet)? {
    let checkpoint = try Checkpoint(contentsOf: path)
    try checkpoint.verifyChecksums()
    let file = NetworkCheckpoint(checkpoint)
    guard let model = file.metadata["model"] ?? file.likelyModel, let entry = try? Zoo.entry(named: model) else {
      return nil
    }
    return (model, try load(entry.configuration, from: file).0)
  }

  /// A network for other data with the weights of a checkpoint: its own classifier where the class counts agree, a new one
  /// otherwise. Flavour, d and input channels are the checkpoint's.
  /// - Throws: `CheckpointError`, `LoadError`.
  public static func finetuned(
    _ asked: NetworkConfiguration, from path: String, classes: Int, seed: UInt64,
    normalization: CovarianceNormalization? = nil
  ) throws -> (network: ResNet, report: LoadReport, replacesClassifier: Bool) {
    let (loaded, report) = try load(asked, from: path, normalization: normalization)
    guard loaded.configuration.classes != classes else { return (loaded, report, false) }
    var configuration = loaded.configuration
    configuration.classes = classes
    var network = ResNet(configuration)
    network.initialize(seed: seed)
    let values = Dictionary(uniqueKeysWithValues: loaded.tensors.map { ($0.description.name, $0.tensor) })
    let classifier = classifierName(configuration) + "."
    network.forEachTensor { description, tensor in
      guard !description.name.hasPrefix(classifier), let value = values[description.name] else { return }
      tensor = value
    }
    return (network, report, true)
  }
}
