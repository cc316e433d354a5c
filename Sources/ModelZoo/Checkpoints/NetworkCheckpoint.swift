import Checkpoints
import CovariancePooling
import Vision

/// A checkpoint as the zoo sees it: whose network it is, its tensors by the module's names, and what they say of it.
struct NetworkCheckpoint {
  let path: String
  /// `nil` where the tensors' names are those of no architecture.
  let architecture: (any Architecture.Type)?
  let flavour: Flavour
  /// Tensors by the module's names.
  let tensors: [String: StoredTensor]
  let metadata: [String: String]
  /// What was taken where the file left a choice.
  let notes: [String]
  /// Tensors of kinds that are not read, and which class makes them.
  let unread: [String: String]

  /// - Throws: `LoadError.sameName` where two tensors of the file are one of the network's.
  init(_ checkpoint: Checkpoint) throws(LoadError) {
    path = checkpoint.path
    metadata = checkpoint.metadata
    let scope = CheckpointScope(checkpoint.names + checkpoint.unread.keys.sorted(), in: checkpoint.path)
    let architecture = scope.architecture
    let flavour = architecture?.flavour(of: checkpoint.tensors.keys) ?? .pytorch
    (self.architecture, self.flavour, notes) = (architecture, flavour, checkpoint.notes + scope.notes)
    func name(_ name: String) -> String? {
      scope.name(name).flatMap { own in
        architecture == nil ? own : architecture?.tensorName(own, flavour: flavour)
      }
    }
    var (tensors, originals): ([String: StoredTensor], [String: String]) = ([:], [:])
    for original in checkpoint.names {
      guard let own = name(original), let tensor = checkpoint.tensors[original] else { continue }
      if let other = originals.updateValue(original, forKey: own) {
        throw LoadError.sameName(path: checkpoint.path, name: own, tensors: [other, original])
      }
      tensors[own] = tensor
    }
    self.tensors = tensors
    unread = Dictionary(
      checkpoint.unread.compactMap { original, kind in name(original).map { ($0, kind) } },
      uniquingKeysWith: { min($0, $1) })
  }

  /// Whether the file's network has DropCov's attention.
  var hasAttention: Bool { tensors[DropCov.attention] != nil }

  /// Whether it has a covariance head that is called so.
  private func hasCovarianceHead(_ names: HeadNames) -> Bool { tensors[names.reduction + ".weight"] != nil }

  /// What the file says that its covariances were trained with, if that is the kind of normalisation that is asked for.
  private func normalization(for asked: NetworkConfiguration) throws -> CovarianceNormalization? {
    guard let own = asked.normalization else { return nil }
    // Files of earlier versions say what head they have.
    let isAsked =
      metadata["model"].map { $0 == asked.name } ?? metadata["head"].map { $0 == PublishedHead(own)?.rawValue } ?? true
    if let found = try statedNormalization() { return isAsked || found.name == own.name ? found : own }
    guard isAsked, own.normalizer is RootNormalizer<NewtonSchulz> else { return own }
    let iterations = metadata["iterations"].flatMap { Int($0) }.flatMap { (1...100).contains($0) ? $0 : nil }
    let scaling = metadata["scaling"].flatMap(NewtonSchulz.Scaling.init)
    return .newtonSchulz(NewtonSchulz(iterations: iterations, scaling: scaling ?? .trace))
  }

  /// The normalisation that the file names.
  /// - Throws: `LoadError.normalization` where there is none of that name.
  func statedNormalization() throws -> CovarianceNormalization? {
    guard let text = metadata["normalization"] else { return nil }
    do { return try CovarianceNormalization(text) } catch {
      throw LoadError.normalization(path: path, reason: error.description)
    }
  }

  /// `asked` with what the file says of the backbone: flavour and input.
  func backboneConfiguration(for asked: NetworkConfiguration) throws -> NetworkConfiguration {
    let marks = asked.architecture.marks
    if let kind = unread[marks[0]] { throw LoadError.unread(path: path, name: marks[0], kind: kind) }
    guard let architecture else {
      throw LoadError.notANetwork(path: path, missing: marks[0], names: Array(tensors.keys.sorted().prefix(3)))
    }
    guard architecture == asked.architecture, let stem = tensors[marks[0]]?.shape, stem.rank == 4 else {
      throw LoadError.otherNetwork(
        path: path, model: asked.name, found: "holds '\(architecture.marks[0])' and so on", suggestion: likelyModel)
    }
    guard stem[1] == 1 || stem[1] == 3 else {
      throw LoadError.inputChannels(path: path, tensor: marks[0], found: stem[1])
    }
    var found = asked
    if architecture.release(asked.backbone, flavour: flavour) != nil { found.flavour = flavour }
    found.input = architecture.input(asked.backbone, channels: stem[1]).overridden(by: metadata).transform
    return found
  }

  /// `asked` with what the file decides: flavour, d, class count, input and the normalisation's options.
  func configuration(for asked: NetworkConfiguration) throws -> NetworkConfiguration {
    var found = try backboneConfiguration(for: asked)
    let names = asked.architecture.headNames(asked)
    let hasHead = hasCovarianceHead(names)
    guard hasHead == (asked.covariance != nil) else {
      throw LoadError.otherNetwork(
        path: path, model: asked.name,
        found: hasHead
          ? "holds a covariance head (\(names.reduction))" : "holds no covariance head (no \(names.reduction))",
        suggestion: likelyModel)
    }
    if let reduction = tensors[names.reduction + ".weight"]?.shape, reduction.rank == 4,
      CovarianceHead.dimensions.contains(reduction[0])
    {
      found.covariance?.dimension = reduction[0]
    }
    if let classifier = tensors[names.classifier + ".weight"]?.shape, classifier.rank == 2, classifier[0] > 0 {
      found.classes = classifier[0]
    }
    if let normalization = try normalization(for: asked) { found.covariance?.normalization = normalization }
    return found
  }

  /// What the file says of its network that is impossible or not so, for the user to know.
  func contradictions(_ configuration: NetworkConfiguration) -> [String] {
    let usual = configuration.architecture.input(configuration.backbone, channels: configuration.inputChannels)
    var keys = usual.overridden(by: metadata).unusable
    for (key, value) in [
      ("classes", configuration.classes), ("input_channels", configuration.inputChannels),
      ("d", configuration.covariance?.dimension ?? 0),
    ] {
      if let text = metadata[key], text != "\(value)", !(key == "d" && configuration.covariance == nil) {
        keys.append(key)
      }
    }
    return keys.map { "\(path) says that its \($0) is '\(metadata[$0] ?? "")', which cannot be; it is not heeded" }
  }

  /// The model that the file's names point to, if they point to one.
  var likelyModel: String? {
    guard let architecture, let backbone = architecture.backbone(of: tensors.mapValues(\.shape)),
      let plain = architecture.configuration(backbone, nil)
    else { return nil }
    guard hasCovarianceHead(architecture.headNames(plain)) else { return plain.name }
    let normalization = try? statedNormalization()
    return architecture.configuration(
      backbone, normalization ?? (hasAttention ? .dropCov : .newtonSchulz()))?.name
  }
}
