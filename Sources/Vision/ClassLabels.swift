/// What a data set's labels are.
public enum LabelKind: String, Sendable {
  /// ImageNet's indices, by WordNet identifiers.
  case wordNet = "ImageNet's, by WordNet identifiers"
  /// Positions among the classes that were given, by their names.
  case named = "the network's classes, by their names"
  /// Positions of the sorted folder names, whatever they mean.
  case sorted = "positions of the sorted folder names"
  /// As the data's own files say.
  case given = "given with the data"
  /// None.
  case none = "no labels"
}

/// The labels of class folders, by what they are called.
struct ClassLabels {
  let kind: LabelKind
  /// For each folder.
  let labels: [Int]
  /// Why folders that are called like classes are numbered all the same, where that is so.
  var warning: String?

  /// - Parameters:
  ///   - folders: their names, sorted.
  ///   - wordNetIndex: the class of each WordNet identifier. A folder may add a name, `n02085620-Chihuahua`.
  ///   - known: the classes that labels are positions of.
  ///   - takesMixed: whether folders are numbered where some are called like classes and others are not, which is what
  ///     training can do and evaluation must not.
  /// - Throws: `DatasetError.mixedClasses`.
  init(
    of folders: [String], in root: String, wordNetIndex: [String: Int], known: [String], takesMixed: Bool
  ) throws(DatasetError) {
    // By bytes: two names may be one text to Unicode and two folders.
    let exact = Dictionary(known.enumerated().map { (Array($1.utf8), $0) }, uniquingKeysWith: { first, _ in first })
    // In other capitals a name counts where it can mean one class only.
    let relaxed = Dictionary(grouping: known.indices) { known[$0].lowercased() }.compactMapValues { places in
      places.count == 1 ? places[0] : nil
    }
    let ways: [(LabelKind, String, [Int?])] = [
      (.wordNet, "WordNet identifiers of ImageNet's classes", folders.map { wordNetIndex[Self.wordNetID($0) ?? ""] }),
      (.named, "classes of the network", folders.map { exact[Array($0.utf8)] ?? relaxed[$0.lowercased()] }),
    ]
    for (kind, _, found) in ways {
      let labels = found.compactMap { $0 }
      if labels.count == folders.count {
        (self.kind, self.labels) = (kind, labels)
        return
      }
    }
    (kind, labels) = (.sorted, Array(folders.indices))
    let most = ways.max { Self.count($0.2) < Self.count($1.2) }
    guard let (_, what, found) = most, Self.count(found) > 0 else { return }
    let others = zip(folders, found).filter { $1 == nil }.map { "'\($0.0)'" }
    let shown = others.prefix(3).joined(separator: ", ") + (others.count > 3 ? " and \(others.count - 3) more" : "")
    let text = "\(Self.count(found)) of \(folders.count) folders are called by \(what), but not \(shown)"
    guard takesMixed else { throw .mixedClasses(root, reason: text) }
    warning = "\(root): \(text); labels are positions of the sorted folder names"
  }

  private static func count(_ labels: [Int?]) -> Int { labels.count { $0 != nil } }

  /// `n02085620` of `n02085620` or `n02085620-Chihuahua`.
  private static func wordNetID(_ folder: String) -> String? {
    let units = Array(folder.utf8)
    guard units.count >= 9, units[0] == UInt8(ascii: "n"), units[1..<9].allSatisfy({ (0x30...0x39).contains($0) }),
      units.count == 9 || "-_ .".utf8.contains(units[9])
    else { return nil }
    return String(decoding: units.prefix(9), as: UTF8.self)
  }
}
