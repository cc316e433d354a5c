import Console
import ModelZoo

/// All methods on one batch of features, round by round, so that whatever disturbs the machine meets all of them.
struct Comparison {
  var methods: [Method]
  var rounds: Int
  /// How many threads share the batch: each method is timed with each number.
  var threads: [Int]
  /// Gets as many threads as there are at most.
  var peer: PeerProcess?
  /// Called before each round.
  var onProgress: (_ round: Int) -> Void = { _ in }

  /// Times the methods in the precision of `Scalar`.
  /// - Parameter peaks: what plain products reach with each number of threads, in 10⁹ multiplications and additions a
  ///   second.
  func run<Scalar: RealScalar>(_ features: Features, as _: Scalar.Type, peaks: [Double]) throws -> [Row] {
    let input = Tensor<Scalar>(features.tensor.shape, features.tensor.scalars.map { Scalar($0) })
    let (batch, d, positions) = (input.shape[0], features.dimension, features.positions)
    let most = threads.max() ?? 1
    WorkerPool.shared.width = most
    defer { WorkerPool.shared.width = most }
    let reference = ExactReference(input)
    func row(_ method: String, threads: Int) -> Row {
      Row(
        features: features.name, precision: Scalar.name, batch: batch, dimension: d, positions: positions,
        method: method, threads: threads)
    }
    let trials = methods.map { Trial($0, input) }
    // Those of one method lie side by side, one for each number of threads.
    var rows: [Row] = try trials.flatMap { trial in
      try trial.check()
      let accuracy = Accuracy(trial, reference)
      let (kept, allocations) = (trial.bytesKept(), trial.allocationsPerMatrix())
      return threads.map { threads in
        var row = row(trial.method.name, threads: threads)
        (row.accuracy, row.bytesKept, row.allocationsPerMatrix) = (accuracy, kept, allocations)
        return row
      }
    }
    let products = PlainProducts<Scalar>(size: d, batch: batch)
    products.run(count: 1)
    var productRows = threads.map { row("12 plain products", threads: $0) }
    for index in productRows.indices { productRows[index].hasBackward = false }
    // PyTorch works in single precision here.
    let peer = Scalar.self == Float.self ? peer : nil
    var peerRows = peer == nil ? [] : PeerProcess.methods.map { row($0.title, threads: most) }
    for index in peerRows.indices { peerRows[index].isPeer = true }
    try peer?.load(features.tensor)
    try check(peer, trials, shape: [batch, d, d])
    for round in 0..<rounds {
      onProgress(round)
      for (index, width) in threads.enumerated() {
        WorkerPool.shared.width = width
        productRows[index].forward.record(milliseconds: time(batch: batch) { products.run(count: 12) })
      }
      for index in rows.indices {
        let trial = trials[index / threads.count]
        WorkerPool.shared.width = rows[index].threads
        rows[index].forward.record(milliseconds: time(batch: batch) { _ = trial.forward() })
        rows[index].both.record(milliseconds: time(batch: batch) { _ = trial.backward(trial.apply()) })
        let applications = trial.apply()
        rows[index].backward.record(milliseconds: time(batch: batch) { _ = trial.backward(applications) })
      }
      for (index, method) in PeerProcess.methods.enumerated() {
        guard let peer else { break }
        let times = try peer.time(method.name, batch: batch)
        peerRows[index].forward.record(milliseconds: times.forward)
        peerRows[index].backward.record(milliseconds: times.backward)
        peerRows[index].both.record(milliseconds: times.both)
      }
    }
    let cube = Double(d) * Double(d) * Double(d)
    for index in rows.indices {
      let work = methods[index / threads.count].work(positionsPerDimension: Double(positions) / Double(d))
      let peak = peaks[index % threads.count]
      guard work.forward > 0 else { continue }
      rows[index].forwardShare = work.forward * cube / rows[index].forward.median / 1e6 / peak
      rows[index].bothShare = (work.forward + work.backward) * cube / rows[index].both.median / 1e6 / peak
    }
    for (index, peak) in peaks.enumerated() {
      productRows[index].forwardShare = 24 * cube / productRows[index].forward.median / 1e6 / peak
    }
    return rows + productRows + peerRows
  }

  /// Stops where PyTorch computes something else than this package.
  private func check<Scalar: RealScalar>(_ peer: PeerProcess?, _ trials: [Trial<Scalar>], shape: Shape) throws {
    guard let peer, let features = trials.first?.features else { return }
    let single = Tensor<Float>(features.shape, features.scalars.map { Float($0) })
    for (name, own, tolerance) in [
      ("eigh", "power", 3e-3), ("svd", "power", 3e-3), ("newton-schulz", "newton-schulz", 1e-4),
      ("newton-schulz-manual", "newton-schulz", 1e-4),
    ] {
      let ours = try Method(own).steps.reduce(single) { $1($0, []) }
      let distance = relativeDistance(try peer.root(name, shape: shape), ours)
      guard distance < tolerance else {
        throw UsageError("PyTorch's \(name) differs from ours by \(distance) of its norm, more than \(tolerance)")
      }
    }
  }
}
