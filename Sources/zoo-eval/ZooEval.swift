import ArgumentParser
import Checkpoints
import Console
import Files
import Foundation
import ModelZoo

@main
struct ZooEval: ParsableCommand {
  static func main() { ToolMain.run(Self.self) }

  static let configuration = CommandConfiguration(
    commandName: "zoo-eval",
    abstract: "Evaluates covariance pooling networks on images.",
    discussion: """
      Accuracy on a folder of images, with a checkpoint of the papers or of your own:
        zoo-eval resnet50-fastmpn --checkpoint fastmpn50.pth.tar --data imagenet/val

      The five likeliest classes of single images:
        zoo-eval resnet50-fastmpn --checkpoint fastmpn50.pth.tar cat.jpg dog.png

      What a network makes of images, for another program:
        zoo-eval resnet50-fastmpn --checkpoint fastmpn50.pth.tar --data DIR --features features.npy

      A network that zoo-train made, whose file says what it is; the result for another program:
        zoo-eval --checkpoint runs/resnet20/best.safetensors --data DIR --json

      Networks that come with this package, on Fashion-MNIST's test images (Debian: dataset-fashion-mnist):
        zoo-eval resnet20-fastmpn

      Size and speed of a network, with random weights:
        zoo-eval resnet101-fastmpn

      Checkpoints may be PyTorch's (.pth, .pth.tar, .th), MindSpore's (.ckpt) or safetensors; the content decides. DATA \
      may hold a folder for each class, images without labels (see --labels), Fashion-MNIST's or MNIST's IDX files, or \
      CIFAR-10's binary files. Class folders are recognised by WordNet identifiers or the network's class names.

      The exit status is 0 if all went well, 1 for an error, 2 if images could not be read and were left out, 64 for a \
      mistake in the command, 128 and the signal's number after an interruption.
      """, version: ToolVersion.text(of: "zoo-eval"))

  @Argument(
    help: ArgumentHelp(
      "A network's name, for example resnet50-fastmpn; --list shows all. A checkpoint that says what it is needs none.",
      valueName: "model"))
  var model: String?

  @Argument(help: ArgumentHelp("Images to classify.", valueName: "image"), completion: .file())
  var images: [String] = []

  @Option(
    help: ArgumentHelp("The weights; without them those in the box, or random ones.", valueName: "file"),
    completion: .file())
  var checkpoint: String?

  @Option(
    help: ArgumentHelp("The images to measure accuracy on.", valueName: "dir"),
    completion: .directory)
  var data: String?

  @Option(
    help: ArgumentHelp(
      "The right classes of a folder without class folders, one integer a line.", valueName: "file")
  )
  var labels: String?

  @Option(name: .customLong("batch-size"), help: ArgumentHelp("Images in a batch.  (default: 16)", valueName: "n"))
  var requestedBatchSize: Int?

  /// The batch size asked for, or 16; in a debug build, which is slow, a network without data is timed with 2.
  var batchSize: Int { requestedBatchSize ?? (Output.isDebugBuild && data == nil ? 2 : 16) }

  @Option(help: ArgumentHelp("Threads of the network.  (default: all processors)", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("Use so many images of the data, the first ones of each class.", valueName: "n"))
  var limit: Int?

  @OptionGroup var network: NetworkOptions

  @Option(
    help: ArgumentHelp(
      "Write each image's five likeliest classes; - is standard output.",
      discussion: #"Bytes of a file's name that are not UTF-8 stand there as \xE9."#, valueName: "file.csv"),
    completion: .file())
  var predictions: String?

  @Option(
    help: ArgumentHelp(
      "Write the result, or with --explain the steps, as JSON or CSV by the file's name; - is JSON on standard output.",
      discussion: "A CSV file that is there already gets another row, so that many networks make one table.",
      valueName: "file"), completion: .file())
  var results: String?

  @Flag(help: "Write the result as JSON to standard output, and nothing else there: --results -.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "Write the vector that the classifier sees, or another layer, for each image: a row each, NaN for images that cannot be read.",
      valueName: "file.npy|.safetensors"), completion: .file())
  var features: String?

  @Option(
    help: ArgumentHelp(
      "What --features writes: representation, reduced (the maps whose covariance is taken) or maps (the last ones).",
      valueName: "name"))
  var layer: FeatureExtractor.Layer?

  @Option(
    help: ArgumentHelp(
      "Write a row for each class: its accuracy, and how many of its images were taken for which class.",
      valueName: "file.csv"), completion: .file())
  var confusion: String?

  @Flag(help: "Classify each image and its mirror image, by the mean of their logits.")
  var flip = false

  @Flag(help: "Stop at the first image that cannot be read.")
  var strict = false

  @Flag(
    name: .customLong("sorted-labels"),
    help: "Number the class folders in the order of their names, whatever they are called.")
  var sortsLabels = false

  @Flag(
    name: .customLong("random-weights"),
    help: "Use random weights, which serve to measure speed, even where others come with the package.")
  var usesRandomWeights = false

  @Flag(
    help: ArgumentHelp(
      "Time each step of the network instead of evaluating it.",
      discussion:
        "GFLOP/s count multiply-adds as papers do: an algorithm that needs fewer exceeds the processor's peak."))
  var explain = false

  @Option(
    help: ArgumentHelp(
      "How to convolve wherever it applies: winograd, strassen, direct or blas.  (default: the fastest)",
      valueName: "name"))
  var algorithm: ConvolutionAlgorithm?

  @Flag(help: "List all networks.")
  var list = false

  @Option(help: "How to list them: table, json or markdown.")
  var format = ListFormat.table

  /// Where results go: the file, `-`, or nowhere.
  var resultsPath: String? { json ? "-" : results }

  func validate() throws {
    if list {
      guard model == nil else { throw ValidationError("--list takes no model") }
      return
    }
    guard model != nil || checkpoint != nil else {
      throw ValidationError("name a model, for example resnet50-fastmpn, or use --list")
    }
    for (name, value, most) in [
      ("--batch-size", requestedBatchSize, 4096), ("--threads", threads, Int.max),
      ("--limit", limit, Int.max),
    ] {
      guard let value else { continue }
      if value < 1 { throw ValidationError("\(name) must be at least 1, not \(value)") }
      if value > most { throw ValidationError("\(name) must be at most \(most), not \(value)") }
    }
    guard !explain || (images.isEmpty && data == nil) else {
      throw ValidationError("--explain takes no images and no --data")
    }
    guard images.isEmpty || data == nil else {
      throw ValidationError("give images or --data, not both")
    }
    // With a checkpoint the first argument may be an image.
    guard predictions == nil || data != nil || !images.isEmpty || (checkpoint != nil && model != nil && !explain) else {
      throw ValidationError("--predictions needs images or --data")
    }
    for (isGiven, name) in [
      (labels != nil, "--labels"), (limit != nil, "--limit"), (sortsLabels, "--sorted-labels"),
    ] where isGiven && data == nil {
      throw ValidationError("\(name) needs --data")
    }
    if let features {
      guard RowFile.Format(path: features) != nil else {
        throw ValidationError("--features must end in .npy or .safetensors: \(features)")
      }
      guard !explain, predictions == nil, resultsPath == nil, confusion == nil, !flip else {
        throw ValidationError(
          "--features writes no results: --explain, --predictions, --results, --json, --confusion and --flip do not apply"
        )
      }
    }
    guard features == nil || algorithm == nil else { throw ValidationError("--algorithm does not apply to --features") }
    guard layer == nil || features != nil else { throw ValidationError("--layer is for --features") }
    for (isGiven, name) in [(confusion != nil, "--confusion"), (flip, "--flip")] where isGiven && data == nil {
      throw ValidationError("\(name) needs --data")
    }
    guard !usesRandomWeights || checkpoint == nil else {
      throw ValidationError("--random-weights and --checkpoint exclude each other")
    }
    guard !json || results == nil else { throw ValidationError("--json is --results -; give one of them") }
    guard resultsPath != "-" || predictions != "-" else {
      throw ValidationError("--predictions and the results cannot both go to standard output")
    }
    let files = [("--predictions", predictions), ("--results", results), ("--confusion", confusion)].compactMap {
      name, path in path.flatMap { $0 == "-" ? nil : (name: name, path: $0) }
    }
    for (index, file) in files.enumerated() {
      if let other = files[..<index].first(where: { isSameFile($0.path, file.path) }) {
        throw ValidationError("\(other.name) and \(file.name) are the same file: \(file.path)")
      }
    }
    guard confusion != "-" else { throw ValidationError("--confusion writes a file, not standard output") }
    if let results, results != "-", ResultsFormat(path: results) == nil {
      throw ValidationError("--results must end in .json or .csv, or be -: \(results)")
    }
  }

  func run() throws {
    if list { return try Output.deliver(ModelList(format).text) }
    var options = self
    let model = try options.resolveModel()
    guard options.predictions == nil || options.data != nil || !options.images.isEmpty else {
      throw UsageError("--predictions needs images or --data")
    }
    let box = try options.useBox(model)
    try options.run(model, box)
  }

  /// The network's name: the first argument, or what the checkpoint says, in which case that argument is an image.
  private mutating func resolveModel() throws -> String {
    if let model, checkpoint == nil || (try? Zoo.entry(named: model)) != nil || fileKind(model) == nil {
      return model
    }
    guard let checkpoint else { return "" }
    guard let found = try Zoo.model(ofCheckpoint: checkpoint) else {
      throw UsageError("\(checkpoint): does not say which network it is; name the model before it")
    }
    if let model { images.insert(model, at: 0) }
    guard images.isEmpty || data == nil else { throw UsageError("give images or --data, not both") }
    return found
  }

  /// Where weights of the network come with the package and no others are named, those; without images or data on
  /// Fashion-MNIST's test images, where they are installed.
  private mutating func useBox(_ model: String) throws -> String? {
    guard checkpoint == nil, !usesRandomWeights, let box = try Zoo.checkpointInTheBox(model) else { return nil }
    checkpoint = box
    if data == nil, images.isEmpty, !explain, FashionMNIST.isInstalled { data = FashionMNIST.directory }
    return box
  }

  /// - Parameter box: the weights that come with the package, if it is those, which is said once nothing is wrong.
  private func run(_ model: String, _ box: String?) throws {
    try Resources.useThreads(threads)
    Output.checkBuild()
    if let warning = BLASInfo.current.warning { Output.warn(warning) }
    try OutputFiles(self).check()
    if let features { return try FeatureExtraction(options: self, model: model).run(features) }
    let classifier = try Classifier(
      model, checkpoint: checkpoint, randomSeed: checkpoint == nil ? 0 : nil, algorithm: algorithm
    ) { try network.override(&$0, model) }
    let report = Report(self)
    if box != nil { try sayBox(report) }
    for warning in classifier.report?.warnings ?? [] { Output.warn(warning) }
    if !images.isEmpty {
      try ImageClassification(options: self, classifier: classifier, report: report).run()
    } else if let data {
      try DataEvaluation(options: self, classifier: classifier, report: report, usesBox: box != nil).run(data)
    } else {
      try ModelReport(options: self, classifier: classifier, report: report).run()
      if box == nil, checkpoint != nil, !explain {
        Output.standardError("note: no accuracy without images: name a directory with --data, or images")
      }
    }
  }

  private func sayBox(_ report: Report) throws {
    try report.line("weights: the network in the box, trained on Fashion-MNIST")
    if data == nil, images.isEmpty, !explain {
      Output.standardError(
        "note: Fashion-MNIST, which this network is for, is not installed (Debian: dataset-fashion-mnist)")
    }
  }
}

extension ConvolutionAlgorithm: ExpressibleByArgument {}
extension FeatureExtractor.Layer: ExpressibleByArgument {}

/// Lines for a person: on standard output, unless that belongs to a program.
final class Report {
  private let usesStandardError: Bool
  /// Whether there are files to write, for whose sake work goes on where lines cannot be delivered.
  private let hasFiles: Bool
  private var failure: OutputError?

  init(_ options: ZooEval) {
    usesStandardError = options.resultsPath == "-" || options.predictions == "-"
    hasFiles = [options.resultsPath, options.predictions, options.confusion].contains { $0 != nil && $0 != "-" }
  }

  func line(_ text: String = "") throws(OutputError) {
    guard !usesStandardError else { return Output.standardError(text) }
    do { try Output.print(text) } catch {
      guard hasFiles else { throw error }
      failure = failure ?? error
    }
  }

  /// Once files are written: throws where a line could not be delivered.
  func finish() throws(OutputError) {
    if let failure { throw failure }
  }
}

/// The status of a run in which images could not be read and were left out.
let imagesLeftOut = ExitCode(2)
