import ArgumentParser
import Checkpoints
import Console
import Files
import Foundation
import ModelZoo

/// `zoo-eval MODEL --features FILE`: what a network makes of images, a row for each.
struct FeatureExtraction {
  let options: ZooEval
  let model: String

  func run(_ path: String) throws {
    let (network, report) = try Zoo.network(
      model, checkpoint: options.checkpoint, randomSeed: options.checkpoint == nil ? 0 : nil
    ) { try options.network.override(&$0, model) }
    let extractor = try FeatureExtractor(network, layer: options.layer ?? .representation)
    let data: any Dataset =
      try options.data.map {
        try openDataset(
          $0, labels: options.labels, wordNetIndex: ImageNet.indexOfWordNetID,
          classNames: network.configuration.classNames(metadata: report?.metadata ?? [:]),
          sortsLabels: options.sortsLabels
        ).limited(to: options.limit)
      } ?? ImageList(paths: options.images)
    guard data.count > 0 else { throw UsageError("--features needs images or --data") }
    if report == nil { Output.warn(Output.randomWeights) }
    for warning in (report?.warnings ?? []) + data.warnings { Output.warn(warning) }
    Output.line(
      "\(extractor.configuration.name), \(extractor.layer.rawValue) \(extractor.outputShape), of \(data.summary)")
    StopSignal.listen()
    let failures = try write(extractor, data, to: path)
    for failure in failures.prefix(5) { Output.warn("a row of NaN: \(failure.reason)") }
    if failures.count > 5 { Output.warn("… and \(failures.count - 5) more rows of NaN") }
    Output.line("\(data.count) rows in \(path)")
    if !failures.isEmpty { throw imagesLeftOut }
  }

  /// - Returns: the images that could not be read.
  private func write(
    _ extractor: FeatureExtractor, _ data: any Dataset, to path: String
  ) throws -> [(path: String, reason: String)] {
    let batchSize = options.batchSize
    try extractor.checkMemory(forBatchesOf: min(batchSize, data.count), inputs: 4)
    let loader = DataLoader(
      dataset: data, transform: extractor.transform, batchSize: batchSize, workers: max(1, WorkerPool.shared.width))
    guard let format = RowFile.Format(path: path) else { throw UsageError("--features \(path): no format") }
    var failures: [(path: String, reason: String)] = []
    var progress = ProgressLine(total: data.count)
    let start = ContinuousClock.now
    try RowFile.write(
      to: path, as: format, shape: Shape([data.count] + extractor.outputShape.dimensions),
      metadata: metadata(extractor, data)
    ) { file in
      var next = 0
      while let batch = loader.next() {
        if StopSignal.isRaised { throw StopSignal.exitCode }
        failures += batch.failures
        if options.strict, let failure = batch.failures.first {
          throw UnreadableImage(path: failure.path, reason: failure.reason)
        }
        let range = next..<min(next + batchSize, data.count)
        try add(batch, range, extractor, data, to: &file)
        next = range.upperBound
        if next == data.count, failures.count == data.count {
          throw UnreadableImage(
            path: data.path(0), reason: "none of the \(data.count) images could be read: \(failures[0].reason)")
        }
        progress.show(done: next, seconds: (ContinuousClock.now - start) / .seconds(1), notes: [])
      }
    }
    progress.finish()
    return failures
  }

  /// Adds the rows of a batch, and rows of NaN where images of its range are missing.
  private func add(
    _ batch: DataLoader.Batch, _ range: Range<Int>, _ extractor: FeatureExtractor, _ data: any Dataset,
    to file: inout RowFile
  ) throws {
    var rows: Tensor<Float>?
    if !batch.indices.isEmpty {
      do { rows = try extractor(batch.images) } catch {
        throw EvaluationError(path: data.path(batch.indices[error.sample]), failure: error)
      }
    }
    if let rows, batch.indices.count == range.count { return try file.add(rows) }
    let size = extractor.outputShape.scalarCount
    let positions = Dictionary(uniqueKeysWithValues: batch.indices.enumerated().map { ($1, $0) })
    for index in range {
      let scalars = positions[index].flatMap { position in
        rows.map { Array($0.scalars[position * size..<(position + 1) * size]) }
      }
      try file.add(Tensor([1, size], scalars ?? [Float](repeating: .nan, count: size)))
    }
  }

  /// What a safetensors file says beside the rows: the network, and the images in their order.
  private func metadata(_ extractor: FeatureExtractor, _ data: any Dataset) -> [String: String] {
    func json(_ value: some Encodable) -> String {
      (try? JSONEncoder().encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
    var metadata = [
      "model": extractor.configuration.name, "layer": extractor.layer.rawValue,
      "paths": json((0..<data.count).map { data.path($0).withBytesShown }),
    ]
    metadata["checkpoint"] = options.checkpoint?.withBytesShown
    let labels = (0..<data.count).map { data.label($0) }
    if labels.contains(where: { $0 != nil }) { metadata["labels"] = json(labels) }
    return metadata
  }
}

/// Images that the user names one by one.
private struct ImageList: Dataset {
  let paths: [String]

  var count: Int { paths.count }
  var classNames: [String]? { nil }
  var summary: String { paths.count == 1 ? paths[0] : "\(paths.count) images" }
  func label(_ index: Int) -> Int? { nil }
  func path(_ index: Int) -> String { paths[index] }
  func image(_ index: Int) throws -> Image { try Image(contentsOf: paths[index]) }
}
