import Checkpoints
import CovariancePooling

extension AnyNetwork {
  /// Loads a checkpoint of any container into the network that `asked` names; flavour, d, class count and input are the
  /// file's.
  ///
  /// Loading is strict: every tensor of the network must be in the file with its shape, and the file may hold no others,
  /// except DropCov's attention, which inference does not use.
  /// - Parameters:
  ///   - asked: the network that is wanted.
  ///   - path: the file.
  ///   - adjust: changes what is to differ from the network that the file holds: its normalisation, its input.
  /// - Throws: `CheckpointError` for a file that cannot be read, `LoadError` for one that does not fit.
  public static func load(
    _ asked: NetworkConfiguration, from path: String, adjust: (inout NetworkConfiguration) throws -> Void = { _ in }
  ) throws -> (AnyNetwork, LoadReport) {
    let checkpoint = try Checkpoint(contentsOf: path)
    try checkpoint.verifyChecksums()
    let file = try NetworkCheckpoint(checkpoint)
    let found = try file.configuration(for: asked)
    var configuration = found
    let trained = try file.statedNormalization() ?? configuration.normalization
    try adjust(&configuration)
    var network = AnyNetwork(configuration)
    var report = LoadReport()
    report.metadata = file.metadata
    try network.fill(from: file.tensors, &report)
    if !(configuration.normalization?.normalizer is DropCov) { report.unexpected.removeAll { $0 == DropCov.attention } }
    report.warnings =
      file.notes + file.contradictions(found) + attentionWarnings(configuration, file)
      + report.suspicions(in: file.path)
    if let name = report.missing.first(where: { file.unread[$0] != nil }), let kind = file.unread[name] {
      throw LoadError.unread(path: file.path, name: name, kind: kind)
    }
    if let chosen = configuration.normalization, let trained, !chosen.isSameFunction(as: trained) {
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

  private static func attentionWarnings(
    _ configuration: NetworkConfiguration, _ file: NetworkCheckpoint
  ) -> [String] {
    guard let normalization = configuration.normalization else { return [] }
    if normalization == .dropCov, !file.hasAttention {
      return [
        "\(file.path) holds no \(DropCov.attention), so it looks like a Fast-MPN network; run as "
          + "\(configuration.name) its covariances are not normalised, which it was not trained for"
      ]
    }
    if normalization != .dropCov, file.hasAttention {
      return [
        "\(file.path) holds \(DropCov.attention), so it looks like a DropCov network; run as \(configuration.name) "
          + "its covariances are normalised, which it was not trained for"
      ]
    }
    return []
  }
}
