import Foundation
import Tensors

/// One pass over a data set: accuracy, loss and speed.
public struct Evaluation {
  /// What is known after a batch.
  public struct Progress: Sendable {
    /// Images tried so far, failed ones among them.
    public var done: Int
    /// Images to try.
    public var total: Int
    /// Accuracy and loss so far.
    public var metrics: ClassificationMetrics
    /// Since the start.
    public var seconds: Double
  }

  /// One image's result.
  public struct ImageResult: Sendable {
    /// The image's path within the data set.
    public var path: String
    /// The right class, if the data set knows it.
    public var label: Int?
    /// The likeliest classes, at most five, the likeliest first.
    public var top: [(index: Int, probability: Float)]
  }

  /// What a pass came to.
  public struct Summary: Sendable {
    /// Accuracy and loss.
    public var metrics: ClassificationMetrics
    /// Which classes were taken for which.
    public var confusions: ConfusionTable
    /// Images that could not be read, with the reason.
    public var failures: [(path: String, reason: String)]
    /// Images classified.
    public var images: Int
    /// Whether all images were tried; not where the pass was cancelled.
    public var isComplete = true
    /// From the first image's decoding to the last result.
    public var seconds: Double
  }

  /// Images in a batch.
  public var batchSize: Int
  /// Threads that decode, beside those of the network.
  public var decoders: Int
  /// Whether an image's logits are the mean of its own and those of its mirror image.
  public var averagesMirrors: Bool

  /// A pass with batches of this size.
  public init(batchSize: Int = 16, decoders: Int? = nil, averagesMirrors: Bool = false) {
    check(batchSize > 0, "a batch holds at least one image, not \(batchSize)")
    (self.batchSize, self.averagesMirrors) = (batchSize, averagesMirrors)
    self.decoders = decoders ?? max(1, WorkerPool.shared.width)
  }

  /// Classifies every image of `data` in order.
  ///
  /// An image that cannot be read is counted and named, and the pass goes on.
  /// - Parameters:
  ///   - classifier: the network.
  ///   - data: the images.
  ///   - onProgress: called after each batch.
  ///   - onImage: called for each classified image, in the data set's order.
  ///   - shouldStop: asked about images that could not be read; an error ends the pass.
  ///   - isCancelled: asked after each batch; if so the pass ends with what it has.
  /// - Throws: `MemoryError` where there is not enough for batches of this size; `EvaluationError` for an image that the
  ///   network has no finite result for.
  public func callAsFunction(
    _ classifier: Classifier, on data: any Dataset, onProgress: (Progress) -> Void = { _ in },
    onImage: ((ImageResult) -> Void)? = nil,
    shouldStop: (_ failures: [(path: String, reason: String)]) -> (any Error)? = { _ in nil },
    isCancelled: () -> Bool = { false }
  ) throws -> Summary {
    let start = ContinuousClock.now
    let total = data.count
    let prefetch = 2
    // Those that wait, the one that the network has and the one that is being made.
    try classifier.checkMemory(forBatchesOf: min(batchSize, max(total, 1)), inputs: prefetch + 2)
    let loader = DataLoader(
      dataset: data, transform: classifier.transform, batchSize: batchSize, indices: Array(0..<total),
      workers: decoders, prefetch: prefetch)
    var summary = Summary(
      metrics: ClassificationMetrics(), confusions: ConfusionTable(), failures: [], images: 0, seconds: 0)
    while let batch = loader.next() {
      if let error = shouldStop(batch.failures) { throw error }
      if isCancelled() {
        summary.isComplete = false
        break
      }
      summary.failures += batch.failures
      summary.images += batch.indices.count
      if !batch.indices.isEmpty {
        let logits: Tensor<Float>
        do {
          logits = try self.logits(classifier, batch.images)
        } catch {
          throw EvaluationError(path: data.path(batch.indices[error.sample]), failure: error)
        }
        let probabilities = onImage.map { _ in logits.softmax() }
        for (row, index) in batch.indices.enumerated() {
          logits.withRow(row) {
            summary.metrics.add($0, label: batch.labels[row])
            summary.confusions.add($0, label: batch.labels[row])
          }
          guard let onImage, let probabilities else { continue }
          let top = probabilities.withRow(row) {
            topK($0, 5).map { (index: $0.index, probability: $0.value) }
          }
          onImage(ImageResult(path: data.path(index), label: batch.labels[row], top: top))
        }
      }
      summary.seconds = (ContinuousClock.now - start) / .seconds(1)
      onProgress(
        Progress(
          done: summary.images + summary.failures.count, total: total, metrics: summary.metrics,
          seconds: summary.seconds))
    }
    return summary
  }
}

extension Evaluation {
  private func logits(
    _ classifier: Classifier, _ images: Tensor<Float>
  ) throws(NumericalFailure) -> Tensor<Float> {
    let logits = try classifier(images)
    guard averagesMirrors else { return logits }
    var sum = try logits + classifier(images.mirrored())
    sum.scale(by: 0.5)
    return sum
  }
}

extension Tensor {
  /// Images `[B, C, H, W]` with left and right exchanged.
  package func mirrored() -> Tensor {
    let width = shape[rank - 1]
    return withUnsafeScalars { source in
      Tensor(shape) { target in
        for row in stride(from: 0, to: source.count, by: width) {
          for x in 0..<width { target[row + x] = source[row + width - 1 - x] }
        }
      }
    }
  }
}

/// An image for which the network has no finite result.
public struct EvaluationError: Error, CustomStringConvertible, Sendable {
  /// The image's path, within its data set if it is of one.
  public let path: String
  /// What did not converge, or where numbers stop being finite.
  public let failure: NumericalFailure

  /// No finite result for the image of this path.
  public init(path: String, failure: NumericalFailure) { (self.path, self.failure) = (path, failure) }

  public var description: String { "\(path): \(failure.operation): \(failure.reason)" }
}

extension EvaluationError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
