import ArgumentParser
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

      Networks that come with this package, on Fashion-MNIST's test images (Debian: dataset-fashion-mnist):
        zoo-eval resnet20-fastmpn

      Size and speed of a network, with random weights:
        zoo-eval resnet101-fastmpn

      Checkpoints may be PyTorch's (.pth, .pth.tar, .th), MindSpore's (.ckpt) or safetensors; the content decides. DATA \
      may hold a folder for each class, images without labels (see --labels), Fashion-MNIST's or MNIST's IDX files, or \
      CIFAR-10's binary files.
      """)

  @Argument(
    help: ArgumentHelp(
      "A network's name, for example resnet50-fastmpn; --list shows all.", valueName: "model"))
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

  @Option(
    help: ArgumentHelp("Newton–Schulz iterations, in place of the network's own.", valueName: "n"))
  var iterations: Int?

  @Option(
    help: ArgumentHelp(
      "What to make of the covariance, in place of the network's own.", discussion: CovarianceNormalization.help,
      valueName: "name"), transform: CovarianceNormalization.init(_:))
  var normalization: CovarianceNormalization?

  @Option(help: ArgumentHelp("Write each image's five likeliest classes.", valueName: "file.csv"))
  var predictions: String?

  @Option(
    help: ArgumentHelp(
      "Write the result, or with --explain the steps, as JSON or CSV by the file's name.", valueName: "file"))
  var results: String?

  @Flag(help: "Stop at the first image that cannot be read.")
  var strict = false

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

  @Flag(
    help: ArgumentHelp(
      "Give each image the same result to the bit, whatever its batch.",
      discussion:
        "Without it logits may move with the batch size, by 5e-5 of the largest at most; the number of threads never matters."
    ))
  var batchInvariant = false

  @Flag(help: "List all networks.")
  var list = false

  @Option(help: "How to list them: table, json or markdown.")
  var format = ListFormat.table

  func validate() throws {
    if list {
      guard model == nil else { throw ValidationError("--list takes no model") }
      return
    }
    guard model != nil else {
      throw ValidationError("name a model, for example resnet50-fastmpn, or use --list")
    }
    for (name, value) in [
      ("--batch-size", requestedBatchSize), ("--threads", threads), ("--limit", limit),
      ("--iterations", iterations),
    ] {
      if let value, value < 1 { throw ValidationError("\(name) must be at least 1, not \(value)") }
    }
    for (name, value, most) in [
      ("--batch-size", requestedBatchSize, 4096), ("--threads", threads, 1024), ("--iterations", iterations, 100),
    ] {
      if let value, value > most { throw ValidationError("\(name) must be at most \(most), not \(value)") }
    }
    if let predictions, predictions == results {
      throw ValidationError("--predictions and --results are the same file: \(predictions)")
    }
    guard !explain || (images.isEmpty && data == nil) else {
      throw ValidationError("--explain takes no images and no --data")
    }
    guard images.isEmpty || data == nil else {
      throw ValidationError("give images or --data, not both")
    }
    guard predictions == nil || data != nil else {
      throw ValidationError("--predictions needs --data")
    }
    guard labels == nil || data != nil else { throw ValidationError("--labels needs --data") }
    if !images.isEmpty, results != nil {
      throw ValidationError("--results needs --data, or no images at all")
    }
    if let results, ResultsFormat(path: results) == nil {
      throw ValidationError("--results must end in .json or .csv: \(results)")
    }
  }

  func run() throws {
    if list { return try Output.deliver(ModelList(format).text) }
    guard let model else { return }
    let options = withNetworkInTheBox(model)
    try options.run(model, isInTheBox: options.checkpoint != checkpoint)
  }

  /// These options with the network in the box as the checkpoint, where there is one that fits the data and no other is
  /// named; without data on Fashion-MNIST's test images, where they are installed.
  private func withNetworkInTheBox(_ model: String) -> ZooEval {
    guard checkpoint == nil, images.isEmpty, !explain, let box = Zoo.checkpointInTheBox(model) else { return self }
    if let data, !FashionMNIST.isPresent(in: data) { return self }
    var options = self
    options.checkpoint = box
    if data == nil, FashionMNIST.isInstalled { options.data = FashionMNIST.directory }
    return options
  }

  /// - Parameter isInTheBox: whether the weights are the network in the box, which is said once nothing is wrong.
  private func run(_ model: String, isInTheBox: Bool) throws {
    if let threads { WorkerPool.shared.width = threads }
    Output.checkBuild()
    if let warning = BLASInfo.current.warning { Output.warn(warning) }
    for path in [predictions, results].compactMap({ $0 }) { try checkWritable(path) }
    if normalization != nil, try Zoo.entry(named: model).configuration.head == .gap {
      throw UsageError("--normalization is for networks with a covariance head; \(model) has none")
    }
    let classifier = try Classifier(
      model, checkpoint: checkpoint, iterations: iterations, normalization: normalization, algorithm: algorithm,
      isBatchInvariant: batchInvariant)
    let makesIterations = if case .newtonSchulz = classifier.configuration.normalization { true } else { false }
    if iterations != nil, !makesIterations {
      throw UsageError("--iterations is for Fast-MPN networks; \(model) has no Newton–Schulz iterations")
    }
    if isInTheBox {
      try Output.print("weights: the network in the box, trained on Fashion-MNIST")
      if data == nil {
        Output.standardError(
          "note: Fashion-MNIST, which this network is for, is not installed (Debian: dataset-fashion-mnist)")
      }
    }
    for warning in classifier.report?.warnings ?? [] { Output.warn(warning) }
    if let iterations, classifier.report != nil, iterations != 5 {
      Output.warn("\(iterations) Newton–Schulz iterations: a network is trained with its own number, usually 5")
    }
    if !images.isEmpty {
      try classify(classifier)
    } else if let data {
      try DataEvaluation(options: self, classifier: classifier).run(data)
    } else {
      try ModelReport(options: self, classifier: classifier).run()
    }
  }

  /// Prints the likeliest classes of each image.
  private func classify(_ classifier: Classifier) throws {
    if classifier.report == nil { Output.warn(Output.randomWeights) }
    var failed = false
    for path in images {
      do {
        let predictions = try classifier.classify(contentsOf: path)
        try Output.print(path)
        for prediction in predictions {
          try Output.print(
            "  " + Output.percent(Double(prediction.probability) * 100)
              + "  \(prediction.index)  \(prediction.name)")
        }
      } catch let error as OutputError {
        throw error
      } catch {
        Output.fail("\(error)")
        failed = true
        if strict { break }
      }
    }
    if failed { throw ExitCode(1) }
  }
}

extension ConvolutionAlgorithm: ExpressibleByArgument {}
