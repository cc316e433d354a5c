import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite("Files that PyTorch and MindSpore wrote")
struct GoldenTests {
  @Test("every PyTorch fixture has the golden names, types, shapes and values", arguments: Fixtures.torch)
  func torch(file: String) throws {
    let golden: Golden = try Fixtures.json("checkpoints.json")
    let checkpoint = try Checkpoint(contentsOf: Fixtures.path(file))
    #expect(checkpoint.container == (file.contains("legacy") ? .pytorchLegacy : .pytorchZip))
    #expect(checkpoint.tensors.count == golden.tensors.count)
    #expect(Set(checkpoint.names) == Set(checkpoint.tensors.keys))
    #expect(checkpoint.names.first == "conv1.weight" && checkpoint.names.last == "scalar")
    for (key, expected) in golden.tensors {
      try check(checkpoint, String(key.dropFirst("module.".count)), expected)
    }
    try checkpoint.verifyChecksums()
  }

  @Test("the scalars beside a state dict are its metadata", arguments: Fixtures.torch.prefix(3))
  func torchMetadata(file: String) throws {
    let checkpoint = try Checkpoint(contentsOf: Fixtures.path(file))
    #expect(checkpoint.metadata == ["epoch": "100", "arch": "resnet18_mpncov", "best_acc1": "75.48"])
  }

  @Test("a bare state dict has no metadata", arguments: Fixtures.torch.suffix(2))
  func bareMetadata(file: String) throws {
    #expect(try Checkpoint(contentsOf: Fixtures.path(file)).metadata.isEmpty)
  }

  @Test("an integer beyond the precision of Double is read exactly")
  func integers() throws {
    let checkpoint = try Checkpoint(contentsOf: Fixtures.path("torch_zip.pth.tar"))
    #expect(try checkpoint.tensors["bn1.num_batches_tracked"]?.integers() == [1_234_567_890_123])
    #expect(try checkpoint.tensors["bool"]?.integers() == [1, 0, 1])
    #expect(throws: CheckpointError.self) { _ = try checkpoint.tensors["half"]?.integers() }
  }

  @Test("aligned single-precision numbers of a zip file are borrowed, not copied")
  func borrowing() throws {
    let checkpoint = try Checkpoint(contentsOf: Fixtures.path("torch_zip.pth.tar"))
    let stored = try #require(checkpoint.tensors["conv1.weight"])
    // Two copies that live at the same time would lie at two addresses.
    let tensors = [try stored.tensor(as: Float.self), try stored.tensor(as: Float.self)]
    let addresses = tensors.map { $0.withUnsafeScalars { $0.baseAddress } }
    #expect(addresses[0] == addresses[1])
  }

  @Test("a borrowed tensor outlives its checkpoint")
  func lifetime() throws {
    var checkpoint: Checkpoint? = try Checkpoint(contentsOf: Fixtures.path("torch_zip.pth.tar"))
    let tensor = try #require(checkpoint?.tensors["bn1.weight"]).tensor(as: Float.self)
    checkpoint = nil
    #expect(tensor.scalars.first == 0.00125795603)
  }

  @Test("the MindSpore fixture has the golden names, types, shapes and values")
  func mindSpore() throws {
    let golden: Golden = try Fixtures.json("mindspore.json")
    let checkpoint = try Checkpoint(contentsOf: Fixtures.path(Fixtures.mindspore))
    #expect(checkpoint.container == .mindspore)
    #expect(Set(checkpoint.names) == Set(golden.tensors.keys))
    for (name, expected) in golden.tensors { try check(checkpoint, name, expected) }
    #expect(checkpoint.metadata == ["epoch_num": "100", "step_num": "500400"])
  }

  static let trained = ["resnet20-12fca82f.th": 269_722, "resnet32-d509ac18.th": 464_154]
  static let hasTrained = trained.keys.allSatisfy { externalData("data/checkpoints/\($0)") != nil }

  @Test(
    "legacy checkpoints that others trained load", .enabled(if: hasTrained, "COVPOOL_TEST_DATA has no such files"),
    arguments: trained)
  func foreign(file: String, parameters: Int) throws {
    let checkpoint = try Checkpoint(contentsOf: try #require(externalData("data/checkpoints/\(file)")).path)
    #expect(checkpoint.container == .pytorchLegacy)
    #expect(checkpoint.names.first == "conv1.weight")
    let counts = checkpoint.tensors.filter { name, _ in !["mean", "var", "tracked"].contains { name.hasSuffix($0) } }
      .map(\.value.shape.scalarCount)
    #expect(counts.reduce(0, +) == parameters)
    #expect(try checkpoint.tensors.values.allSatisfy { try $0.scalars.allSatisfy(\.isFinite) })
  }

  private func check(_ checkpoint: Checkpoint, _ name: String, _ expected: Golden.Entry) throws {
    let tensor = try #require(checkpoint.tensors[name], "\(name) is missing")
    #expect(tensor.type.rawValue == expected.dtype.lowercased(), "\(name)")
    #expect(tensor.shape.dimensions == expected.shape, "\(name)")
    // Golden values have nine digits, which identify a Float, but not a Double.
    if tensor.type == .float64 {
      for (found, value) in zip(try tensor.scalars, expected.values) { #expect(abs(found - value) <= 5e-10, "\(name)") }
    } else {
      #expect(try tensor.tensor(as: Float.self).scalars == expected.values.map(Float.init), "\(name)")
    }
    #expect(try tensor.scalars.count == expected.values.count, "\(name)")
  }
}
