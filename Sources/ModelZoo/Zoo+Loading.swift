import Checkpoints

extension Zoo {
  /// A network of the zoo with the weights of a checkpoint, those that come with the package, or random ones.
  ///
  /// See `Classifier.init(_:checkpoint:randomSeed:algorithm:adjust:)`, which makes it ready to classify.
  /// - Returns: the network, and what was loaded; `nil` for random weights.
  /// - Throws: `ZooError`, `CheckpointError`, `LoadError`.
  public static func network(
    _ model: String, checkpoint: String? = nil, randomSeed: UInt64? = nil,
    adjust: (inout NetworkConfiguration) throws -> Void = { _ in }
  ) throws -> (network: AnyNetwork<Float>, report: LoadReport?) {
    let entry = try entry(named: model)
    guard let path = try checkpoint ?? (randomSeed == nil ? checkpointInTheBox(entry.name) : nil) else {
      var configuration = entry.configuration
      try adjust(&configuration)
      var network = AnyNetwork<Float>(configuration)
      network.initialize(seed: randomSeed ?? 0)
      try network.checkPositions()
      return (network, nil)
    }
    let (network, report) = try AnyNetwork<Float>.load(entry.configuration, from: path, adjust: adjust)
    try network.checkPositions()
    return (network, report)
  }

  /// The zoo's name of the network that a checkpoint holds: what a file of this package says, else what the names of the
  /// tensors point to; `nil` where they point to none.
  /// - Throws: `CheckpointError`.
  public static func model(ofCheckpoint path: String) throws -> String? {
    let file = try NetworkCheckpoint(Checkpoint(contentsOf: path))
    return [file.metadata["model"], file.likelyModel].compactMap { $0 }.first { (try? entry(named: $0)) != nil }
  }
}

extension AnyNetwork {
  /// - Throws: `ZooError.imageTooSmall` where the last feature maps have one position, of which every covariance is 0.
  func checkPositions() throws(ZooError) {
    guard configuration.covariance != nil else { return }
    let trace = trace(input: configuration.inputShape) { $0.features($1) }
    guard trace.values[trace.output].shape.dropFirst(2).reduce(1, *) > 1 else {
      throw .imageTooSmall(configuration.name, configuration.imageSize)
    }
  }
}
