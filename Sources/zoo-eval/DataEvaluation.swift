import ArgumentParser
import Console
import Files
import Foundation
import ModelZoo

/// `zoo-eval MODEL --data DIR`: accuracy, loss and speed over a data set.
struct DataEvaluation {
  let options: ZooEval
  let classifier: Classifier
  let report: Report
  /// Whether the weights are those that come with the package.
  let usesBox: Bool

  func run(_ directory: String) throws {
    let data = try openDataset(
      directory, labels: options.labels, wordNetIndex: ImageNet.indexOfWordNetID, classNames: classifier.classNames,
      sortsLabels: options.sortsLabels
    ).limited(to: options.limit)
    try check(data, directory)
    if classifier.report == nil { Output.warn(Output.randomWeights) }
    for warning in data.warnings { Output.warn(warning) }
    if usesBox, !FashionMNIST.isPresent(in: directory) {
      Output.warn(
        "\(directory): not Fashion-MNIST, which the network in the box was trained on; --checkpoint names other weights"
      )
    }
    if options.confusion != nil, !(0..<data.count).contains(where: { data.label($0) != nil }) {
      throw UsageError("--confusion needs labels; --labels FILE gives them")
    }
    try report.line("\(classifier.model) on \(data.summary)")

    StopSignal.listen()
    var rows = PredictionsFile(classNames: classifier.classNames)
    var progress = ProgressLine(total: data.count)
    let evaluation = Evaluation(batchSize: options.batchSize, averagesMirrors: options.flip)
    let summary = try evaluation(
      classifier, on: data,
      onProgress: { update in
        progress.show(
          done: update.done, seconds: update.seconds,
          notes: update.metrics.images > 0 ? [String(format: "Acc@1 %.2f %%", update.metrics.top1)] : [])
      },
      onImage: options.predictions == nil ? nil : { rows.add(path: $0.path, label: $0.label, top: $0.top) },
      shouldStop: {
        options.strict ? $0.first.map { UnreadableImage(path: $0.path, reason: $0.reason) } : nil
      }, isCancelled: { StopSignal.isRaised })
    progress.finish()
    guard summary.isComplete else { throw try interrupted(summary, of: data.count, rows) }

    guard summary.images > 0 else {
      let reason = summary.failures.first.map { ": " + $0.reason } ?? ""
      throw UnreadableImage(
        path: directory, reason: "none of the \(summary.failures.count) images could be read" + reason)
    }
    warn(of: summary.failures)
    try report.line(text(summary))
    let doubt = doubt(about: data)
    if let doubt { try report.line(doubt) }
    if let path = options.predictions { try rows.write(to: path) }
    if let path = options.confusion {
      let classes = classifier.configuration.classes
      try ConfusionFile(table: summary.confusions, classes: classes, classNames: classifier.classNames).write(to: path)
    }
    if let path = options.resultsPath {
      var results = results(summary)
      results.labels = doubt ?? data.labelKind.rawValue
      try results.write(to: path)
    }
    try report.finish()
    if !summary.failures.isEmpty { throw imagesLeftOut }
  }

  /// Keeps what was found before a signal came, and says so.
  private func interrupted(_ summary: Evaluation.Summary, of total: Int, _ rows: PredictionsFile) throws -> ExitCode {
    let metrics = summary.metrics
    var line = "stopped after \(summary.images + summary.failures.count) of \(total) images"
    if metrics.images > 0 { line += String(format: ", Acc@1 %.2f %% so far", metrics.top1) }
    if let path = options.predictions, let part = try rows.writePart(of: path) {
      line += "; their predictions are in \(part)"
    }
    Output.standardError(line)
    return StopSignal.exitCode
  }

  /// Why the labels may not be those that the network learnt, for the last line that anybody reads.
  private func doubt(about data: any Dataset) -> String? {
    let (folders, classes) = (data.classNames?.count ?? 0, classifier.configuration.classes)
    guard data.labelKind == .sorted, !options.sortsLabels, folders != classes else { return nil }
    return
      "the accuracy may mean nothing: no folder is called by a WordNet identifier or like a class of the network, so "
      + "the labels are positions of the \(folders) sorted folder names, where the network has \(classes) classes"
  }

  /// Data that the network cannot be right on.
  private func check(_ data: any Dataset, _ directory: String) throws {
    let classes = classifier.configuration.classes
    if let highest = (0..<data.count).lazy.compactMap({ data.label($0) }).max(), highest >= classes {
      throw DataMismatch(
        description:
          "\(directory): its labels go up to \(highest), but the network has \(classes) classes")
    }
  }

  /// At most five lines that name images which could not be read.
  private func warn(of failures: [(path: String, reason: String)]) {
    guard !failures.isEmpty else { return }
    Output.warn("\(failures.count) of the images could not be read and are left out:")
    let shown = failures.count > 5 ? failures.prefix(4) : failures[...]
    for failure in shown { Output.standardError("  \(failure.reason)") }
    if failures.count > shown.count {
      Output.standardError("  … and \(failures.count - shown.count) more")
    }
  }

  private func text(_ summary: Evaluation.Summary) -> String {
    let metrics = summary.metrics
    let speed = String(format: "%.1f images/s", Double(summary.images) / max(summary.seconds, 1e-9))
    var lines: [String] = []
    if metrics.images > 0 {
      lines.append(
        "Acc@1 " + Output.percent(metrics.top1) + "  (\(metrics.correct1) of \(metrics.images))")
      lines.append(
        "Acc@5 " + Output.percent(metrics.top5) + "  (\(metrics.correct5) of \(metrics.images))")
      lines.append(String(format: "loss  %9.5f", metrics.loss))
    } else {
      lines.append(
        "no labels, so no accuracy; --labels FILE gives them, --predictions FILE.csv writes what was found"
      )
    }
    lines.append("\(summary.images) images in \(Output.time(summary.seconds)), \(speed)")
    return lines.joined(separator: "\n")
  }

  private func results(_ summary: Evaluation.Summary) -> Results {
    let metrics = summary.metrics
    var results = Results(options: options, classifier: classifier)
    results.images = summary.images
    if metrics.images > 0 {
      (results.top1, results.top5) = (metrics.top1, metrics.top5)
      (results.correct1, results.correct5) = (metrics.correct1, metrics.correct5)
      results.loss = metrics.loss
    }
    results.failed = summary.failures.count
    results.seconds = summary.seconds
    results.imagesPerSecond = Double(summary.images) / max(summary.seconds, 1e-9)
    return results
  }
}

/// Data and network that do not belong together.
struct DataMismatch: Error, CustomStringConvertible {
  let description: String
}

/// An image that ends the run.
struct UnreadableImage: Error, CustomStringConvertible {
  let path: String
  let reason: String
  var description: String { reason.contains(path) ? reason : "\(path): \(reason)" }
}
