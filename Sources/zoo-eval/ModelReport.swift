import Console
import Foundation
import ModelZoo

/// `zoo-eval MODEL` without data: what is true of a network without looking at an image.
struct ModelReport {
  let options: ZooEval
  let classifier: Classifier
  let report: Report

  func run() throws {
    let entry = try Zoo.entry(named: classifier.model)
    try classifier.checkMemory(forBatchesOf: options.batchSize)
    try report.line("\(classifier.model): \(title)")
    if classifier.report == nil { try report.line(Output.randomWeights) }
    try report.line()
    try counts(entry)
    if options.explain { return try explain() }
    let speed = try measureSpeed()
    try report.line(
      "\nspeed         " + String(format: "%.1f images/s", speed.imagesPerSecond)
        + ", median of \(speed.batches) batches of \(options.batchSize), network alone, \(threads)")
    try report.line("memory        " + String(format: "%.0f MB at its peak", Output.peakMemoryMB))
    if classifier.report == nil { try squareRootError() }
    let blas = BLASInfo.current
    try report.line("BLAS          \(blas.library) \(blas.version), kernel \(blas.kernel)")
    if classifier.report == nil { try nextSteps(entry) }
    if let path = options.resultsPath {
      var results = Results(options: options, classifier: classifier)
      (results.imagesPerSecond, results.seconds) = (speed.imagesPerSecond, speed.seconds)
      try results.write(to: path)
    }
    try report.finish()
  }

  private func explain() throws {
    let explanation = Explanation(steps: try classifier.profile(images))
    try report.line("\na batch of \(options.batchSize), \(threads)\n")
    for line in explanation.lines { try report.line(line) }
    if let path = options.resultsPath { try explanation.write(to: path) }
    try report.finish()
  }

  private var images: Tensor<Float> {
    let shape = classifier.configuration.inputShape
    return RandomStream(seed: 0, name: "images").uniform(
      Shape([options.batchSize] + shape.dropFirst()), low: -2, high: 2)
  }

  private var threads: String {
    let width = WorkerPool.shared.width
    return width == 1 ? "1 thread" : "\(width) threads"
  }

  private var title: String {
    let configuration = classifier.configuration
    return "\(configuration.title), \(configuration.classes) classes, \(configuration.imageSize) px, "
      + "\(configuration.flavour == .pytorch ? "PyTorch" : "MindSpore") flavour"
  }

  /// Parameters and multiply-adds, beside what was published.
  private func counts(_ entry: ZooEntry) throws {
    let counts = classifier.counts
    try report.line("parameters    \(Output.grouped(counts.parameters))")
    try report.line("MACs          \(Output.grouped(counts.multiplyAdds)) (convolutions and classifier)")
    for figures in entry.published {
      var parts: [String] = []
      if let top1 = figures.top1 { parts.append(String(format: "top-1 %.2f %%", top1)) }
      if let top5 = figures.top5 { parts.append(String(format: "top-5 %.2f %%", top5)) }
      if let mega = figures.megaParameters {
        parts.append(String(format: "%.1f M parameters", mega))
      }
      if let giga = figures.gigaMultiplyAdds { parts.append(String(format: "%.2f G MACs", giga)) }
      try report.line("published     \(parts.joined(separator: ", ")) — \(figures.source)")
      if let remark = figures.remark { try report.line("              \(remark)") }
    }
  }

  /// Times batches after a warm-up: at least five, and more for at most a few seconds where they are short.
  private func measureSpeed() throws -> (imagesPerSecond: Double, batches: Int, seconds: Double) {
    let images = images
    _ = try classifier(images)
    var times: [Double] = []
    let start = ContinuousClock.now
    while times.count < 5 || (times.count < 50 && (ContinuousClock.now - start) / .seconds(1) < 2) {
      let before = ContinuousClock.now
      _ = try classifier(images)
      times.append((ContinuousClock.now - before) / .seconds(1))
    }
    let median = times.sorted()[times.count / 2]
    return (Double(options.batchSize) / median, times.count, (ContinuousClock.now - start) / .seconds(1))
  }

  /// How far Newton–Schulz iterations are from the exact root, on a covariance of this very network.
  private func squareRootError() throws {
    let configuration = classifier.configuration
    guard let normalizer = configuration.normalization?.normalizer as? RootNormalizer<NewtonSchulz> else { return }
    let (operation, shape) = (normalizer.root, configuration.inputShape)
    var network = AnyNetwork<Float>(configuration)
    network.initialize()
    let image = RandomStream(seed: 0, name: "image").uniform(shape, low: Float(-2), high: 2)
    let features = try Plan(network.trace(input: shape) { $0.reducedFeatures($1) })(image)
    let iterated = operation.applied(to: Covariance().applied(to: features))
    let exact = CovarianceFunction().applied(to: features)
    let (difference, norm) = zip(iterated.scalars, exact.scalars).reduce((0.0, 0.0)) { sums, pair in
      let (a, b) = (Double(pair.0), Double(pair.1))
      return (sums.0 + (a - b) * (a - b), sums.1 + b * b)
    }
    let error = (difference / max(norm, .leastNormalMagnitude)).squareRoot()
    try report.line(
      "square root   \(operation.iterations) Newton–Schulz iterations are "
        + String(format: "%.0f %%", error * 100)
        + " away from the exact root (Frobenius norm, this network's features)")
  }

  private func nextSteps(_ entry: ZooEntry) throws {
    if let url = entry.checkpointURL {
      try report.line("\nThe authors' checkpoint: \(url)")
    } else if !entry.configuration.isSmall {
      try report.line("\nNo checkpoint of this network is published; your own will do.")
    } else {
      try report.line(
        "\nNetworks of this kind are trained on CIFAR-10; any checkpoint with He et al.'s layout will do."
      )
    }
    try report.line("Evaluate it:  zoo-eval \(entry.name) --checkpoint FILE --data DIR")
  }
}
