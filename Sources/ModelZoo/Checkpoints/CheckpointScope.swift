/// Which architecture's a checkpoint is, and which part of its names are the network's, where training programs put it below
/// a name of their own (`model.conv1.weight`) or beside other networks (`teacher.`, `student.`).
struct CheckpointScope {
  /// `nil` where the names are those of no architecture.
  let architecture: (any Architecture.Type)?
  /// What stands before the names of the network.
  private(set) var prefix = ""
  /// What the user should know of the choice.
  private(set) var notes: [String] = []
  private var head: String?

  /// Prefixes in the order in which they are preferred.
  private static let known = ["model.", "net.", "network.", "backbone.", "encoder.", "student.", "ema.", "teacher."]

  init(_ names: [String], in path: String) {
    let all = Set(names)
    let plain = Zoo.architectures.first { $0.marks.allSatisfy(all.contains) }
    guard plain == nil, let architecture = Zoo.architectures.first(where: { !Self.prefixes($0, names, all).isEmpty })
    else {
      // With the first weight alone it may be a damaged file of that architecture, whose tensors are listed then.
      self.architecture = plain ?? Zoo.architectures.first { all.contains($0.marks[0]) }
      return
    }
    self.architecture = architecture
    let ranked = Self.prefixes(architecture, names, all)
    prefix = ranked[0]
    // OpenMMLab keeps the classifier apart from the rest.
    let outside = prefix.split(separator: ".").dropLast().joined(separator: ".")
    let classifier = (outside.isEmpty ? "" : outside + ".") + "head."
    head = prefix.hasSuffix("backbone.") && all.contains(classifier + "fc.weight") ? classifier : nil
    if ranked.count > 1 {
      let others = ranked.dropFirst().prefix(4).map { "'\($0)'" }.joined(separator: ", ")
      notes.append("\(path): took the network below '\(prefix)'; the file also holds \(others)")
    }
    let left = names.count { name($0) == nil }
    if left > 0, ranked.count == 1 {
      notes.append("\(path): took the network below '\(prefix)'; \(left) tensors elsewhere are left out")
    }
  }

  /// What stands before the marks of an architecture, the preferred first.
  private static func prefixes(
    _ architecture: any Architecture.Type, _ names: [String], _ all: Set<String>
  ) -> [String] {
    let marks = architecture.marks
    guard let last = marks.last else { return [] }
    let found = names.filter { $0.hasSuffix("." + last) }.map { String($0.dropLast(last.count)) }
      .filter { prefix in marks.allSatisfy { all.contains(prefix + $0) } }
    return found.enumerated().sorted { a, b in
      let (first, second) = (rank(a.element), rank(b.element))
      return (first, a.element.count, a.offset) < (second, b.element.count, b.offset)
    }.map(\.element)
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
