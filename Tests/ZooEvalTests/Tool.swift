import Checkpoints
import Foundation
import ModelZoo
import TestSupport

/// What a run of a tool left behind.
struct Run {
  var status: Int32
  var output: String
  var errors: String

  /// Lines on standard error without those that this machine's environment causes.
  var errorLines: [Substring] {
    errors.split(separator: "\n").filter {
      !$0.hasPrefix("warning: OpenBLAS") && !$0.hasPrefix("note: this is a debug")
    }
  }
}

/// Runs zoo-eval, which is built beside the tests.
func zooEval(_ arguments: String...) throws -> Run {
  let tool = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "zoo-eval")
  let process = Process()
  process.executableURL = tool
  process.arguments = arguments
  let (output, errors) = (Pipe(), Pipe())
  (process.standardOutput, process.standardError) = (output, errors)
  try process.run()
  // Standard error stays far below a pipe's capacity, so reading one after the other cannot block.
  let outputData = output.fileHandleForReading.readDataToEndOfFile()
  let errorData = errors.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return Run(
    status: process.terminationStatus, output: String(decoding: outputData, as: UTF8.self),
    errors: String(decoding: errorData, as: UTF8.self))
}

/// A directory that goes away with the test.
final class Scratch {
  let url = FileManager.default.temporaryDirectory.appending(path: "zoo-eval-\(UUID())")
  var path: String { url.path }

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: url) }

  func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
  }

  func read(_ name: String) throws -> String { try String(contentsOf: url.appending(path: name), encoding: .utf8) }

  /// A CIFAR-10 test file of hash-made pictures.
  func writeCIFAR(_ name: String = "data/test_batch.bin", images: Int) throws {
    var bytes: [UInt8] = []
    for image in 0..<images {
      bytes.append(UInt8(image % 10))
      bytes += unit("image \(image)", count: 3072).map { UInt8(($0 + 1) * 127) }
    }
    try write(name, bytes)
  }

  /// A checkpoint of a network of the CIFAR family, filled by hash.
  func writeNetwork(
    _ name: String = "network.safetensors", _ head: Head = .gap, classes: Int = 10,
    change: (inout [(name: String, tensor: Tensor<Float>)]) -> Void = { _ in }
  ) throws -> String {
    var configuration = NetworkConfiguration(depth: 20, head: head)!
    configuration.classes = classes
    if head != .gap { configuration.dimension = 8 }
    var tensors = ResNet<Float>(configuration).tensors.map { description, tensor in
      (name: description.name, tensor: Tensor(tensor.shape, hashValues(description.name, tensor.shape)))
    }
    change(&tensors)
    try writeSafetensors(tensors, metadata: [:], to: path + "/" + name)
    return path + "/" + name
  }
}
