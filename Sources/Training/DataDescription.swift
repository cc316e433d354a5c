import ModelZoo

/// What a run's labels and image numbers mean: if any of it changes, the run is another one.
struct DataDescription: Equatable, Sendable, Codable {
  /// How the images are kept.
  var kind: String
  var trainingImages: Int
  /// `nil` where there are none to validate on.
  var validationImages: Int?
  var classNames: [String]?
  /// Of names and labels of all images, in their order.
  var trainingDigest, validationDigest: String

  init(training: any Dataset, validation: (any Dataset)?) {
    kind = Self.kind(training)
    (trainingImages, validationImages) = (training.count, validation?.count)
    classNames = training.classNames
    (trainingDigest, validationDigest) = (Self.digest(training), validation.map(Self.digest) ?? "")
  }

  /// The first thing that is not as it was, as a sentence about `other`; `nil` where all is.
  func difference(to other: DataDescription) -> String? {
    if kind != other.kind { return "they are \(other.kind), the run began with \(kind)" }
    let (before, after) = (classNames ?? [], other.classNames ?? [])
    if let gone = before.first(where: { !after.contains($0) }) { return "the class '\(gone)' is gone" }
    if let new = after.first(where: { !before.contains($0) }) { return "the class '\(new)' is new" }
    if before != after { return "the classes are in another order" }
    if trainingImages != other.trainingImages {
      return "\(other.trainingImages) training images, the run began with \(trainingImages)"
    }
    if validationImages != other.validationImages {
      func count(_ images: Int?) -> String { images.map { "\($0)" } ?? "no" }
      return "\(count(other.validationImages)) validation images, the run began with \(count(validationImages))"
    }
    if trainingDigest != other.trainingDigest { return "training images of other names or labels" }
    return validationDigest == other.validationDigest ? nil : "validation images of other names or labels"
  }

  private static func kind(_ data: any Dataset) -> String {
    switch data {
    case is ImageFolder: "class folders"
    case is IDXDataset: "IDX files"
    case is CIFAR10Binary: "CIFAR-10's binary files"
    case let limited as LimitedDataset: kind(limited.base)
    default: "images of another kind"
    }
  }

  private static func digest(_ data: any Dataset) -> String {
    var digest = Digest()
    for index in 0..<data.count {
      for byte in data.path(index).utf8 { digest.add(UInt64(byte)) }
      digest.add(UInt64(bitPattern: Int64(data.label(index) ?? -1)) | 1 << 63)
    }
    return digest.text
  }
}
