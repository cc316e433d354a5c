/// Finds the state dict in what a PyTorch pickle holds, and its tensors' bytes in the file.
struct PyTorchReader {
  let file: FileBytes
  let heap: PickleHeap
  /// Where a storage's bytes lie: at least as many as it is said to have.
  let locate: (PickleStorage) throws -> Range<Int>
  let isBigEndian: Bool

  /// Under what training programs put the state dict beside other things, the most specific name first.
  private static let wrappers = [
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params",
    "state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema",
  ]

  /// The tensors in the dictionary's order and what is said beside the state dict.
  func contents(of root: PickleValue, container: Checkpoint.Container) throws -> Checkpoint.Contents {
    var (metadata, notes) = ([String: String](), [String]())
    var value = root
    var search = StateSearch(heap)
    for _ in 0..<6 {
      switch value {
      case .dictionary(let index):
        let items = pairs(of: index)
        let wrapped = wrapped(in: items, of: index, &search, &notes)
        for (key, value) in items {
          guard case .string(let name) = key else { continue }
          if let text = try description(of: value, named: name, isState: wrapped == nil) { metadata[name] = text }
        }
        if let wrapped {
          value = wrapped
          continue
        }
        let (tensors, unread) = try stateDict(items)
        guard !tensors.isEmpty else { throw nothing(in: items) }
        return Checkpoint.Contents(
          container: container, tensors: tensors, metadata: metadata, notes: notes, unread: unread)
      case .list(let index), .tuple(let index):
        guard let best = search.best(of: heap.containers[index]) else {
          throw CheckpointError.noStateDict(path: file.path, found: value.kind)
        }
        value = best
        continue
      default: break
      }
      break
    }
    if case .foreign(let name) = value { throw forbidden(name) }
    if case .global(.foreign(let name)) = value { throw forbidden(name) }
    throw CheckpointError.noStateDict(path: file.path, found: value.kind)
  }

  private func forbidden(_ name: Int) -> CheckpointError {
    .forbiddenGlobal(path: file.path, global: printable(heap.foreignNames[name]))
  }

  /// The error for a dictionary without tensors; where a class of somebody's holds what is looked for, that is named.
  private func nothing(in items: [(key: PickleValue, value: PickleValue)]) -> CheckpointError {
    for name in Self.wrappers {
      for (key, value) in items {
        if case .string(name) = key, case .foreign(let index) = value { return forbidden(index) }
      }
    }
    return .noStateDict(path: file.path, found: summary(items))
  }

  /// The state dict, or what it is in, among the items of a dictionary that is not the state dict itself: under a name
  /// that is in use for it, or else what has the most tensors.
  private func wrapped(
    in items: [(key: PickleValue, value: PickleValue)], of dictionary: Int, _ search: inout StateSearch,
    _ notes: inout [String]
  ) -> PickleValue? {
    // Each dictionary once: a pickle can refer to one of many items by many keys.
    var seen: Set<Int> = []
    let others = items.filter { item in
      guard case .dictionary(let index) = item.value else { return search.score(item.value) != nil }
      return seen.insert(index).inserted && search.score(item.value) != nil
    }
    guard let most = others.compactMap({ search.score($0.value) }).max() else { return nil }
    // A state dict's own tensors are more than those of anything in it.
    if let own = search.ownScore(dictionary), own >= most { return nil }
    let known = Self.wrappers.compactMap { name in
      others.last { if case .string(name) = $0.key { true } else { false } }
    }
    guard let chosen = known.first ?? others.first(where: { search.score($0.value) == most }) else { return nil }
    note(chosen, among: known.isEmpty ? others : known, &notes)
    return chosen.value
  }

  /// Says what was taken where there was a choice.
  private func note(
    _ chosen: (key: PickleValue, value: PickleValue), among all: [(key: PickleValue, value: PickleValue)],
    _ notes: inout [String]
  ) {
    guard all.count > 1, case .string(let name) = chosen.key else { return }
    let others = all.compactMap { if case .string(let other) = $0.key, other != name { quoted(other) } else { nil } }
    notes.append("\(file.path): took \(quoted(name)); the file also holds \(others.prefix(4).joined(separator: ", "))")
  }

  private func pairs(of dictionary: Int) -> [(key: PickleValue, value: PickleValue)] {
    let items = heap.containers[dictionary]
    return stride(from: 0, to: items.count, by: 2).map { (items[$0], items[$0 + 1]) }
  }

  /// The tensors of a dictionary, and those of kinds that are not read, by name with the class that makes them. What is no
  /// tensor (a module's `_extra_state`) is left out.
  private func stateDict(
    _ items: [(key: PickleValue, value: PickleValue)]
  ) throws -> (tensors: [StoredTensor], unread: [String: String]) {
    var (tensors, unread) = ([StoredTensor](), [String: String]())
    for (key, value) in items {
      if case .foreign(let index) = value, case .string(let name) = key {
        guard unread.count < file.entryLimit else { continue }
        unread[name] = heap.foreignNames[index]
      }
      guard case .tensor(let index) = value else { continue }
      guard case .string(let name) = key else { throw file.malformed("its state dict names a tensor by \(key.kind)") }
      guard tensors.count < file.entryLimit else {
        throw file.malformed("its state dict has more than \(file.entryLimit) tensors")
      }
      tensors.append(try tensor(index, named: name))
    }
    return (tensors, unread)
  }

  private func tensor(_ index: Int, named name: String) throws -> StoredTensor {
    let tensor = heap.tensors[index]
    let storage = heap.storages[tensor.storage]
    let width = storage.type.byteWidth
    // The storage has as many bytes, so these products are sizes within the file.
    let bytes = try locate(storage)
    let view = bytes.lowerBound + storage.view.lowerBound * width..<bytes.lowerBound + storage.view.upperBound * width
    return try StoredTensor(
      name: name, dimensions: tensor.dimensions, strides: tensor.strides, offset: tensor.offset, type: tensor.type,
      storage: view, isBigEndian: isBigEndian, in: file)
  }

  /// A scalar as text; `nil` for what is none. A state dict's own tensors of one number are no metadata.
  private func description(of value: PickleValue, named name: String, isState: Bool) throws -> String? {
    switch value {
    case .bool(let value): return "\(value)"
    case .integer(let value): return "\(value)"
    case .real(let value): return "\(value)"
    case .string(let value): return value
    case .tensor(let index) where !isState && heap.tensors[index].dimensions.allSatisfy { $0 == 1 }:
      return try tensor(index, named: name).scalarDescription
    default: return nil
    }
  }

  private func summary(_ items: [(key: PickleValue, value: PickleValue)]) -> String {
    guard !items.isEmpty else { return "an empty dictionary" }
    let keys = items.prefix(8).map { if case .string(let name) = $0.key { quoted(name) } else { $0.key.kind } }
    return "a dictionary with the keys \(keys.joined(separator: ", "))\(items.count > 8 ? ", …" : "")"
  }
}

extension StoredTensor {
  /// The only number as text, exactly; single precision with the digits it has.
  var scalarDescription: String? {
    get throws {
      guard shape.scalarCount == 1 else { return nil }
      if type == .bool { return try integers()[0] != 0 ? "true" : "false" }
      if !type.isFloatingPoint { return type == .uint64 ? nil : "\(try integers()[0])" }
      return type == .float64 ? "\(try scalars[0])" : "\(Float(try scalars[0]))"
    }
  }
}
