import Checkpoints
import Foundation
import ModelZoo
import TestSupport
import Testing
import ToolTestSupport

/// Networks below names of the programs that trained them.
@Suite struct CheckpointScopeTests {
  /// Loads a file of the network's tensors under other names, and what `more` adds.
  private func load(
    _ more: [String] = [], head: PublishedHead = .gap, _ rename: (String) -> String
  ) throws -> (AnyNetwork<Float>, LoadReport) {
    let folder = FileManager.default.temporaryDirectory.appending(path: "covpool-scope-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var tensors = AnyNetwork<Float>(try smallConfiguration(head)).tensors.map { description, tensor in
      (name: rename(description.name), tensor: Tensor(tensor.shape, hashValues(description.name, tensor.shape)))
    }
    tensors += more.map { ($0, Tensor([2], [1, 2])) }
    try writeSafetensors(tensors, to: folder + "/f.safetensors")
    return try AnyNetwork<Float>.load(configuration("resnet20-\(head)"), from: folder + "/f.safetensors")
  }

  @Test(
    arguments: ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "module.model.", "net.", "a.b.c."])
  func `A prefix of all names is taken off`(_ prefix: String) throws {
    let (network, report) = try load { prefix + $0 }
    #expect(report.isComplete && report.warnings.isEmpty && network.configuration.classes == 3)
    let first = try #require(network.tensors.first)
    #expect(first.tensor.scalars == hashValues("conv1.weight", first.tensor.shape))
  }

  @Test func `What lies outside is left out, and said`() throws {
    let (_, report) = try load(["criterion.weight", "metric.total"]) { "model." + $0 }
    #expect(report.isComplete && report.warnings.count == 1)
    #expect(report.warnings[0].contains("took the network below 'model.'; 2 tensors elsewhere are left out"))
    let (_, counted) = try load(["n_averaged"]) { "module." + $0 }
    #expect(counted.isComplete && counted.warnings.isEmpty)
    let error = #expect(throws: LoadError.self) { try load(["criterion.weight"]) { $0 } }
    #expect(error?.description.contains("unexpected: criterion.weight") == true)
  }

  @Test func `A classifier beside the backbone is found`() throws {
    let (_, report) = try load(head: .fastmpn) { $0.hasPrefix("fc.") ? "head." + $0 : "backbone." + $0 }
    #expect(report.isComplete && report.loaded.contains("fc.weight") && report.warnings.isEmpty)
  }

  @Test func `Of several networks the one that was taken is named`() throws {
    let names = AnyNetwork<Float>(try smallConfiguration(.gap)).tensors.map { "teacher." + $0.description.name }
    let (network, report) = try load(names) { "student." + $0 }
    #expect(
      report.warnings.contains { $0.contains("took the network below 'student.'; the file also holds 'teacher.'") })
    #expect(network.configuration.classes == 3)
  }

  @Test func `Where nothing fits the names that were seen are said`() throws {
    let error = #expect(throws: LoadError.self) { try load { "blocks.0." + $0.replacing("conv1", with: "qkv") } }
    #expect(error?.description.contains("under no prefix either; its tensors are called 'blocks.0.bn1.") == true)
  }
}
