/// Some images of a data set, in its order.
public struct LimitedDataset: Dataset {
  /// The data set that they are of.
  public let base: any Dataset
  private let indices: [Int]
  public let summary: String

  fileprivate init(_ base: any Dataset, _ indices: [Int], summary: String) {
    (self.base, self.indices, self.summary) = (base, indices, summary)
  }

  public var count: Int { indices.count }
  public var classNames: [String]? { base.classNames }
  public var labelKind: LabelKind { base.labelKind }
  public var warnings: [String] { base.warnings }
  public func label(_ index: Int) -> Int? { base.label(indices[index]) }
  public func path(_ index: Int) -> String { base.path(indices[index]) }
  public func image(_ index: Int) throws -> Image { try base.image(indices[index]) }
}

extension Dataset {
  /// At most `limit` images, the same ones every time: the first ones of each class, as many of each as there are to have,
  /// so that folders in the order of their names do not leave one class; the first ones where there are no labels.
  public func limited(to limit: Int?) -> any Dataset {
    guard let limit, limit < count else { return self }
    let labels = (0..<count).map(label)
    guard labels.allSatisfy({ $0 != nil }) else {
      return LimitedDataset(self, Array(0..<limit), summary: summary + ", the first \(limit)")
    }
    let classes = Dictionary(grouping: 0..<count) { labels[$0] ?? 0 }.sorted { $0.key < $1.key }.map(\.value)
    var chosen: [Int] = []
    for round in 0... {
      let next = classes.filter { $0.count > round }.map { $0[round] }
      let room = limit - chosen.count
      guard next.count < room else {
        // What is left goes to classes that are equally far apart.
        chosen += (0..<room).map { next[$0 * next.count / room] }
        break
      }
      chosen += next
    }
    let spread = Set(chosen.map { labels[$0] ?? 0 }).count
    return LimitedDataset(
      self, chosen.sorted(), summary: summary + ", \(limit) of them from \(spread) of \(classes.count) classes")
  }
}
