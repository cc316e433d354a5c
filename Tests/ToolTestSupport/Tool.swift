import Checkpoints
import Foundation
import ModelZoo
@_exported import TestSupport

/// What a run of a tool left behind.
public struct Run: Sendable {
  public var status: Int32
  public var output: String
  public var errors: String

  /// Lines on standard error without those that this machine's environment causes.
  public var errorLines: [Substring] {
    errors.split(separator: "\n").filter {
      !$0.hasPrefix("warning: OpenBLAS") && !$0.hasPrefix("note: this is a debug")
    }
  }
}

/// Runs a tool that is built beside the tests.
public func runTool(_ name: String, _ arguments: [String]) throws -> Run {
  let process = Process()
  process.executableURL = toolURL(name)
  process.arguments = arguments
  return try run(process)
}

/// Runs a shell command line; `$TOOL` in it is the tool.
public func runShell(_ line: String, tool: String) throws -> Run {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/bin/sh")
  process.arguments = ["-c", line]
  process.environment = ProcessInfo.processInfo.environment.merging(["TOOL": toolURL(tool).path]) { $1 }
  return try run(process)
}

/// Runs zoo-eval.
public func zooEval(_ arguments: String...) throws -> Run { try runTool("zoo-eval", arguments) }

private func toolURL(_ name: String) -> URL {
  URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: name)
}

private func run(_ process: Process) throws -> Run {
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
public final class Scratch {
  public let url = FileManager.default.temporaryDirectory.appending(path: "covpool-test-\(UUID())")
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
