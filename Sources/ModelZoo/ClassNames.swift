import Foundation

/// Names of the classes of small data sets, and the form in which checkpoints hold such names.
enum ClassNames {
  static let cifar10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
  static let fashionMNIST = [
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
  ]

  static func decode(_ text: String?) -> [String]? {
    text.flatMap { try? JSONDecoder().decode([String].self, from: Data($0.utf8)) }
  }

  static func decodeNumbers(_ text: String?) -> [Float]? {
    text.flatMap { try? JSONDecoder().decode([Float].self, from: Data($0.utf8)) }
  }

  static func encode(_ names: [String]) -> String? {
    (try? JSONEncoder().encode(names)).map { String(decoding: $0, as: UTF8.self) }
  }
}
