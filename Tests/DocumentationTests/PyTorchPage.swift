import Checkpoints
import Foundation
import TestSupport
import Testing
import Training

/// The code of "Coming from PyTorch and timm", in its order; what needs files that are not here is compiled only.
@Suite struct PyTorchPage {
  @Test func `Networks and their weights`() throws {
    let names = Zoo.entries.map(\.name)

    var configuration = try Zoo.entry(named: "resnet20-fastmpn").configuration
    configuration.classes = 7
    var network = AnyNetwork<Float>(configuration)
    network.initialize(seed: 0)

    let images = Tensor<Float>([2, 3, 32, 32], repeating: 0.5)
    let logits = network(images)

    for (description, tensor) in network.tensors {
      print(description.name, tensor.shape, description.role)
    }

    #expect(names.contains("resnet20-fastmpn") && logits.shape == [2, 7])
    #expect(network.tensors.first?.description.name == "conv1.weight")
    #expect(network.tensors.contains { $0.description.name == "bn1.running_var" && $0.description.role == .buffer })
    let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try network.save(to: path)
    let again = try Classifier(contentsOf: path)
    #expect(again.model == "resnet20-fastmpn" && again.configuration.classes == 7)
  }

  private func files(network: AnyNetwork<Float>) throws {
    let classifier = try Classifier("resnet50-fastmpn", checkpoint: "fastmpn50.pth.tar")
    let (pretrained, report) = try Zoo.network("resnet50-fastmpn", checkpoint: "fastmpn50.pth.tar")

    try network.save(to: "mine.safetensors")
    let mine = try Classifier(contentsOf: "mine.safetensors")

    let checkpoint = try Checkpoint(contentsOf: "anything.pth")
    let weight: Tensor<Float>? = try checkpoint.tensors["conv1.weight"]?.tensor()
    print(checkpoint.names, checkpoint.metadata)

    print(classifier, pretrained, report as Any, mine, weight as Any)
  }

  private func ownModules(paths: [String]) throws {
    var network = SmallNetwork<Float>()
    network.initialize(seed: 0)
    try network.load(contentsOf: "small.safetensors")
  }

  @Test func `Inference`() throws {
    let classifier = try Classifier("resnet20-fastmpn")
    let picture = resource("odd_420.jpg")
    for prediction in try classifier.classify(contentsOf: picture, top: 5) {
      print(prediction.name, prediction.probability)
    }

    let image = try Image(contentsOf: picture)
    let input = Tensor<Float>(classifier.configuration.inputShape) { classifier.transform(image, into: $0) }
    let probabilities = try classifier(input).softmax()

    #expect(probabilities.shape == [1, 10])
  }

  @Test func `A plan gives what the module gives`() throws {
    let (network, _) = try Zoo.network("resnet20-fastmpn")
    let images = Tensor<Float>([2, 1, 28, 28], unit("images", count: 2 * 784))
    let plan = Plan(network.trace(input: network.configuration.inputShape))
    let logits = try plan(images)

    let difference = zip(logits.scalars, network(images).scalars).map { abs($0 - $1) }.max() ?? .infinity
    #expect(difference < 1e-3)
  }

  @Test func `Features`() throws {
    let (network, _) = try Zoo.network("resnet20-fastmpn")
    let images = Tensor<Float>([1, 1, 28, 28], repeating: 0)
    let maps = network.features(images)  // [B, C, H, W], the last feature maps
    let reduced = network.reducedFeatures(images)  // [B, d, H, W], whose covariance is taken
    let vector = network.representation(images)  // [B, d (d + 1) / 2], what the classifier sees
    let logits = network.head(maps)

    let extractor = try FeatureExtractor(network, layer: .representation)  // the same by a plan
    let same = try extractor(images)

    #expect(maps.shape.rank == 4 && reduced.shape == [1, 64, maps.shape[2], maps.shape[3]])
    #expect(vector.shape == [1, 2080])
    #expect(logits.shape == [1, 10] && same.shape == vector.shape)
  }

  @Test func `Transforms`() {
    let evaluation = EvaluationTransform(
      resize: .shorterSide(256), crop: 224, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
    let training = TrainingTransform(evaluation, .imageNet, seed: 0, epoch: 3)

    #expect(evaluation == .imageNet && training.outputSize.width == 224)
  }

  private func loading(transform: EvaluationTransform, classifier: Classifier) throws {
    let data = try openDataset("imagenet/val", wordNetIndex: ImageNet.indexOfWordNetID)
    let loader = DataLoader(dataset: data, transform: transform, batchSize: 16, workers: 2)
    var metrics = ClassificationMetrics()
    while let batch = loader.next() {
      let logits = try classifier(batch.images)
      logits.withUnsafeScalars { scores in
        for (row, label) in batch.labels.enumerated() {
          metrics.add(UnsafeBufferPointer(rebasing: scores[row * 1000..<(row + 1) * 1000]), label: label)
        }
      }
    }
    print(metrics.top1, metrics.top5, metrics.loss)

    let summary = try Evaluation(batchSize: 16)(classifier, on: data)
    print(summary.metrics.top1)
  }

  @Test func `Differentiation and training`() throws {
    let x = Tensor<Double>([3], [1, 2, 3])
    let weights = Tensor<Double>([3], [1, 10, 100])
    let (value, gradients) = valueWithGradients(at: [x]) { inputs in
      (inputs[0] * weights).sum()
    }

    #expect(value.item == 321 && gradients[0].scalars == [1, 10, 100])

    let (images, labels) = (Tensor<Float>([4, 3, 8, 8], unit("images", count: 768)), [0, 1, 0, 1])
    var network = SmallNetwork<Float>()
    network.initialize(seed: 0)
    var optimizer = SGD<Float>(momentum: 0.9, weightDecay: 1e-4)
    var losses: [Float] = []
    for number in 0..<20 {
      let step = try valueWithGradients(of: network, random: RandomStream(seed: UInt64(number), name: "step")) {
        SoftmaxCrossEntropy(labels: labels).applied(to: $0(images))
      }
      optimizer.step(&network, step.gradients, learningRate: 0.1)
      network.apply(step.updates)  // BatchNorm's running statistics
      losses.append(step.value.item)
    }

    #expect(losses[19] < losses[0])
  }

  @Test func `Optimisers, groups and schedules`() throws {
    let groups = [
      ParameterGroup(["classifier"], learningRateFactor: 5),
      ParameterGroup(["norm"], weightDecay: 0),
    ]
    let sgd = SGD<Float>(momentum: 0.9, weightDecay: 1e-4, isNesterov: true, groups: groups)
    let adam = AdamW<Float>(weightDecay: 0.05, groups: groups)
    let cosine = LearningRateSchedule(.cosine(epochs: 90), warmup: 5)
    let rate = 0.1 * cosine.factor(at: 30.5)  // after 30 epochs and a half

    var network = SmallNetwork<Float>()
    network.initialize(seed: 0)
    var average = ExponentialMovingAverage(of: network, decay: 0.999)
    average.update(with: network)

    #expect(sgd.groups.count == adam.groups.count && rate > 0 && rate < 0.1)
  }

  private func training() throws {
    let settings = TrainingSettings(model: "resnet20-fastmpn", data: "images", recipe: .small, seed: 1)
    let trainer = try Trainer(settings, output: "runs/mine")
    _ = try trainer.run(onEpoch: { print($0.epoch, $0.validationTop1 ?? .nan) })
  }

  @Test func `An operation of one's own`() {
    let x = Tensor<Double>([2], [3, -4])
    let y = Square().applied(to: x)
    let slope = valueWithGradients(at: [x]) { Square().applied(to: $0[0]).sum() }

    #expect(y.scalars == [9, 16] && slope.gradients[0].scalars == [6, -8])
  }

  private func resource(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).appending(path: "../../VisionTests/Resources/\(name)").standardizedFileURL.path
  }
}

struct SmallNetwork<Scalar: RealScalar>: Module {
  var conv = Conv2d<Scalar>(inputChannels: 3, outputChannels: 8, kernelSize: 3)
  var norm = BatchNorm2d<Scalar>(8)
  var pool = CovariancePool<Scalar>(channels: 8, dimension: 4, normalization: .newtonSchulz())
  var classifier = Linear<Scalar>(inputs: 10, outputs: 2)

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("conv", &conv)
    visit("norm", &norm)
    visit("pool", &pool)
    visit("classifier", &classifier)
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { classifier(pool(norm(conv(x)).relu())) }
}

struct Square: TensorOperation {
  func outputShape(_ inputs: [Shape]) -> Shape { inputs[0] }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    for (i, x) in inputs[0].scalars.enumerated() { result[i] = x * x }
  }

  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let x = application.inputs[0].scalars
    return [Tensor(gradient.shape, zip(x, gradient.scalars).map { 2 * $0 * $1 })]
  }
}
