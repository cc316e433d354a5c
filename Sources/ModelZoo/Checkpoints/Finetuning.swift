import Checkpoints
import CovariancePooling

extension AnyNetwork {
  /// A network for other data with the weights of a checkpoint: its own classifier where the class counts agree, a new one
  /// otherwise. Flavour, d and input are the checkpoint's.
  /// - Returns: the network, what was loaded, and whether the classifier begins anew.
  /// - Throws: `CheckpointError`, `LoadError`.
  public static func finetuned(
    _ asked: NetworkConfiguration, from path: String, classes: Int, seed: UInt64,
    adjust: (inout NetworkConfiguration) throws -> Void = { _ in }
  ) throws -> (network: AnyNetwork, report: LoadReport, replacesClassifier: Bool) {
    let (loaded, report) = try load(asked, from: path, adjust: adjust)
    guard loaded.configuration.classes != classes else { return (loaded, report, false) }
    var configuration = loaded.configuration
    configuration.classes = classes
    var network = AnyNetwork(configuration)
    network.initialize(seed: seed)
    let classifier = ParameterGroup([configuration.architecture.headNames(configuration).classifier])
    network.take(loaded) { !classifier.contains($0) }
    return (network, report, true)
  }

  /// A network whose feature maps are made by the weights of a checkpoint with this backbone: torchvision's, timm's
  /// ResNets, the papers' or one of this package, with whatever head. The head begins anew.
  ///
  /// Loading is strict for the backbone's tensors. With a covariance head some backbones keep a higher resolution than
  /// the one that was trained, which is said.
  /// - Parameters:
  ///   - asked: the network; class count, head and normalisation are as it says, flavour and input as the file.
  ///   - path: the file.
  ///   - seed: of the new head's values.
  /// - Throws: `CheckpointError`, `LoadError`.
  public static func withBackbone(
    _ asked: NetworkConfiguration, from path: String, seed: UInt64
  ) throws -> (network: AnyNetwork, report: LoadReport) {
    let checkpoint = try Checkpoint(contentsOf: path)
    try checkpoint.verifyChecksums()
    let file = try NetworkCheckpoint(checkpoint)
    let configuration = try file.backboneConfiguration(for: asked)
    var network = AnyNetwork(configuration)
    network.initialize(seed: seed)
    let (head, backbone) = (ParameterGroup(network.headPrefixes), ParameterGroup(network.backbonePrefixes))
    var (trunk, report) = (network, LoadReport())
    report.metadata = file.metadata
    // Whatever the file's own head holds is of no interest.
    try trunk.fill(from: file.tensors.filter { backbone.contains($0.key) }, &report)
    report.missing.removeAll { head.contains($0) }
    guard report.isComplete else {
      throw LoadError.mismatch(
        path: path, model: "the backbone of \(asked.name)", report: report, suggestion: file.likelyModel)
    }
    network.take(trunk) { !head.contains($0) }
    report.warnings = file.notes + report.suspicions(in: path)
    var plain = configuration
    plain.covariance = nil
    let (before, after) = (Self.mapSize(plain), Self.mapSize(configuration))
    report.warnings.append(
      "\(path): took the backbone; the head begins anew"
        + (before == after
          ? "" : ", on feature maps of \(after); a plain network has \(before) (a stride is removed)")
    )
    return (network, report)
  }

  /// Height and width of the last feature maps, in words.
  private static func mapSize(_ configuration: NetworkConfiguration) -> String {
    let trace = AnyNetwork(configuration).trace(input: configuration.inputShape) { $0.features($1) }
    let shape = trace.values[trace.output].shape
    return "\(shape[2])×\(shape[3])"
  }

  /// What stands before the names of the head's tensors.
  package var headPrefixes: [String] {
    head.tensors.map { $0.description.name.split(separator: ".").dropLast().joined(separator: ".") }
  }

  /// What stands before the first dot of the names of all tensors but the head's.
  package var backbonePrefixes: [String] {
    let head = ParameterGroup(headPrefixes)
    return Set(tensors.map(\.description.name).filter { !head.contains($0) }.map { String($0.prefix { $0 != "." }) })
      .sorted()
  }

  /// Takes another network's tensors of the names that are wanted.
  private mutating func take(_ other: AnyNetwork, where isWanted: (String) -> Bool) {
    let values = Dictionary(uniqueKeysWithValues: other.tensors.map { ($0.description.name, $0.tensor) })
    forEachTensor { description, tensor in
      guard isWanted(description.name), let value = values[description.name] else { return }
      tensor = value
    }
  }
}
