/// Which part of a checkpoint's names are the network's, where training programs put it below a name of their own
/// (`model.conv1.weight`) or beside other networks (`teacher.`, `student.`).
struct CheckpointScope {
  /// What stands before the names of the network.
  let prefix: String
  /// What the user should know of the choice.
  private(set) var notes: [String] = []
  private let head: String?

  /// Prefixes in the order in which they are preferred.
  private static let known = ["model.", "net.", "network.", "backbone.", "encoder.", "student.", "ema.", "teacher."]
  /// Tensors by which a residual network is known.
  private static let marks = ["conv1.weight", "layer1.0.conv1.weight"]

  init(_ names: [String], in path: String) {
    let all = Set(names)
    guard !all.contains(Self.marks[0]) || !all.contains(Self.marks[1]) else {
      (prefix, head) = ("", nil)
      return
    }
    let found = names.filter { $0.hasSuffix("." + Self.marks[1]) }.map { String($0.dropLast(Self.marks[1].count)) }
      .filter { all.contains($0 + Self.marks[0]) }
    let ranked = found.enumerated().sorted { a, b in
      let (first, second) = (Self.rank(a.element), Self.rank(b.element))
      return (first, a.element.count, a.offset) < (second, b.element.count, b.offset)
    }.map(\.element)
    guard let chosen = ranked.first else {
      (prefix, head) = ("", nil)
      return
    }
    prefix = chosen
    // OpenMMLab keeps the classifier apart from the rest.
    let outside = chosen.split(separator: ".").dropLast().joined(separator: ".")
    let classifier = (outside.isEmpty ? "" : outside + ".") + "head."
    head = chosen.hasSuffix("backbone.") && all.contains(classifier + "fc.weight") ? classifier : nil
    if ranked.count > 1 {
      let others = ranked.dropFirst().prefix(4).map { "'\($0)'" }.joined(separator: ", ")
      notes.append("\(path): took the network below '\(chosen)'; the file also holds \(others)")
    }
    let left = names.count { name($0) == nil }
    if left > 0, ranked.count == 1 {
      notes.append("\(path): took the network below '\(chosen)'; \(left) tensors elsewhere are left out")
    }
  }

  private static func rank(_ prefix: String) -> Int { known.firstIndex(of: prefix) ?? known.count }

  /// A tensor's name within the network; `nil` for one that is elsewhere.
  func name(_ name: String) -> String? {
    if prefix.isEmpty { return name }
    if name.hasPrefix(prefix) { return String(name.dropFirst(prefix.count)) }
    if let head, name.hasPrefix(head) { return String(name.dropFirst(head.count)) }
    return nil
  }
}
