import Checkpoints
import Foundation
import ModelZoo

/// What a run of mpn-bench left behind.
struct Run {
  var status: Int32
  var output, errors: String

  /// Lines on standard error without those that this machine's environment causes.
  var errorLines: [Substring] {
    errors.split(separator: "\n").filter {
      !$0.hasPrefix("warning: OpenBLAS") && !$0.hasPrefix("note: this is a debug")
    }
  }
}

/// A directory that goes away with the test; its name has what names may have.
final class Scratch {
  let url = FileManager.default.temporaryDirectory.appending(path: "mpn-bench tëst \(UUID())")
  var path: String { url.path }

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: url) }

  func read(_ name: String) throws -> String { try String(contentsOf: url.appending(path: name), encoding: .utf8) }

  /// Writes a small Fast-MPN network for CIFAR-10 with random weights; returns the file.
  func writeNetwork() throws -> String {
    var configuration = try Zoo.entry(named: "resnet20-fastmpn").configuration
    configuration.covariance?.dimension = 8
    var network = AnyNetwork<Float>(configuration)
    network.initialize()
    let file = path + "/fastmpn.safetensors"
    try writeSafetensors(network.tensors.map { ($0.description.name, $0.tensor) }, metadata: [:], to: file)
    return file
  }

  /// Where the tests are built, and mpn-bench beside them.
  static let products = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()

  /// Runs mpn-bench, or another program, to its end. Its streams are files: a pipe that is full would stop it.
  func run(_ arguments: [String], program: URL = products.appending(path: "mpn-bench")) throws -> Run {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    func stream(_ name: String) throws -> FileHandle {
      try Data().write(to: url.appending(path: name))
      return try FileHandle(forWritingTo: url.appending(path: name))
    }
    (process.standardOutput, process.standardError) = (try stream("stdout"), try stream("stderr"))
    try process.run()
    process.waitUntilExit()
    return Run(status: process.terminationStatus, output: try read("stdout"), errors: try read("stderr"))
  }
}
