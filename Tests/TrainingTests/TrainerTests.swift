import Checkpoints
import Foundation
import TestSupport
import Testing
import ToolTestSupport
import Training

@Suite struct TrainerTests {
  private func settings(_ scratch: Scratch, _ model: String = "resnet20", change: (inout Recipe) -> Void = { _ in })
    throws -> TrainingSettings
  {
    try scratch.writeCIFAR("data/data_batch_1.bin", images: 40)
    try scratch.writeCIFAR(images: 20)
    var recipe = Recipe.small
    (recipe.epochs, recipe.batchSize) = (2, 10)
    change(&recipe)
    return TrainingSettings(model: model, data: scratch.path + "/data", recipe: recipe, seed: 3)
  }

  @Test func `A run learns, logs and draws`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch, "resnet20-fastmpn") { recipe in
      (recipe.epochs, recipe.learningRate) = (8, 0.05)
      recipe.augmentation.flips = false
      recipe.augmentation.padding = 0
      recipe.averageDecay = 0.5
    }
    // Classes that brightness tells apart.
    var records: [UInt8] = []
    for image in 0..<40 {
      let label = image % 10
      records.append(UInt8(label))
      records += unit("image \(image)", count: 3072).map { UInt8(Float(20 * label + 20) + 20 * $0) }
    }
    try scratch.write("data/data_batch_1.bin", records)
    let trainer = try Trainer(settings, output: scratch.path + "/run")
    var steps = 0
    #expect(try trainer.run(onStep: { _ in steps += 1 }) == .complete)
    #expect(steps == 32 && trainer.records.count == 8)
    #expect(trainer.records[7].trainLoss < 0.8 * trainer.records[0].trainLoss)
    let log = try scratch.read("run/log.csv").split(separator: "\n")
    #expect(log.count == 9 && log[8].hasPrefix("8,"))
    let svg = try scratch.read("run/curves.svg")
    #expect(svg.hasPrefix("<svg") && svg.contains("learning rate") && !svg.contains("nan"))
    // What it wrote is what zoo-eval reads: structure, names, classes from the file.
    let classifier = try Classifier("resnet20-fastmpn", checkpoint: scratch.path + "/run/best.safetensors")
    #expect(classifier.configuration.normalization == .newtonSchulz() && classifier.report?.isComplete == true)
    let metrics = try Evaluation()(classifier, on: openDataset(scratch.path + "/data")).metrics
    #expect(metrics.top1 == trainer.best?.top1)
  }

  @Test func `A number that is not finite stops the run and names the tensor`() throws {
    let scratch = try Scratch()
    let trainer = try Trainer(
      try settings(scratch) { ($0.learningRate, $0.epochs) = (1e30, 3) }, output: scratch.path + "/run")
    let error = #expect(throws: TrainingError.self) { try trainer.run() }
    let text = error?.description ?? ""
    #expect(text.hasPrefix("epoch 1, step ") && text.contains("is not finite"), "\(text)")
    #expect(text.contains("conv") || text.contains("bn") || text.contains("linear"), "\(text)")
    // Nothing was saved yet, so nothing bad was.
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/run/last.safetensors"))
  }

  @Test func `Weights that are not finite are never saved`() throws {
    let scratch = try Scratch()
    var settings = try settings(scratch) { $0.learningRate = 1e30 }
    settings.recipe.epochs = 3
    let trainer = try Trainer(settings, output: scratch.path + "/run")
    trainer.saveInterval = 0  // after each step, the first of which makes them
    #expect(throws: TrainingError.self) { try trainer.run() }
    let last = scratch.path + "/run/last.safetensors"
    if FileManager.default.fileExists(atPath: last) {
      for tensor in try Checkpoint(contentsOf: last).tensors.values {
        #expect(try tensor.tensor(as: Float.self).isFinite)
      }
    }
  }

  /// Two runs by the same settings, the second of which is stopped after three steps and resumed.
  private func wholeAndResumed(_ settings: TrainingSettings, _ scratch: Scratch) throws -> (Trainer, Trainer) {
    try withSettledProcess {
      let whole = try Trainer(settings, output: scratch.path + "/whole")
      _ = try whole.run()
      var steps = 0
      let first = try Trainer(settings, output: scratch.path + "/parts")
      #expect(try first.run(onStep: { _ in steps += 1 }, shouldStop: { steps == 3 }) == .stopped)
      let second = try #require(try Trainer(resuming: scratch.path + "/parts", settings: { $0 }))
      _ = try second.run()
      return (whole, second)
    }
  }

  @Test func `A run from a checkpoint of other iterations is resumed with them`() throws {
    let scratch = try Scratch()
    var configuration = try Zoo.entry(named: "resnet20-fastmpn").configuration
    configuration.covariance?.normalization = .newtonSchulz(NewtonSchulz(iterations: 2, scaling: .frobenius))
    configuration.covariance?.dimension = 8
    var network = AnyNetwork<Float>(configuration)
    network.initialize()
    try writeSafetensors(
      network.tensors.map { (name: $0.description.name, tensor: $0.tensor) },
      metadata: ["iterations": "2", "scaling": "frobenius"], to: scratch.path + "/two.safetensors")
    var settings = try settings(scratch, "resnet20-fastmpn")
    settings.finetune = scratch.path + "/two.safetensors"
    let (whole, second) = try wholeAndResumed(settings, scratch)
    #expect(second.network.configuration.normalization == configuration.normalization)
    let isSame = second.network.tensors.map(\.tensor.scalars) == whole.network.tensors.map(\.tensor.scalars)
    #expect(isSame)
  }

  @Test func `A run with a frozen backbone of another file is saved and resumed to the same bits`() throws {
    let scratch = try Scratch()
    let plain = try scratch.writeNetwork("plain.safetensors", .gap, classes: 7)
    var settings = try settings(scratch, "resnet20-fastmpn")
    settings.backbone = plain
    settings.recipe.frozen = ["conv1", "bn1", "layer1", "layer2", "layer3"]
    let (whole, second) = try wholeAndResumed(settings, scratch)
    let isSame = second.network.tensors.map(\.tensor.scalars) == whole.network.tensors.map(\.tensor.scalars)
    #expect(isSame && whole.warnings.contains { $0.contains("the head begins anew") })
    let first = try #require(whole.network.tensors.first)
    #expect(first.tensor.scalars == hashValues("conv1.weight", first.tensor.shape))
  }

  @Test func `Any module is trained by the loop, on any data`() throws {
    /// Colours that a class has.
    struct Colours: Dataset {
      var count: Int { 24 }
      var classNames: [String]? { ["dark", "light"] }
      var summary: String { "24 colours" }
      func label(_ index: Int) -> Int? { index % 2 }
      func path(_ index: Int) -> String { "\(index)" }
      func image(_ index: Int) -> Image {
        Image(
          width: 8, height: 8, pixels: [UInt8](repeating: UInt8(index % 2 == 0 ? 20 + index : 220 - index), count: 192))
      }
    }
    struct Means: Module {
      var layer = Linear<Float>(inputs: 3, outputs: 2)
      mutating func visitTensors(_ visit: ModuleVisitor<Float>) { visit("layer", &layer) }
      func callAsFunction(_ x: Tensor<Float>) -> Tensor<Float> { layer(x.globalAverage()) }
    }
    var model = Means()
    model.initialize(seed: 1)
    var recipe = Recipe.small
    (recipe.epochs, recipe.batchSize, recipe.learningRate, recipe.augmentation.padding) = (4, 5, 0.5, 0)
    var loop = TrainingLoop(model, recipe: recipe)
    let transform = EvaluationTransform(
      resize: .exact(width: 8, height: 8), crop: nil, mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
    var losses: [Double] = []
    while loop.epoch < 4 {
      #expect(try loop.trainEpoch(on: Colours(), transform: transform) { losses.append($0.loss) })
      loop.finishEpoch()
    }
    #expect(losses.count == 20 && losses[19] < 0.5 * losses[0])
  }

  @Test func `A run with another normalization is saved, resumed and evaluated with it`() throws {
    let scratch = try Scratch()
    var settings = try settings(scratch, "resnet20-fastmpn")
    settings.normalization = .singularValue
    let (whole, second) = try wholeAndResumed(settings, scratch)
    let isSame = second.network.tensors.map(\.tensor.scalars) == whole.network.tensors.map(\.tensor.scalars)
    #expect(isSame)
    let learned = second.network.tensors.first { $0.description.name == "normalization.weight" }?.tensor.scalars
    #expect(learned?.contains { $0 != 1 } == true)
    let classifier = try Classifier(contentsOf: scratch.path + "/whole/last.safetensors")
    #expect(classifier.model == "resnet20-svpn" && classifier.report?.warnings == [])
    settings.model = "resnet20"
    #expect(throws: TrainingError.self) { try Trainer(settings, output: scratch.path + "/gap") }
  }

  @Test func `Validation images are those of the classes that were learnt`() throws {
    let scratch = try Scratch()
    let picture = try Data(
      contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
        path: "../VisionTests/Resources/odd_420.jpg"))
    func write(_ folders: String...) throws {
      for folder in folders { for index in 0..<2 { try scratch.write("\(folder)/\(index).jpg", picture) } }
    }
    var settings = try settings(scratch) { ($0.epochs, $0.batchSize) = (1, 4) }
    func trainer(_ name: String) throws -> Trainer {
      settings.data = scratch.path + "/" + name
      return try Trainer(settings, output: scratch.path + "/run-\(name)")
    }
    // Fewer classes to validate on: labels stay those of training.
    try write("fewer/train/a", "fewer/train/b", "fewer/train/c", "fewer/val/b", "fewer/val/c", "fewer/models/x")
    let data = try openDataset(scratch.path + "/fewer", classNames: ["a", "b", "c"])
    #expect((0..<4).map { data.label($0) } == [1, 1, 2, 2] && data.path(3) == "val/c/1.jpg")
    #expect(try trainer("fewer").network.configuration.classes == 3)
    // A class that was not learnt.
    try write("more/train/a", "more/train/b", "more/val/a", "more/val/z")
    let error = #expect(throws: TrainingError.self) { try trainer("more") }
    #expect(error?.description.contains("a class 'z' that training has not") == true)
    // No validation at all.
    try write("alone/train/a", "alone/train/b")
    let alone = try trainer("alone")
    #expect(try alone.run() == .complete)
    #expect(alone.records[0].validationTop1 == nil)
    // A class may be called like a part.
    try write("vehicles/bus", "vehicles/train")
    #expect(try trainer("vehicles").network.configuration.classes == 2)
  }

  @Test func `Fine-tuning keeps the features and replaces a classifier of other classes`() throws {
    let scratch = try Scratch()
    let checkpoint = try scratch.writeNetwork("start.safetensors", .fastmpn, classes: 7)
    var settings = try settings(scratch, "resnet20-fastmpn") { recipe in
      recipe.groups = [ParameterGroup(["fc"], learningRateFactor: 5)]
    }
    settings.finetune = checkpoint
    let trainer = try Trainer(settings, output: scratch.path + "/run")
    let start = try Checkpoint(contentsOf: checkpoint)
    let values = Dictionary(uniqueKeysWithValues: trainer.network.tensors.map { ($0.description.name, $0.tensor) })
    #expect(trainer.network.configuration.covariance?.dimension == 8 && trainer.network.configuration.classes == 10)
    #expect(try values["conv1.weight"]?.scalars == start.tensors["conv1.weight"]?.tensor(as: Float.self).scalars)
    #expect(values["fc.weight"]?.shape == [10, 36])
    #expect(try trainer.run() == .complete)
    // The run can be resumed although the checkpoint decided d.
    #expect(try Trainer(resuming: scratch.path + "/run", settings: { $0 })?.position.epoch == 2)
  }

  @Test func `Order and result do not depend on how images are loaded`() throws {
    let scratch = try Scratch()
    let settings = try settings(scratch)
    let first = try Trainer(settings, output: scratch.path + "/a")
    let second = try Trainer(settings, output: scratch.path + "/b")
    try withSettledProcess {
      _ = try first.run()
      _ = try second.run()
    }
    let isSame = first.network.tensors.map(\.tensor.scalars) == second.network.tensors.map(\.tensor.scalars)
    #expect(isSame)
  }

  private static let hasPython =
    (try? runShell("python3 -c 'import safetensors.numpy'", tool: "zoo-train").status) == 0

  @Test(.enabled(if: hasPython, "there is no Python with safetensors"))
  func `Files written load in Python by PyTorch's names`() throws {
    let script = """
      import sys
      from safetensors.numpy import load_file
      tensors = load_file(sys.argv[1])
      print(len(tensors), tensors["layer1.0.conv1.weight"].shape, tensors["linear.bias"].dtype)
      """
    let scratch = try Scratch()
    try scratch.write("load.py", Array(script.utf8))
    let trainer = try Trainer(try settings(scratch) { $0.epochs = 1 }, output: scratch.path + "/run")
    _ = try trainer.run()
    let run = try runShell(
      "cd \(quoted(scratch.path)) && python3 load.py run/last.safetensors", tool: "zoo-train")
    #expect(run.output == "\(trainer.network.tensors.count) (16, 16, 3, 3) float32\n", "\(run.errors)")
  }

  @Test func `Ten thousand small steps take no more memory than a hundred`() async throws {
    // In a process of its own: other tests take memory too.
    await #expect(processExitsWith: .success) {
      var network = CovariancePool<Float>(channels: 4, dimension: 4, normalization: .newtonSchulz())
      network.initialize()
      var optimizer = SGD<Float>(momentum: 0.9)
      let x = RandomStream(seed: 1, name: "x").normal([2, 4, 8, 8], deviation: Float(1))
      func steps(_ count: Int) throws {
        for _ in 0..<count {
          let result = try valueWithGradients(of: network) { network in
            SoftmaxCrossEntropy(labels: [1, 2]).applied(to: network(x))
          }
          optimizer.step(&network, result.gradients, learningRate: 1e-4)
          network.apply(result.updates)
        }
      }
      /// Bytes, as Linux tells them.
      func residentMemory() -> Int {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
      }
      try steps(100)
      let before = residentMemory()
      try steps(10_000)
      let growth = residentMemory() - before
      guard growth < 4 << 20 else { fatalError("\(growth) bytes more") }
    }
  }
}
