import Tensors

/// In which order, and by which rank, the images of an epoch are looked at: a function of the seed and these numbers alone.
package struct DataOrder {
  /// Images in a step, over all ranks.
  let batchSize: Int
  private let permutation: [Int]
  private let rank: Int, ranks: Int

  /// The order of an epoch, from 0.
  package init(count: Int, batchSize: Int, seed: UInt64, epoch: Int, rank: Int = 0, ranks: Int = 1) {
    var random = RandomStream(seed: seed, name: "order \(epoch)").generator
    permutation = random.permutation(of: count)
    (self.batchSize, self.rank, self.ranks) = (batchSize, rank, ranks)
  }

  /// Steps of the epoch; the last may have fewer images.
  package var steps: Int { (permutation.count + batchSize - 1) / batchSize }

  /// Images in a whole step for this rank.
  var share: Int { (rank + 1) * batchSize / ranks - rank * batchSize / ranks }

  /// This rank's images of a step: an even share of the step's, in their order.
  package func indices(ofStep step: Int) -> [Int] {
    let batch = permutation[min(step * batchSize, permutation.count)..<min((step + 1) * batchSize, permutation.count)]
    let first = batch.startIndex
    return Array(batch[first + rank * batch.count / ranks..<first + (rank + 1) * batch.count / ranks])
  }
}
