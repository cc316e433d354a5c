extension Recipe {
  /// - Throws: `RecipeError` where nothing of the network, or all of it, is frozen.
  package func checkFrozen(_ network: AnyNetwork<Float>) throws {
    let names = network.tensors.filter { $0.description.role != .buffer }.map(\.description.name)
    for prefix in frozen where !names.contains(where: ParameterGroup([prefix]).contains) {
      let parts = Set(names.map { String($0.prefix { $0 != "." }) }).sorted()
      throw RecipeError(
        "nothing of the network is called '\(prefix)' to be frozen; its parts are \(parts.joined(separator: ", "))")
    }
    guard !names.allSatisfy(ParameterGroup(frozen).contains) else { throw RecipeError("all of the network is frozen") }
  }

  /// - Throws: `RecipeError` for a number that no training could use.
  public func validate() throws {
    func check(_ isGood: Bool, _ name: String, _ value: Any, _ wanted: String) throws {
      guard isGood else { throw RecipeError("\(name) must be \(wanted), not \(value)") }
    }
    func check(_ range: ClosedRange<Int>, _ name: String, _ value: Int) throws {
      try check(range.contains(value), name, value, TrainingLimits.text(range))
    }
    /// A finite number, at most so large that sums and products of a few stay finite.
    func isUsable(_ value: Double) -> Bool { value.magnitude <= 1e100 }
    let limits = TrainingLimits.self
    try check(limits.epochs, "epochs", epochs)
    try check(limits.batchSize, "batchSize", batchSize)
    try check(learningRate > 0 && isUsable(learningRate), "learningRate", learningRate, "positive")
    try check(scheduleEpochs > 0 && scheduleEpochs <= 1e9, "scheduleEpochs", scheduleEpochs, "positive")
    try check((0..<1).contains(momentum), "momentum", momentum, "in [0, 1)")
    try check(weightDecay >= 0 && isUsable(weightDecay), "weightDecay", weightDecay, "0 or more")
    try check((0...1).contains(labelSmoothing), "labelSmoothing", labelSmoothing, "in [0, 1]")
    try check((clipNorm ?? 1) > 0 && isUsable(clipNorm ?? 1), "clipNorm", clipNorm ?? 0, "positive")
    try check((0..<1).contains(averageDecay ?? 0), "averageDecay", averageDecay ?? 0, "in [0, 1)")
    try check(limits.padding, "augmentation.padding", augmentation.padding)
    try check(
      (0...100).contains(augmentation.colorJitter), "augmentation.colorJitter", augmentation.colorJitter,
      "from 0 to 100")
    try check(schedule.warmup >= 0 && schedule.warmup <= 1e9, "schedule.warmup", schedule.warmup, "0 or more")
    switch schedule.shape {
    case .constant: break
    case .step(let epochs, let factor):
      try check(
        epochs > 0 && factor > 0 && isUsable(epochs) && isUsable(factor), "schedule.shape", schedule.shape,
        "a step after epochs > 0 by a factor > 0")
    case .polynomial(let epochs, let power):
      try check(
        epochs > 1 && power > 0 && isUsable(epochs) && isUsable(power), "schedule.shape", schedule.shape,
        "a polynomial of epochs > 1 and power > 0")
    case .piecewiseLinear(let epochs, let factors):
      try check(
        !epochs.isEmpty && epochs.count == factors.count && zip(epochs, epochs.dropFirst()).allSatisfy { $0 < $1 }
          && (epochs + factors).allSatisfy { $0 >= 0 && isUsable($0) }, "schedule.shape", schedule.shape,
        "as many factors of 0 or more as rising epochs")
    case .cosine(let epochs):
      try check(epochs > 0 && isUsable(epochs), "schedule.shape", schedule.shape, "a cosine of epochs > 0")
    }
    for group in groups {
      let factor = group.learningRateFactor
      try check(factor >= 0 && isUsable(factor), "a group's learning rate factor", factor, "0 or more")
      try check(
        (group.weightDecay ?? 0) >= 0 && isUsable(group.weightDecay ?? 0), "a group's weight decay",
        group.weightDecay ?? 0, "0 or more")
    }
    if let area = augmentation.resizedCrop {
      try check(area.lowerBound > 0 && area.upperBound <= 1, "augmentation.resizedCrop", area, "within (0, 1]")
    }
  }
}
