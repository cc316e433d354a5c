import Checkpoints
import Files
import Foundation
import Testing
import ToolTestSupport
import Training

/// A run's files as somebody else may have left them.
@Suite struct RunStateTests {
  /// The checkpoint of a run that was stopped in its second epoch.
  private struct Saved {
    let directory: String
    let last: Checkpoint
    let state: Checkpoint
    let json: [String: Any]

    init(_ directory: String) throws {
      self.directory = directory
      last = try Checkpoint(contentsOf: directory + "/last.safetensors")
      state = try Checkpoint(contentsOf: directory + "/" + (last.metadata["training_state"] ?? ""))
      let text = Data((state.metadata["training"] ?? "").utf8)
      json = try JSONSerialization.jsonObject(with: text) as? [String: Any] ?? [:]
    }

    static func tensors(_ checkpoint: Checkpoint) throws -> [(name: String, tensor: Tensor<Float>)] {
      try checkpoint.names.map { ($0, try #require(checkpoint.tensors[$0]).tensor(as: Float.self)) }
    }

    /// Writes the pair anew, with digests that agree, so that nothing but the change can be found fault with.
    func write(
      json: [String: Any]? = nil, weights: [(name: String, tensor: Tensor<Float>)]? = nil,
      state changed: [(name: String, tensor: Tensor<Float>)]? = nil, metadata: [String: String] = [:]
    ) throws {
      var json = json ?? self.json
      let weights = try weights ?? Self.tensors(last)
      let tensors = try changed ?? Self.tensors(state)
      if json["weights"] is String {
        var digest = Digest()
        for (_, tensor) in weights { digest.add(tensor) }
        json["weights"] = digest.text
      }
      let text = String(decoding: try JSONSerialization.data(withJSONObject: json), as: UTF8.self)
      try writeSafetensors(tensors, metadata: ["training": text], to: state.path)
      let digests = ["training_digest": Digest.of(json: text, tensors)]
      try writeSafetensors(
        weights, metadata: last.metadata.merging(digests) { $1 }.merging(metadata) { $1 }, to: last.path)
    }

    /// What is said when the run is to go on; `nil` if it does.
    func complaint() -> String? {
      do {
        _ = try Trainer(resuming: directory, settings: { $0 })
        return nil
      } catch { return "\(error)" }
    }
  }

  private func saved(_ scratch: Scratch, change: (inout Recipe) -> Void = { _ in }) throws -> Saved {
    try scratch.writeCIFAR("data/data_batch_1.bin", images: 30)
    try scratch.writeCIFAR(images: 10)
    var recipe = Recipe.small
    (recipe.epochs, recipe.batchSize) = (3, 10)
    change(&recipe)
    var steps = 0
    let settings = TrainingSettings(model: "resnet20-fastmpn", data: scratch.path + "/data", recipe: recipe)
    let trainer = try Trainer(settings, output: scratch.path + "/run")
    #expect(try trainer.run(onStep: { _ in steps += 1 }, shouldStop: { steps == 4 }) == .stopped)
    return try Saved(scratch.path + "/run")
  }

  /// Every place of a JSON value at which something stands.
  private func paths(_ value: Any, _ path: [String] = []) -> [[String]] {
    guard let object = value as? [String: Any] else { return [path] }
    return (path.isEmpty ? [] : [path]) + object.keys.sorted().flatMap { paths(object[$0] ?? 0, path + [$0]) }
  }

  private func changed(_ json: [String: Any], _ path: ArraySlice<String>, to value: Any?) -> [String: Any] {
    var json = json
    guard let key = path.first else { return json }
    json[key] = path.count == 1 ? value : changed(json[key] as? [String: Any] ?? [:], path.dropFirst(), to: value)
    return json
  }

  @Test func `Whatever a field says, the run goes on as it was or one line says why not`() throws {
    let scratch = try Scratch()
    let saved = try saved(scratch) { $0.averageDecay = 0.9 }
    try saved.write()
    #expect(saved.complaint() == nil)
    let hostile: [Any?] = [
      nil, NSNull(), -1, 0, 1.5, 1 << 40, Int.max, Int.min, -1e300, "", "nan", "x\u{1B}[2J", true, [] as [Any],
      [1, 2] as [Any], [:] as [String: Any],
    ]
    var (tried, refused) = (0, 0)
    for path in paths(saved.json) {
      for value in hostile {
        try saved.write(json: changed(saved.json, path[...], to: value))
        tried += 1
        guard let complaint = saved.complaint() else { continue }
        refused += 1
        // A data directory that is not there is named instead.
        let isLocated = complaint.contains(scratch.path) || path == ["settings", "data"]
        #expect(!complaint.contains("\n") && isLocated, "\(path): \(complaint)")
      }
    }
    // What may be otherwise: seconds, names and the like, or a value that is what it was.
    #expect(tried > 500 && refused > tried * 3 / 4, "\(refused) of \(tried)")
  }

  @Test(
    arguments: [
      (["epoch"], -1, "epoch must be from 0 to 3, found -1"), (["epoch"], 4, "epoch must be from 0 to 3, found 4"),
      (["epoch"], 2, "records must be those of the 2 epochs"), (["step"], 4, "step must be from 0 to 3, found 4"),
      (["step"], -1, "step must be from 0 to 3"),
      (["sums", "images"], 11, "sums.images must be from 0 to 10, found 11"),
      (["sums", "correct"], 11, "sums.correct must be from 0 to 10"),
      (["threads"], 0, "threads must be from 1 to 1024"),
      (["settings", "recipe", "batchSize"], 0, "batchSize must be from 1 to 65536, not 0"),
      (["settings", "recipe", "epochs"], 1 << 40, "epochs must be from 1 to 1000000"),
      (["settings", "recipe", "augmentation", "padding"], -4, "augmentation.padding must be from 0 to 1024"),
      (["configuration", "covariance", "dimension"], 1 << 30, "configuration.dimension is 1073741824, that of"),
      (["configuration", "classes"], 1 << 40, "configuration.classes is 1099511627776"),
      (["configuration", "backbone"], 21, "configuration.backbone: Expected to decode String"),
      (["configuration", "input", "crop"], 0, "its configuration is that of no network of the zoo"),
      (["configuration", "input", "resize"], 1, "configuration.input.resize: "),
      (["format"], 2, "its state is of format 2, this version reads 3"),
      (["data", "trainingImages"], 1 << 62, "data.trainingImages must be from 1 to 1099511627776"),
    ] as [([String], Int, String)])
  func `Numbers are checked for themselves and among each other`(path: [String], value: Int, wanted: String) throws {
    let scratch = try Scratch()
    let saved = try saved(scratch)
    try saved.write(json: changed(saved.json, path[...], to: value))
    #expect(saved.complaint()?.contains(wanted) == true, "\(saved.complaint() ?? "goes on")")
  }

  @Test func `Tensors are all there, with their shapes, finite, and no others`() throws {
    for optimizer in [Recipe.OptimizerKind.sgd, .adamw] {
      let scratch = try Scratch()
      let saved = try saved(scratch) { $0.optimizer = optimizer }
      let (weights, state) = (try Saved.tensors(saved.last), try Saved.tensors(saved.state))
      let first = state[0]
      func complaint(_ change: (inout [(name: String, tensor: Tensor<Float>)]) -> Void) throws -> String {
        var changed = state
        change(&changed)
        try saved.write(state: changed)
        return saved.complaint() ?? "goes on"
      }
      let missing = try complaint { $0.removeFirst() }
      #expect(missing.contains("it holds no \(first.name)"), "\(missing)")
      #expect(try complaint { $0.removeAll() }.contains("it holds no optimizer."))
      #expect(try complaint { $0[0].name = "optimizer.other" }.contains("a tensor 'optimizer.other' that"))
      #expect(try complaint { $0.append(("more", Tensor([1], [0]))) }.contains("a tensor 'more' that"))
      #expect(try complaint { $0[0].tensor = Tensor([1, 1], [0]) }.contains("has shape [1, 1], expected"))
      #expect(
        try complaint { $0[0].tensor = Tensor(first.tensor.shape, repeating: .nan) }.contains(
          "\(first.name) is not finite"))
      if optimizer == .adamw {
        let index = try #require(state.firstIndex { $0.name == "optimizer.steps" })
        #expect(try complaint { $0[index].tensor = Tensor(-3) }.contains("optimizer.steps is -3.0"))
        let square = try #require(state.firstIndex { $0.name.hasPrefix("optimizer.square.") })
        let shape = state[square].tensor.shape
        #expect(try complaint { $0[square].tensor = Tensor(shape, repeating: -1) }.contains("negative numbers"))
      }
      try saved.write(weights: Array(weights.dropFirst()))
      #expect(
        saved.complaint()?.contains("conv1.weight") == true || saved.complaint()?.contains("inputChannels") == true)
      try saved.write(weights: weights + [("more", Tensor([1], [0]))])
      #expect(saved.complaint()?.contains("a tensor 'more' that the network has not") == true)
      try saved.write()
      #expect(saved.complaint() == nil)
    }
  }

  @Test func `Weights of one run and momentum of another do not go together`() throws {
    let scratch = try Scratch()
    let saved = try saved(scratch)
    let other = try Scratch()
    let second = try self.saved(other)
    // The other run's weights under this one's name, which tells of this one's state.
    try writeSafetensors(
      try Saved.tensors(second.last), metadata: second.last.metadata.merging(["training_state": "x"]) { a, _ in a },
      to: saved.last.path)
    #expect(saved.complaint() != nil)
    var metadata = second.last.metadata
    metadata["training_state"] = saved.last.metadata["training_state"]
    try writeSafetensors(try Saved.tensors(second.last), metadata: metadata, to: saved.last.path)
    #expect(saved.complaint()?.contains("it is of another run than") == true)
    metadata["run"] = saved.last.metadata["run"]
    try writeSafetensors(try Saved.tensors(second.last), metadata: metadata, to: saved.last.path)
    #expect(saved.complaint()?.contains("was changed since they were written together") == true)
  }

  @Test func `A change within every range is noticed all the same`() throws {
    let scratch = try Scratch()
    let saved = try saved(scratch)
    let json = changed(saved.json, ["settings", "recipe", "momentum"], to: 0.5)
    let text = String(decoding: try JSONSerialization.data(withJSONObject: json), as: UTF8.self)
    try writeSafetensors(try Saved.tensors(saved.state), metadata: ["training": text], to: saved.state.path)
    #expect(saved.complaint()?.contains("was changed since they were written together") == true)
  }

  @Test func `The name of the state cannot lead elsewhere`() throws {
    let scratch = try Scratch()
    let saved = try saved(scratch)
    for name in ["../x", "/etc/passwd", "state-x.safetensors", "", "last.safetensors", "state-0-1.safetensors"] {
      try saved.write(metadata: ["training_state": name])
      #expect(saved.complaint()?.contains("it names no training state of this version") == true)
    }
  }
}
