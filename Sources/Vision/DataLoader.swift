import Foundation
import Tensors

/// Decodes and transforms the images of a data set on threads of its own and hands them out in batches, in order.
///
/// The threads run at lower priority than the network's, so they fill the gaps that it leaves, and stop when enough
/// batches wait. Where the system has no threads to give, whoever takes a batch loads it. An image that cannot be read is
/// left out of its batch and named.
public final class DataLoader {
  /// Some images, ready for a network.
  public struct Batch: Sendable {
    /// `[B, C, H, W]`; fewer than the batch size at the end and where images could not be read.
    public var images: Tensor<Float>
    /// The images' positions in the data set.
    public var indices: [Int]
    /// Their right classes, where known.
    public var labels: [Int?]
    /// Images that could not be read.
    public var failures: [(path: String, reason: String)]
  }

  private let queue: LoadQueue
  private var started = 0

  /// Starts to load.
  /// - Parameters:
  ///   - dataset: the images.
  ///   - transform: what makes a network's input of one.
  ///   - batchSize: images in a batch.
  ///   - indices: which images, in which order; by default all.
  ///   - workers: threads.
  ///   - prefetch: batches that are made ahead.
  public convenience init(
    dataset: any Dataset, transform: any ImageTransform, batchSize: Int, indices: [Int]? = nil, workers: Int = 2,
    prefetch: Int = 2
  ) {
    self.init(
      dataset: dataset, transform: transform, batchSize: batchSize, indices: indices, workers: workers,
      prefetch: prefetch, startThread: startThread)
  }

  /// - Parameter startThread: makes a thread, or says that there is none.
  package init(
    dataset: any Dataset, transform: any ImageTransform, batchSize: Int, indices: [Int]?, workers: Int, prefetch: Int,
    startThread: WorkerPool.ThreadStart
  ) {
    check(batchSize > 0 && workers > 0 && prefetch > 0, "a loader needs a batch size, workers and prefetch")
    queue = LoadQueue(
      dataset, transform, batchSize: batchSize, indices: indices ?? Array(0..<dataset.count), ahead: prefetch)
    for worker in 0..<workers {
      guard startThread("covpool-load-\(worker)", { [queue] in queue.work() }) else { break }
      started += 1
    }
  }

  deinit { queue.stop() }

  /// The next batch, or `nil` after the last; waits until it is ready.
  public func next() -> Batch? {
    if started == 0 { queue.loadNextBatch() }
    return queue.next()
  }
}

/// What workers and the consumer share.
private final class LoadQueue: @unchecked Sendable {
  private final class Pending {
    /// Each slot is written by the worker that loads its image and by nobody else.
    let images: TensorStorage<Float>
    var failures: [Int: String] = [:]
    var remaining: Int
    init(count: Int, size: Int) {
      images = TensorStorage(count: count * size)
      remaining = count
    }
  }

  private let dataset: any Dataset
  private let transform: any ImageTransform
  private let batchSize: Int
  private let indices: [Int]
  private let ahead: Int
  private let imageSize: Int
  private let condition = NSCondition()
  // All below is guarded by `condition`.
  private var pending: [Int: Pending] = [:]
  private var nextImage = 0
  private var nextBatch = 0
  private var isStopped = false

  init(_ dataset: any Dataset, _ transform: any ImageTransform, batchSize: Int, indices: [Int], ahead: Int) {
    (self.dataset, self.transform, self.batchSize, self.indices) = (dataset, transform, batchSize, indices)
    self.ahead = ahead
    imageSize = transform.channels * transform.outputSize.height * transform.outputSize.width
  }

  func stop() {
    condition.lock()
    isStopped = true
    condition.broadcast()
    condition.unlock()
  }

  /// A worker's life: take an image, load it, put it into its batch.
  func work() {
    #if os(Linux)
      // Of this thread alone: Linux keeps a priority for each.
      _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
    #endif
    while loadImage() {}
  }

  /// The work of the threads that the system did not have, done by the consumer.
  func loadNextBatch() {
    for _ in 0..<max(0, count(nextBatch)) { _ = loadImage() }
  }

  /// Loads an image; whether there was one left.
  private func loadImage() -> Bool {
    guard let (position, batch) = claim() else { return false }
    let slot = position % batchSize
    let failure = load(indices[position], slot, batch)
    condition.lock()
    if let failure { batch.failures[slot] = failure }
    batch.remaining -= 1
    if batch.remaining == 0 { condition.broadcast() }
    condition.unlock()
    return true
  }

  /// The next image to load, once there is room for its batch.
  private func claim() -> (position: Int, batch: Pending)? {
    condition.lock()
    defer { condition.unlock() }
    while !isStopped && nextImage < indices.count && nextImage / batchSize > nextBatch + ahead { condition.wait() }
    guard !isStopped, nextImage < indices.count else { return nil }
    let number = nextImage / batchSize
    let batch = pending[number] ?? Pending(count: count(number), size: imageSize)
    pending[number] = batch
    defer { nextImage += 1 }
    return (nextImage, batch)
  }

  private func count(_ batch: Int) -> Int { min(batchSize, indices.count - batch * batchSize) }

  /// Writes one image's input into its place; the reason where it cannot be read.
  private func load(_ index: Int, _ slot: Int, _ batch: Pending) -> String? {
    do {
      let image = try dataset.image(index)
      transform(
        image, position: index,
        into: UnsafeMutableBufferPointer(start: batch.images.pointer + slot * imageSize, count: imageSize))
      return nil
    } catch { return "\(error)" }
  }

  func next() -> DataLoader.Batch? {
    condition.lock()
    defer { condition.unlock() }
    guard nextBatch * batchSize < indices.count else { return nil }
    while pending[nextBatch]?.remaining != 0 { condition.wait() }
    guard let batch = pending.removeValue(forKey: nextBatch) else { return nil }
    let start = nextBatch * batchSize
    nextBatch += 1
    condition.broadcast()
    let slots = (0..<count(nextBatch - 1)).filter { batch.failures[$0] == nil }
    let loaded = slots.map { indices[start + $0] }
    let size = transform.outputSize
    let shape: Shape = [slots.count, transform.channels, size.height, size.width]
    for (row, slot) in slots.enumerated() where row < slot {  // closes the gaps that failures left
      (batch.images.pointer + row * imageSize).update(from: batch.images.pointer + slot * imageSize, count: imageSize)
    }
    let images = Tensor(shape: shape, storage: batch.images)
    let failures = batch.failures.sorted { $0.key < $1.key }.map {
      (path: dataset.path(indices[start + $0.key]), reason: $0.value)
    }
    return DataLoader.Batch(images: images, indices: loaded, labels: loaded.map(dataset.label), failures: failures)
  }
}
