import Checkpoints
import Foundation
import ModelZoo
import TestSupport

/// A directory that goes away with the test; its name has what names may have.
public final class Scratch {
  public let url = FileManager.default.temporaryDirectory.appending(path: "covpool tëst \(UUID())")
  public var path: String { url.path }

  public init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: url) }

  public func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
  }

  public func read(_ name: String) throws -> String {
    try String(contentsOf: url.appending(path: name), encoding: .utf8)
  }

  /// A CIFAR-10 test file of hash-made pictures.
  public func writeCIFAR(_ name: String = "data/test_batch.bin", images: Int) throws {
    var bytes: [UInt8] = []
    for image in 0..<images {
      bytes.append(UInt8(image % 10))
      bytes += unit("image \(image)", count: 3072).map { UInt8(($0 + 1) * 127) }
    }
    try write(name, bytes)
  }

  /// A checkpoint of a network of the CIFAR family, filled by hash.
  public func writeNetwork(
    _ name: String = "network.safetensors", _ head: PublishedHead = .gap, classes: Int = 10,
    change: (inout [(name: String, tensor: Tensor<Float>)]) -> Void = { _ in }
  ) throws -> String {
    let small = try configuration("resnet20-\(head)", classes: classes, dimension: 8)
    var tensors = AnyNetwork<Float>(small).tensors.map { description, tensor in
      (name: description.name, tensor: Tensor(tensor.shape, hashValues(description.name, tensor.shape)))
    }
    change(&tensors)
    try writeSafetensors(tensors, metadata: [:], to: path + "/" + name)
    return path + "/" + name
  }
}
