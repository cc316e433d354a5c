import Checkpoints
import Tensors

extension Module {
  /// Takes the module's tensors from a checkpoint of any container, by name.
  ///
  /// Loading is strict: every tensor must be in the file with its shape, and the file may hold no others, but for those that
  /// training alone uses.
  /// - Parameters:
  ///   - path: the file.
  ///   - prefix: what stands before the module's names in the file; tensors without it are left out.
  ///   - rename: the module's name for a tensor of the file; `nil` for one that is not wanted.
  /// - Returns: what was loaded, and what a careful user should know.
  /// - Throws: `CheckpointError` for a file that cannot be read, `LoadError` for one that does not fit; then the module is as
  ///   it was.
  @discardableResult
  public mutating func load(
    contentsOf path: String, prefix: String = "", rename: (String) -> String? = { $0 }
  ) throws -> LoadReport {
    let checkpoint = try Checkpoint(contentsOf: path)
    try checkpoint.verifyChecksums()
    var tensors: [String: StoredTensor] = [:]
    for name in checkpoint.names where name.hasPrefix(prefix) && !name.hasSuffix("num_batches_tracked") {
      guard let own = rename(String(name.dropFirst(prefix.count))), let tensor = checkpoint.tensors[name] else {
        continue
      }
      if let other = tensors.updateValue(tensor, forKey: own) {
        throw LoadError.sameName(path: path, name: own, tensors: [other.name, name])
      }
    }
    var report = LoadReport()
    report.metadata = checkpoint.metadata
    report.warnings = checkpoint.notes
    var loaded = self
    try loaded.fill(from: tensors, &report)
    report.warnings += report.suspicions(in: path)
    if let name = report.missing.first(where: { checkpoint.unread[prefix + $0] != nil }),
      let kind = checkpoint.unread[prefix + name]
    {
      throw LoadError.unread(path: path, name: name, kind: kind)
    }
    guard report.isComplete else {
      throw LoadError.mismatch(path: path, model: "\(Self.self)", report: report, suggestion: nil)
    }
    self = loaded
    return report
  }

  /// Takes what tensors there are and notes in the report what became of each.
  mutating func fill(from tensors: [String: StoredTensor], _ report: inout LoadReport) throws {
    var unused = Set(tensors.keys)
    var failure: (any Error)?
    var found = report
    forEachTensor { description, tensor in
      guard failure == nil else { return }
      unused.remove(description.name)
      guard let stored = tensors[description.name] else {
        guard description.role == .trainingParameter else { return found.missing.append(description.name) }
        tensor = description.initializer.values(tensor.shape, RandomStream(seed: 0, name: description.name))
        return
      }
      guard stored.shape == tensor.shape || Self.fits(stored.shape, description, tensor.shape) else {
        found.mismatched.append(LoadReport.Mismatch(key: stored.name, expected: tensor.shape, found: stored.shape))
        return
      }
      do {
        tensor = try stored.tensor(as: Scalar.self).reshaped(to: tensor.shape.dimensions)
        found.loaded.append(description.name)
        if !tensor.isFinite { found.notFinite.append(stored.name) }
        if description.name.hasSuffix("running_var"), tensor.scalars.contains(where: { $0 < 0 }) {
          found.negativeVariances.append(stored.name)
        }
      } catch { failure = error }
    }
    if let failure { throw failure }
    found.unexpected = unused.sorted()
    report = found
  }

  /// Whether a tensor of another rank holds the same: MindSpore keeps the attention's filter as `[1, 1, 1, 3]`.
  private static func fits(_ found: Shape, _ description: TensorDescription, _ expected: Shape) -> Bool {
    description.role == .trainingParameter && found.scalarCount == expected.scalarCount
      && found.filter { $0 != 1 } == expected.filter { $0 != 1 }
  }
}

extension LoadReport {
  /// What makes results worthless, in words.
  func suspicions(in path: String) -> [String] {
    var warnings: [String] = []
    if let name = negativeVariances.first {
      warnings.append("\(path) holds negative variances in \(name), which give NaN; no result can be trusted")
    }
    if !notFinite.isEmpty {
      let shown = notFinite.prefix(3).joined(separator: ", ")
      let more = notFinite.count > 3 ? " and \(notFinite.count - 3) more" : ""
      warnings.append("\(path) holds NaN or infinite values in \(shown)\(more); no result can be trusted")
    }
    return warnings
  }
}
