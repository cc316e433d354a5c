/// A batch `[B, C, …]` in groups of neighbouring images, for work that treats each channel by itself.
///
/// Convolutions share out images as well, so a thread finds in its core's caches what it wrote there. How many groups
/// there are depends on the batch alone, and with it the sums over them: not on the number of threads.
struct ImageGroups {
  let channels: Int
  let pixels: Int
  private let batch: Int
  private let count: Int

  /// One channel of a group's images.
  struct Part {
    let group: Int, channel: Int, images: Int
    /// The place of the channel's first number in the batch.
    let start: Int
  }

  init(_ shape: Shape) {
    (batch, channels, pixels) = (shape[0], shape[1], shape.dropFirst(2).reduce(1, *))
    count = min(batch, 16)
  }

  /// From an image to the next.
  var imageSize: Int { channels * pixels }

  func images(_ group: Int) -> Range<Int> { group * batch / count..<(group + 1) * batch / count }

  /// Calls `body` with each channel of each group, spread over the pool.
  func forEach(_ body: (Part) -> Void) {
    guard count > 0, channels > 0 else { return }
    // Channels are shared out as well where there are few groups.
    let shares = min(channels, max(1, 4 * WorkerPool.shared.width / count))
    WorkerPool.shared.forEach(count * shares) { index in
      let (group, share) = (index / shares, index % shares)
      let images = images(group)
      for channel in share * channels / shares..<(share + 1) * channels / shares {
        body(
          Part(
            group: group, channel: channel, images: images.count,
            start: images.lowerBound * imageSize + channel * pixels))
      }
    }
  }

  /// What `body` finds for each channel of each group: those of each channel, in the order of the groups.
  func results(_ body: (Part) -> (Double, Double)) -> [ArraySlice<(Double, Double)>] {
    var found = [(Double, Double)](repeating: (0, 0), count: channels * count)
    found.withUnsafeMutableBufferPointer { found in
      guard let found = found.baseAddress else { return }
      forEach { found[$0.channel * count + $0.group] = body($0) }
    }
    return (0..<channels).map { found[$0 * count..<($0 + 1) * count] }
  }
}
