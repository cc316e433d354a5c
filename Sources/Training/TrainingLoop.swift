import Foundation
import NeuralNetworks
import Vision

/// The steps of training, without files: batches, gradients, the optimiser, the running mean of the weights.
///
/// Any module that makes logits `[B, classes]` of images can be trained, on any data set. Everything is a function of recipe
/// and seed: order and augmentation of (seed, epoch, image), what layers drop of (seed, step).
public struct TrainingLoop<Model: Module<Float>> {
  /// What is trained.
  public internal(set) var model: Model
  /// How.
  public var recipe: Recipe
  /// Decides order, augmentation and dropping.
  public let seed: UInt64
  /// Epochs that are complete, and steps of the one that is not.
  public internal(set) var epoch = 0, step = 0
  /// Sums over the steps of this epoch.
  var sums = EpochSums()
  var optimizer: any Optimizer<Float>
  var average: ExponentialMovingAverage<Model>?
  private let communicator: any Communicator

  /// What a step came to.
  public struct StepReport: Sendable {
    /// From 1.
    public var epoch: Int
    /// Images of the epoch that are done, and all.
    public var images, totalImages: Int
    /// Images since training began or resumed in this epoch, and the time for them.
    public var timedImages: Int
    public var seconds: Double
    /// Means over the epoch so far.
    public var loss, top1: Double
    public var learningRate: Double
    /// Images that could not be read.
    public var failures: [(path: String, reason: String)]
  }

  /// Training of a model whose tensors have values, from its first step on.
  public init(
    _ model: Model, recipe: Recipe, seed: UInt64 = 0, communicator: any Communicator = SingleProcess()
  ) {
    (self.model, self.recipe, self.seed, self.communicator) = (model, recipe, seed, communicator)
    optimizer = recipe.newOptimizer()
    average = recipe.averageDecay.map { ExponentialMovingAverage(of: model, decay: $0) }
  }

  /// What is to be evaluated: the running mean of the weights where the recipe has one, otherwise the model.
  public var evaluated: Model { average?.module ?? model }

  /// Goes through the rest of the current epoch.
  /// - Parameters:
  ///   - data: images with labels.
  ///   - transform: what the model's input must look like before augmentation.
  ///   - onStep: called after each step.
  ///   - shouldStop: asked after each step but the epoch's last.
  /// - Returns: whether the epoch is complete; not where it was asked to stop.
  /// - Throws: `TrainingError` where a number is not finite or no image could be read.
  public mutating func trainEpoch(
    on data: any Dataset, transform: EvaluationTransform, onStep: (StepReport) -> Void = { _ in },
    shouldStop: (borrowing Self) throws -> Bool = { _ in false }
  ) throws -> Bool {
    check(
      recipe.batchSize >= communicator.size,
      "a batch of \(recipe.batchSize) images cannot be shared out among \(communicator.size) ranks")
    let order = DataOrder(
      count: data.count, batchSize: recipe.batchSize, seed: seed, epoch: epoch, rank: communicator.rank,
      ranks: communicator.size)
    let loader = DataLoader(
      dataset: data, transform: TrainingTransform(transform, recipe.augmentation, seed: seed, epoch: epoch),
      batchSize: order.share, indices: (min(step, order.steps)..<order.steps).flatMap(order.indices(ofStep:)),
      workers: WorkerPool.shared.width)
    var start = ContinuousClock.now
    while step < order.steps {
      // A rank without images in a step still answers the others.
      let batch = loader.next()
      let labels = batch?.labels.compactMap { $0 } ?? []
      let rate = recipe.learningRate(at: Double(epoch) + Double(step) / Double(order.steps))
      if !labels.isEmpty || communicator.size > 1 { try learn(batch?.images, labels, rate: rate) }
      step += 1
      let now = ContinuousClock.now
      sums.seconds += (now - start) / .seconds(1)
      start = now
      onStep(
        StepReport(
          epoch: epoch + 1, images: min(step * recipe.batchSize, data.count), totalImages: data.count,
          timedImages: sums.images, seconds: sums.seconds, loss: sums.loss / Double(max(sums.images, 1)),
          top1: 100 * Double(sums.correct) / Double(max(sums.images, 1)), learningRate: rate,
          failures: batch?.failures ?? []))
      if step < order.steps, try shouldStop(self) { return false }
    }
    guard sums.images > 0 else {
      throw TrainingError.data("\(data.summary): none of the \(data.count) images could be read")
    }
    return true
  }

  /// Begins the next epoch.
  public mutating func finishEpoch() {
    epoch += 1
    (step, sums) = (0, EpochSums())
  }

  /// One step: `[B, C, H, W]` and the right class of each image; `nil` and none for a rank without images.
  private mutating func learn(_ images: Tensor<Float>?, _ labels: [Int], rate: Double) throws {
    let stream = communicator.rank == 0 ? "" : " \(communicator.rank)"
    let random = RandomStream(seed: seed, name: "step \(epoch) \(step)\(stream)")
    var (gradients, value, right) = (noGradients, 0.0, 0)
    if let images, !labels.isEmpty {
      let loss = SoftmaxCrossEntropy(labels: labels, labelSmoothing: recipe.labelSmoothing)
      let (result, auxiliary) = try valueWithGradients(
        of: model, random: random, frozen: ParameterGroup(recipe.frozen)
      ) { model in
        let logits = model(images)
        return (loss.applied(to: logits), [logits])
      }
      (gradients, value, right) = (result.gradients, Double(result.value.item), correct(auxiliary[0], labels))
      guard communicator.size > 1 || (value.isFinite && gradients.norm.isFinite) else {
        throw notFinite(images, loss, random, gradients)
      }
      model.apply(result.updates)
      sums.dropRate += result.metrics[.dropRate] ?? 0
    }
    // Before anything is thrown, so that no rank waits for another that has stopped.
    try communicator.average(&gradients, weight: Double(labels.count))
    guard gradients.norm.isFinite else {
      let name = zip(gradients.names, gradients.tensors).first { !$1.isFinite }?.0 ?? "the weights"
      throw TrainingError.notFinite(epoch: epoch + 1, step: step + 1, tensor: "the gradient of \(name)")
    }
    if let limit = recipe.clipNorm { gradients.clip(norm: limit) }
    optimizer.step(&model, gradients, learningRate: rate)
    average?.update(with: model)
    var numbers = [Double(labels.count), value * Double(labels.count), Double(right)]
    try communicator.sum(&numbers)
    sums.images += Int(numbers[0])
    sums.batches += 1
    sums.loss += numbers[1]
    sums.correct += Int(numbers[2])
  }

  /// What a rank without images adds to the others' gradients; alone a step without images is none.
  private var noGradients: Gradients<Float> {
    guard communicator.size > 1 else { return Gradients(names: [], tensors: []) }
    let frozen = ParameterGroup(recipe.frozen)
    let learned = model.tensors.filter { $0.description.role != .buffer && !frozen.contains($0.description.name) }
    return Gradients(
      names: learned.map(\.description.name), tensors: learned.map { Tensor($0.tensor.shape, repeating: 0) })
  }

  private func correct(_ logits: Tensor<Float>, _ labels: [Int]) -> Int {
    labels.enumerated().count { row, label in logits.withRow(row) { topK($0, 1).first?.index == label } }
  }

  /// Goes through the step once more to find the first tensor that is not finite.
  private func notFinite(
    _ images: Tensor<Float>, _ loss: SoftmaxCrossEntropy, _ random: RandomStream, _ gradients: Gradients<Float>
  ) -> TrainingError {
    let found = firstNotFinite(of: model, random: random, images) { loss.applied(to: $0($1)) }
    let gradient = zip(gradients.names, gradients.tensors).first { !$1.isFinite }.map { "the gradient of \($0.0)" }
    return .notFinite(epoch: epoch + 1, step: step + 1, tensor: found ?? gradient ?? "the loss")
  }
}

extension Recipe {
  /// The recipe's optimiser before its first step.
  func newOptimizer() -> any Optimizer<Float> {
    switch optimizer {
    case .sgd: SGD<Float>(momentum: momentum, weightDecay: weightDecay, isNesterov: nesterov, groups: groups)
    case .adamw: AdamW<Float>(weightDecay: weightDecay, groups: groups)
    }
  }
}
