import ArgumentParser
import Console
import Files
import ModelZoo

/// `zoo-eval MODEL IMAGE...`: the likeliest classes of each image.
struct ImageClassification {
  let options: ZooEval
  let classifier: Classifier
  let report: Report

  func run() throws {
    if classifier.report == nil { Output.warn(Output.randomWeights) }
    var rows = PredictionsFile(classNames: classifier.classNames)
    var found: [Results.ImagePrediction] = []
    var failures = 0
    let start = ContinuousClock.now
    StopSignal.listen()
    for path in options.images {
      if StopSignal.isRaised { throw try interrupted(after: found.count + failures, rows) }
      do {
        let predictions = try classifier.classify(contentsOf: path)
        try show(path, predictions)
        rows.add(path: path, label: nil, top: predictions.map { ($0.index, $0.probability) })
        found.append(entry(path, predictions))
      } catch let error as OutputError {
        throw error
      } catch {
        Output.fail("\(error)")
        failures += 1
        if options.strict { throw ExitCode.failure }
        // A network that has no result for an image is not a file that cannot be read.
        guard error is ImageError else { throw ExitCode.failure }
      }
    }
    guard !found.isEmpty else { throw ExitCode.failure }
    if let path = options.predictions { try rows.write(to: path) }
    if let path = options.resultsPath {
      var results = Results(options: options, classifier: classifier)
      (results.images, results.failed, results.predictions) = (found.count, failures, found)
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      (results.seconds, results.imagesPerSecond) = (seconds, Double(found.count) / max(seconds, 1e-9))
      try results.write(to: path)
    }
    try report.finish()
    if failures > 0 { throw imagesLeftOut }
  }

  /// Keeps what was found before a signal came, and says so.
  private func interrupted(after count: Int, _ rows: PredictionsFile) throws -> ExitCode {
    var line = "stopped after \(count) of \(options.images.count) images"
    if let path = options.predictions, let part = try rows.writePart(of: path) {
      line += "; their predictions are in \(part)"
    }
    Output.standardError(line)
    return StopSignal.exitCode
  }

  private func show(_ path: String, _ predictions: [Prediction]) throws {
    try report.line(path)
    for prediction in predictions {
      try report.line(
        "  " + Output.percent(Double(prediction.probability) * 100) + "  \(prediction.index)  \(prediction.name)")
    }
  }

  private func entry(_ path: String, _ predictions: [Prediction]) -> Results.ImagePrediction {
    Results.ImagePrediction(
      path: path.withBytesShown,
      classes: predictions.map { prediction in
        let names = classifier.classNames
        let name = names.flatMap { $0.indices.contains(prediction.index) ? $0[prediction.index] : nil }
        return Results.ImagePrediction.Class(index: prediction.index, name: name, probability: prediction.probability)
      })
  }
}
