import Files
import ModelZoo

/// `--confusion`: a row for each class that has images, with its accuracy and what its images were taken for.
struct ConfusionFile {
  let table: ConfusionTable
  /// Classes of the network.
  let classes: Int
  /// The classes' names, where they are known.
  let classNames: [String]?

  func write(to path: String) throws {
    func name(_ index: Int) -> String {
      guard let classNames, classNames.indices.contains(index) else { return "\(index)" }
      return classNames[index]
    }
    let classes = 0..<classes
    var text =
      (["label", "name", "images", "correct", "accuracy"] + classes.map { csvField(name($0)) }).joined(separator: ",")
      + "\n"
    for label in table.labels {
      guard let accuracy = table.accuracy(label) else { continue }
      let start = [
        "\(label)", csvField(name(label)), "\(table.images(label))", "\(table[label, label])",
        "\((accuracy * 1000).rounded() / 1000)",
      ]
      text += (start + classes.map { "\(table[label, $0])" }).joined(separator: ",") + "\n"
    }
    try writeAtomically(text, to: path)
  }
}
