import Console
import Files
import Foundation
import ModelZoo

/// The formats of `--results`, by the file's name.
enum ResultsFormat {
  case json, csv

  init?(path: String) {
    switch path.split(separator: ".").last?.lowercased() {
    case "json": self = .json
    case "csv": self = .csv
    default: return nil
    }
  }
}

/// One run as one JSON object or one CSV row; what does not apply is null or empty.
struct Results: Encodable {
  var model: String
  var checkpoint: String?
  var data: String?
  var images: Int?
  var failed: Int?
  var top1, top5: Double?
  var correct1, correct5: Int?
  var loss: Double?
  var parameters, macs, imageSize, batchSize, threads: Int
  var imagesPerSecond: Double?
  var seconds: Double?
  var peakMemoryMB: Double
  var blas, blasKernel: String
  /// What only JSON has: how labels came about, and the classes of images that were named one by one.
  var labels: String?
  var predictions: [ImagePrediction]?

  /// The likeliest classes of an image.
  struct ImagePrediction: Encodable {
    struct Class: Encodable {
      var index: Int
      var name: String?
      var probability: Float
    }
    var path: String
    var classes: [Class]
  }

  /// The columns of a CSV file.
  private static let columns = [
    "model", "checkpoint", "data", "images", "failed", "top1", "top5", "correct1", "correct5", "loss", "parameters",
    "macs", "imageSize", "batchSize", "threads", "imagesPerSecond", "seconds", "peakMemoryMB", "blas", "blasKernel",
  ]
  private static let header = columns.joined(separator: ",")
  private var header: String { Self.header }

  init(options: ZooEval, classifier: Classifier) {
    model = classifier.model
    (checkpoint, data) = (options.checkpoint, options.data)
    (parameters, macs) = (classifier.counts.parameters, classifier.counts.multiplyAdds)
    imageSize = classifier.configuration.imageSize
    (batchSize, threads) = (options.batchSize, WorkerPool.shared.width)
    peakMemoryMB = (Output.peakMemoryMB * 10).rounded() / 10
    let info = BLASInfo.current
    (blas, blasKernel) = ("\(info.library) \(info.version)", info.kernel)
  }

  /// Values in the order of the columns.
  private var fields: [(name: String, value: (any Encodable)?)] {
    let values: [(any Encodable)?] = [
      model, checkpoint?.withBytesShown, data?.withBytesShown, images, failed, top1, top5, correct1, correct5, loss,
      parameters, macs, imageSize, batchSize, threads, imagesPerSecond, seconds, peakMemoryMB, blas, blasKernel,
    ]
    return Array(zip(Self.columns, values))
  }

  func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    for (name, value) in fields {
      if let value, (value as? Double)?.isFinite != false {
        try object.encode(value, forKey: Key(name))
      } else {
        try object.encodeNil(forKey: Key(name))
      }
    }
    if let labels { try object.encode(labels, forKey: Key("labels")) }
    if let predictions { try object.encode(predictions, forKey: Key("predictions")) }
  }

  /// Writes the result: as JSON to standard output (`-`) or a file, or as a row of a CSV file.
  func write(to path: String) throws {
    if path == "-" { return try Output.deliver(try json()) }
    guard ResultsFormat(path: path) == .csv else { return try writeAtomically(try json(), to: path) }
    let row = fields.map { csvField($0.value.map { "\($0)" } ?? "") }.joined(separator: ",")
    // Many runs may add to one table at a time.
    try withLock(beside: path) {
      let table = try Self.checkTable(path)
      try writeAtomically((table ?? header + "\n") + row + "\n", to: path)
    }
  }

  /// The rows of a CSV file to which another can be added; `nil` where there is none yet.
  /// - Throws: `UsageError` where the file is something else.
  @discardableResult
  static func checkTable(_ path: String) throws -> String? {
    guard fileKind(path) == .regular else { return nil }
    let text = String(decoding: try readFile(path, limit: 1 << 28), as: UTF8.self)
    guard !text.isEmpty else { return nil }
    guard text.prefix(while: { !$0.isNewline }) == header else {
      throw UsageError(
        "--results \(path): is there already, but is no table of results to add a row to; its first line must be \(header)"
      )
    }
    return text.last?.isNewline == true ? text : text + "\n"
  }

  private func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }

  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }
}
