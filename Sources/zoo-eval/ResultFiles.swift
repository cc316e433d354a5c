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

  /// Names and values in the order of the columns.
  private var fields: [(name: String, value: (any Encodable)?)] {
    [
      ("model", model), ("checkpoint", checkpoint), ("data", data), ("images", images),
      ("failed", failed),
      ("top1", top1), ("top5", top5), ("correct1", correct1), ("correct5", correct5),
      ("loss", loss),
      ("parameters", parameters), ("macs", macs), ("imageSize", imageSize),
      ("batchSize", batchSize),
      ("threads", threads), ("imagesPerSecond", imagesPerSecond), ("seconds", seconds),
      ("peakMemoryMB", peakMemoryMB),
      ("blas", blas), ("blasKernel", blasKernel),
    ]
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
  }

  func write(to path: String) throws {
    switch ResultsFormat(path: path) {
    case .csv:
      let row = fields.map { csvField($0.value.map { "\($0)" } ?? "") }.joined(separator: ",")
      try writeAtomically(fields.map(\.name).joined(separator: ",") + "\n" + row + "\n", to: path)
    default:
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes]
      try writeAtomically(String(decoding: encoder.encode(self), as: UTF8.self) + "\n", to: path)
    }
  }

  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }
}

/// The rows of `--predictions`.
enum PredictionsFile {
  static let header =
    "path,label," + (1...5).map { "class\($0),probability\($0)" }.joined(separator: ",") + "\n"

  /// Networks with fewer than five classes leave the last columns empty.
  static func row(_ image: Evaluation.ImageResult) -> String {
    var fields = [csvField(image.path), image.label.map(String.init) ?? ""]
    for rank in 0..<5 {
      guard rank < image.top.count else {
        fields += ["", ""]
        continue
      }
      fields += ["\(image.top[rank].index)", String(format: "%.6f", image.top[rank].probability)]
    }
    return fields.joined(separator: ",") + "\n"
  }
}
