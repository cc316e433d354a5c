import Kernels

/// A batch `[B, C, …]` in groups of neighbouring images, for work that treats each channel by itself.
///
/// Convolutions share out images as well, so a thread finds in its core's caches what it wrote there, and a group is read
/// from its beginning to its end. How many groups there are depends on the batch alone, and with it the sums over them:
/// not on the number of threads.
struct ImageGroups {
  let channels: Int
  private let batch: Int
  private let pixels: Int
  private let count: Int

  /// Some channels of a group's images.
  struct Part {
    let group: Int, channels: Range<Int>
    /// The place of the first number in the batch.
    let start: Int
    let layout: covpool_batch
  }

  init(_ shape: Shape) {
    (batch, channels, pixels) = (shape[0], shape[1], shape.dropFirst(2).reduce(1, *))
    count = min(batch, 16)
  }

  func images(_ group: Int) -> Range<Int> { group * batch / count..<(group + 1) * batch / count }

  /// Calls `body` with parts that together are the batch, spread over the pool.
  func forEach(_ body: (Part) -> Void) {
    guard count > 0, channels > 0 else { return }
    // Channels are shared out as well where there are few groups.
    let shares = min(channels, max(1, 4 * WorkerPool.shared.width / count))
    WorkerPool.shared.forEach(count * shares) { index in
      let (group, share) = (index / shares, index % shares)
      let images = images(group)
      let range = share * channels / shares..<(share + 1) * channels / shares
      body(
        Part(
          group: group, channels: range,
          start: (images.lowerBound * channels + range.lowerBound) * pixels,
          layout: covpool_batch(
            images: images.count, image_size: channels * pixels, channels: range.count, pixels: pixels)))
    }
  }

  /// What `body` finds for each channel of a part, two numbers: those of each channel, in the order of the groups.
  func results(
    _ body: (Part, _ first: UnsafeMutablePointer<Double>, _ second: UnsafeMutablePointer<Double>) -> Void
  ) -> [[(Double, Double)]] {
    withScratch(of: Double.self, 2 * count * channels) { found in
      forEach { part in
        let first = found + part.group * channels + part.channels.lowerBound
        body(part, first, first + count * channels)
      }
      return (0..<channels).map { channel in
        (0..<count).map { (found[$0 * channels + channel], found[(count + $0) * channels + channel]) }
      }
    }
  }
}
