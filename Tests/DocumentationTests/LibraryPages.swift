import Checkpoints
import Foundation
import TestSupport
import Testing
import Training

/// The code of the libraries' pages; what needs files that are not here is compiled only.
@Suite struct LibraryPages {
  @Test func `LinearAlgebra`() throws {
    let (values, vectors) = try symmetricEigendecomposition(of: [2.0, 1, 1, 2], size: 2)
    print(values, vectors)  // [1, 3], and the eigenvectors in columns

    #expect(abs(values[0] - 1) < 1e-12 && abs(values[1] - 3) < 1e-12 && vectors.count == 4)
    // In columns: those of the second eigenvalue are equal.
    #expect(abs(vectors[1] - vectors[3]) < 1e-12 && abs(vectors[0] + vectors[2]) < 1e-12)
  }

  @Test func `Tensors`() {
    let x = Tensor<Float>([2, 3], [1, 2, 3, 4, 5, 6])
    print(x.relu().softmax().scalars, x[1, 2])

    let (value, gradients) = valueWithGradients(at: [x]) { inputs in
      SoftmaxCrossEntropy(labels: [0, 2]).applied(to: inputs[0])
    }

    #expect(x[1, 2] == 6 && value.item > 0 && gradients[0].shape == [2, 3])
  }

  @Test func `NeuralNetworks`() throws {
    var network = Perceptron<Float>()
    network.initialize()
    let before = network.tensors[0].tensor.scalars
    let (images, labels) = (Tensor<Float>([2, 784], unit("images", count: 2 * 784)), [3, 7])
    var optimizer = SGD<Float>()
    let step = try valueWithGradients(of: network) { network in
      SoftmaxCrossEntropy(labels: labels).applied(to: network(images))
    }
    optimizer.step(&network, step.gradients, learningRate: 0.1)
    network.apply(step.updates)

    #expect(step.gradients["hidden.weight"]?.shape == [100, 784] && network.tensors[0].tensor.scalars != before)
  }

  @Test func `CovariancePooling`() {
    let head = CovariancePool<Float>(channels: 2048, dimension: 256, normalization: .exact())

    let features = Tensor<Double>([1, 3, 20], unit("features", count: 60).map(Double.init))
    let roots = CovarianceFunction(.squareRoot).applied(to: features)  // exact, from the features
    let same = NewtonSchulz(tolerance: 1e-4).applied(to: Covariance().applied(to: features))

    #expect(head.dimension == 256)
    #expect(zip(roots.scalars, same.scalars).allSatisfy { abs($0 - $1) < 1e-3 })
  }

  @Test func `Inference`() throws {
    let (network, _) = try Zoo.network("resnet20")
    let images = Tensor<Float>([1, 1, 28, 28], repeating: 0.5)
    let plan = Plan(network.trace(input: [1, 1, 28, 28]))
    let logits = try plan(images)

    #expect(logits.shape == [1, 10])
  }

  @Test func `Checkpoints`() throws {
    let found = try Zoo.checkpointInTheBox("resnet20")
    let path = try #require(found)
    let checkpoint = try Checkpoint(contentsOf: path)
    for name in checkpoint.names {
      print(name, checkpoint.tensors[name]!.shape, checkpoint.tensors[name]!.type)
    }
    let weight = try checkpoint.tensors["conv1.weight"]?.tensor(as: Float.self)

    #expect(weight?.shape == [16, 1, 3, 3])
  }

  @Test func `Vision`() throws {
    let path = URL(fileURLWithPath: #filePath).appending(path: "../../VisionTests/Resources/odd_420.jpg").standardized
      .path
    let image = try Image(contentsOf: path)
    let input = Tensor<Float>([1, 3, 224, 224]) { EvaluationTransform.imageNet(image, into: $0) }

    #expect(input.isFinite)
    let loader = DataLoader(dataset: Stripes(), transform: EvaluationTransform.cifar, batchSize: 60)
    #expect(loader.next()?.labels.prefix(2) == [0, 1] && loader.next()?.images.shape == [40, 3, 32, 32])
  }

  @Test func `Training`() throws {
    var recipe = Recipe.small
    (recipe.epochs, recipe.scheduleEpochs, recipe.batchSize, recipe.augmentation) = (2, 2, 20, Augmentation())
    let transform = EvaluationTransform.cifar
    var network = SmallNetwork<Float>()
    network.initialize(seed: 0)
    var loop = TrainingLoop(network, recipe: recipe, seed: 0)
    while loop.epoch < recipe.epochs {
      _ = try loop.trainEpoch(on: Stripes(), transform: transform) { print($0.epoch, $0.images, $0.loss) }
      loop.finishEpoch()
    }

    #expect(loop.epoch == 2 && loop.model.tensors[0].tensor.scalars != network.tensors[0].tensor.scalars)
  }

  private func classifying() throws {
    let classifier = try Classifier("resnet50-fastmpn", checkpoint: "fastmpn50.pth.tar")
    for prediction in try classifier.classify(contentsOf: "cat.jpg") {
      print(prediction.name, prediction.probability)
    }
  }
}

struct Perceptron<Scalar: RealScalar>: Module {
  var hidden = Linear<Scalar>(inputs: 784, outputs: 100)
  var output = Linear<Scalar>(inputs: 100, outputs: 10)

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("hidden", &hidden)
    visit("output", &output)
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { output(hidden(x).relu()) }
}

struct Stripes: Dataset {
  let count = 100
  let classNames: [String]? = ["horizontal", "vertical"]
  let summary = "100 images of stripes"

  func label(_ index: Int) -> Int? { index % 2 }
  func path(_ index: Int) -> String { "stripes \(index)" }
  func image(_ index: Int) -> Image {
    let pixels = (0..<32 * 32).flatMap { pixel in
      [UInt8](repeating: (index % 2 == 0 ? pixel / 32 : pixel % 32) / 4 % 2 == 0 ? 0 : 255, count: 3)
    }
    return Image(width: 32, height: 32, pixels: pixels)
  }
}
