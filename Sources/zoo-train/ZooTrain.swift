import ArgumentParser
import Console
import Files
import Training

@main
struct ZooTrain: ParsableCommand {
  static func main() { ToolMain.run(Self.self) }

  static let configuration = CommandConfiguration(
    commandName: "zoo-train",
    abstract: "Trains covariance pooling networks.",
    discussion: """
      From random weights on Fashion-MNIST (Debian's dataset-fashion-mnist is found by itself):
        zoo-train resnet20-fastmpn --output runs/fastmpn

      From the weights of a paper, on images of your own in DIR/train and DIR/val, a folder for each class:
        zoo-train resnet50-dropcov --data DIR --finetune dropcov50.pth.tar --recipe LRadju --epochs 20

      A covariance head on torchvision's ResNet-50, first the head alone:
        zoo-train resnet50-fastmpn --data DIR --backbone resnet50-11ad3fa6.pth --freeze backbone --recipe finetune

      After an interruption, whatever it was; the result is the same to the last bit:
        zoo-train --resume runs/fastmpn

      For more epochs than were asked for, to which the schedule is stretched from there on:
        zoo-train --resume runs/fastmpn --epochs 30

      The output directory holds last.safetensors and best.safetensors (weights by PyTorch's names), the state that \
      goes with the last, log.csv, and at the end curves.svg. Recipes by name are LRnorm, LRfast and LRadju of the \
      papers for 224 px, as each architecture has them, finetune for weights of a paper on other data, and small for 28 \
      and 32 px; a .json file gives the fields it changes of the one it calls base. \
      One process at a time trains in a directory, and it writes over nothing that its run did not write. SIGINT, SIGTERM \
      and SIGHUP end the run after its current step, saved; the status is then 128 and the signal's number.
      """, version: ToolVersion.text(of: "zoo-train"))

  @Argument(help: ArgumentHelp("A network's name, for example resnet20-fastmpn.", valueName: "model"))
  var model: String?

  @Option(
    help: ArgumentHelp(
      "Images: folders train and val, Fashion-MNIST's or CIFAR-10's files.  (default: Debian's Fashion-MNIST)",
      valueName: "dir"), completion: .directory)
  var data: String?

  @Option(
    help: ArgumentHelp(
      "LRnorm, LRfast, LRadju, finetune, small, or a .json file.  (default: small for small images, finetune with weights to start from, else LRnorm)",
      valueName: "name"))
  var recipe: String?

  @Option(help: ArgumentHelp("Passes over the data; a recipe's schedule is stretched.", valueName: "n"))
  var epochs: Int?

  @Option(name: .customLong("batch-size"), help: ArgumentHelp("Images in a step.", valueName: "n"))
  var batchSize: Int?

  @Option(name: .customLong("learning-rate"), help: ArgumentHelp("The rate that the schedule scales.", valueName: "x"))
  var learningRate: Double?

  @Option(help: ArgumentHelp("constant, step, polynomial or cosine.", valueName: "name"))
  var schedule: ScheduleName?

  @Option(name: .customLong("weight-decay"), help: ArgumentHelp("Weight decay.", valueName: "x"))
  var weightDecay: Double?

  @Option(
    name: .customLong("label-smoothing"),
    help: ArgumentHelp("Share of the target that all classes get.", valueName: "x"))
  var labelSmoothing: Double?

  @Option(
    name: .customLong("classifier-rate"),
    help: ArgumentHelp("Factor of the classifier's learning rate; 5 in the papers' fine-tuning.", valueName: "x"))
  var classifierRate: Double?

  @Option(
    help: ArgumentHelp(
      "What to make of the covariance, in place of the head's own.", discussion: CovarianceNormalization.help,
      valueName: "name"), transform: CovarianceNormalization.init(_:))
  var normalization: CovarianceNormalization?

  @Option(help: ArgumentHelp("Decides weights, order and augmentation.  (default: 0)", valueName: "n"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("Threads.  (default: all processors)", valueName: "n"))
  var threads: Int?

  @Option(
    help: ArgumentHelp("Use so many images of each part of the data, the first ones of each class.", valueName: "n"))
  var limit: Int?

  @Option(
    name: .customLong("save-interval"),
    help: ArgumentHelp("Seconds after which a checkpoint is saved within an epoch.  (default: 60)", valueName: "s"))
  var saveInterval: Double?

  @Option(
    help: ArgumentHelp("Where to write.  (default: runs/MODEL)", valueName: "dir"), completion: .directory)
  var output: String?

  @Option(help: ArgumentHelp("Go on with the run in this directory.", valueName: "dir"), completion: .directory)
  var resume: String?

  @Option(help: ArgumentHelp("Start from these weights.", valueName: "file"), completion: .file())
  var finetune: String?

  @Option(
    help: ArgumentHelp(
      "Start from a plain backbone's weights, torchvision's, a paper's or one of these networks'; the head begins anew.",
      valueName: "file"), completion: .file())
  var backbone: String?

  @Option(
    help: ArgumentHelp(
      "Parts of the network that are not learned, separated by commas: conv1,layer1. backbone is all but the head.",
      valueName: "names"))
  var freeze: String?

  /// Curves by the names that users of other frameworks know.
  enum ScheduleName: String, ExpressibleByArgument, CaseIterable {
    case constant, step, polynomial, cosine
  }

  func validate() throws {
    guard model != nil || resume != nil else {
      throw ValidationError("name a model, for example resnet20-fastmpn, or a directory to --resume")
    }
    guard finetune == nil || backbone == nil else {
      throw ValidationError("--finetune and --backbone exclude each other")
    }
    guard output == nil || resume == nil else {
      throw ValidationError("--resume writes where it reads; leave --output out")
    }
    let limits = TrainingLimits.self
    for (name, value, range) in [
      ("--epochs", epochs, limits.epochs), ("--batch-size", batchSize, limits.batchSize),
      ("--threads", threads, 1...Int.max), ("--limit", limit, 1...Int.max),
    ] {
      guard let value, !range.contains(value) else { continue }
      let wanted = range.upperBound == .max ? "at least \(range.lowerBound)" : limits.text(range)
      throw ValidationError("\(name) must be \(wanted), not \(value)")
    }
    if let saveInterval, !(saveInterval >= 0) {
      throw ValidationError("--save-interval must be 0 or more seconds, not \(saveInterval)")
    }
  }

  func run() throws {
    try Resources.useThreads(threads)
    // Every step takes the memory that the step before gave back.
    keepFreedMemory()
    StopSignal.listen()
    if let warning = BLASInfo.current.warning { Output.warn(warning) }
    let trainer = try trainer()
    if let saveInterval { trainer.saveInterval = saveInterval }
    try TrainingRun(trainer).run()
  }

  private func trainer() throws -> Trainer {
    if let resume {
      if let trainer = try Trainer(resuming: resume, settings: { try settings(changing: $0) }) {
        if trainer.position.epoch >= trainer.settings.recipe.epochs {
          Output.line("\(resume): all \(trainer.settings.recipe.epochs) epochs are done")
        } else {
          Output.line(
            "resuming \(trainer.settings.model) at epoch \(trainer.position.epoch + 1), step \(trainer.position.step)")
        }
        return trainer
      }
      guard model != nil else {
        throw UsageError("\(resume): no checkpoint to resume; name a model to start over")
      }
      Output.line("\(resume): no checkpoint to resume, starting over")
    }
    let model = model ?? ""
    return try Trainer(try newSettings(model), output: resume ?? output ?? "runs/\(model)")
  }

  private func newSettings(_ model: String) throws -> TrainingSettings {
    let configuration = try Zoo.entry(named: model).configuration
    let base = try Recipe.find(
      recipe ?? ((finetune ?? backbone) != nil ? "finetune" : configuration.isSmall ? "small" : "LRnorm"),
      among: configuration.architecture.recipes)
    let directory = data ?? FashionMNIST.directory
    if data == nil, fileKind(directory) == nil {
      throw UsageError("\(directory): no such directory; install dataset-fashion-mnist or name --data")
    }
    return try settings(changing: TrainingSettings(model: model, data: directory, recipe: base))
  }

  /// Settings with what the command line says in place of their own.
  private func settings(changing settings: TrainingSettings) throws -> TrainingSettings {
    var settings = settings
    settings.model = model ?? settings.model
    settings.data = data ?? settings.data
    settings.seed = seed ?? settings.seed
    settings.finetune = finetune ?? settings.finetune
    settings.backbone = backbone ?? settings.backbone
    settings.normalization = normalization ?? settings.normalization
    settings.limit = limit ?? settings.limit
    let configuration = try Zoo.entry(named: settings.model).configuration
    var recipe =
      try recipe.map { try Recipe.find($0, among: configuration.architecture.recipes) } ?? settings.recipe
    recipe.epochs = epochs ?? recipe.epochs
    recipe.batchSize = batchSize ?? recipe.batchSize
    recipe.learningRate = learningRate ?? recipe.learningRate
    recipe.weightDecay = weightDecay ?? recipe.weightDecay
    recipe.labelSmoothing = labelSmoothing ?? recipe.labelSmoothing
    if let schedule {
      let length = recipe.scheduleEpochs
      recipe.schedule.shape =
        switch schedule {
        case .constant: .constant
        case .step: .step(epochs: 0.3 * length, factor: 0.1)
        case .polynomial: .polynomial(epochs: length, power: 2)
        case .cosine: .cosine(epochs: length)
        }
    }
    if let classifierRate {
      let classifier = [configuration.architecture.headNames(configuration).classifier]
      recipe.groups.removeAll { $0.prefixes == classifier }
      recipe.groups.insert(ParameterGroup(classifier, learningRateFactor: classifierRate), at: 0)
    }
    if let freeze {
      let names = freeze.split(separator: ",").map { $0.filter { !$0.isWhitespace } }.filter { !$0.isEmpty }
      guard !names.isEmpty else {
        throw UsageError("--freeze needs names of parts, for example conv1,layer1, or backbone")
      }
      recipe.frozen = names.flatMap { name in
        name == "backbone" ? AnyNetwork<Float>(configuration).backbonePrefixes : [name]
      }
    }
    try recipe.validate()
    settings.recipe = recipe
    return settings
  }
}
