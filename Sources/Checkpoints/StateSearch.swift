/// Looks for the state dict in what a pickle holds: the dictionary with the most tensors, however programs wrapped it.
struct StateSearch {
  /// How much a value looks like a state dict: one of named weights before one of numbered tensors, then by their count.
  struct Score: Comparable {
    var hasWeights: Bool
    var tensors: Int

    static func < (a: Score, b: Score) -> Bool {
      (a.hasWeights ? 1 : 0, a.tensors) < (b.hasWeights ? 1 : 0, b.tensors)
    }
  }

  private let heap: PickleHeap
  private var own: [Int: Score?] = [:]
  private var all: [Int: Score?] = [:]
  private static let levels = 5

  init(_ heap: PickleHeap) { self.heap = heap }

  /// The tensors that a dictionary itself holds; `nil` where there are none.
  mutating func ownScore(_ dictionary: Int) -> Score? {
    if let known = own[dictionary] { return known }
    var score = Score(hasWeights: false, tensors: 0)
    let items = heap.containers[dictionary]
    for place in stride(from: 0, to: items.count - 1, by: 2) {
      guard case .tensor(let index) = items[place + 1], !heap.tensors[index].dimensions.isEmpty else { continue }
      score.tensors += 1
      if case .string(let name) = items[place], name == "weight" || name.hasSuffix(".weight") {
        score.hasWeights = true
      }
    }
    let found = score.tensors > 0 ? score : nil
    own[dictionary] = .some(found)
    return found
  }

  /// The best of what a value holds, at any of a few levels; `nil` where there are no tensors.
  mutating func score(_ value: PickleValue) -> Score? { score(value, level: 0) }

  private mutating func score(_ value: PickleValue, level: Int) -> Score? {
    guard level < Self.levels else { return nil }
    let (index, isDictionary): (Int, Bool)
    switch value {
    case .dictionary(let found): (index, isDictionary) = (found, true)
    // A few networks may lie in a list; a long list holds other things.
    case .list(let found), .tuple(let found):
      guard heap.containers[found].count <= 16 else { return nil }
      (index, isDictionary) = (found, false)
    default: return nil
    }
    let key = index * Self.levels + level
    if let known = all[key] { return known }
    all[key] = .some(nil)  // a value may contain itself
    var best = isDictionary ? ownScore(index) : nil
    for item in heap.containers[index] {
      guard let inner = score(item, level: level + 1), best.map({ inner > $0 }) ?? true else { continue }
      best = inner
    }
    all[key] = .some(best)
    return best
  }

  /// The value that holds the best, of those of a list.
  mutating func best(of values: [PickleValue]) -> PickleValue? {
    var (chosen, most): (PickleValue?, Score?) = (nil, nil)
    for value in values.prefix(1024) {
      guard let score = score(value), most.map({ score > $0 }) ?? true else { continue }
      (chosen, most) = (value, score)
    }
    return chosen
  }
}
