import Console
import Foundation
import ModelZoo

/// PyTorch in a process of its own, which times its implementations of the same between this process's turns
/// (`Benchmarks/Peers/time_roots.py`).
final class PeerProcess {
  /// What is timed there, and what tables call it.
  static let methods: [(name: String, title: String)] = [
    ("eigh", "PyTorch eigh"), ("svd", "PyTorch svd"), ("newton-schulz", "PyTorch ns5"),
    ("newton-schulz-manual", "PyTorch ns5, own backward"),
  ]

  /// PyTorch's version.
  let version: String
  private let process: Process
  private let commands = Pipe()
  private let answers: LineReader
  private let folder: URL

  /// Starts PyTorch.
  /// - Parameter python: an interpreter that has it.
  init(python: String, threads: Int) throws {
    let script = "Benchmarks/Peers/time_roots.py"
    guard FileManager.default.fileExists(atPath: script) else {
      throw UsageError("--peers needs \(script): run mpn-bench in the package's directory")
    }
    guard !python.contains("/") || FileManager.default.isExecutableFile(atPath: python) else {
      throw UsageError("--peers: no Python at \(python)")
    }
    process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [python, script, "\(threads)"]
    var environment = ProcessInfo.processInfo.environment
    for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] { environment[name] = nil }
    // Otherwise its allocator gives every large result back to the system, and page faults are half of its time.
    environment["MALLOC_MMAP_THRESHOLD_"] = "1073741824"
    environment["MALLOC_TRIM_THRESHOLD_"] = "4294967296"
    process.environment = environment
    process.standardInput = commands
    let pipe = Pipe()
    process.standardOutput = pipe
    answers = LineReader(pipe.fileHandleForReading)
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("mpn-bench-\(UUID().uuidString)")
    // Where PyTorch is gone a write fails, and does not end this process.
    signal(SIGPIPE, SIG_IGN)
    do { try process.run() } catch { throw UsageError("--peers: \(python) cannot be started") }
    guard let first = answers.next(), let version = first["version"] as? String else {
      throw UsageError(
        "--peers: \(python) has no PyTorch; 'make peers' installs it, --python names another interpreter")
    }
    self.version = version
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  /// Gives PyTorch the features `[B, d, N]` to work on.
  func load(_ features: Tensor<Float>) throws {
    let file = folder.appendingPathComponent("features")
    try features.withUnsafeScalars { try Data(buffer: $0).write(to: file) }
    _ = try ask("load \(file.path) \(features.shape.map(String.init).joined(separator: " "))")
  }

  /// Milliseconds for one matrix.
  func time(_ method: String, batch: Int) throws -> (forward: Double, backward: Double, both: Double) {
    let answer = try ask("time \(method) 1")
    func milliseconds(_ key: String) throws -> Double {
      guard let values = answer[key] as? [Double], let value = values.first else {
        throw UsageError("--peers: no '\(key)' in PyTorch's answer \(answer)")
      }
      return value / Double(batch)
    }
    return (try milliseconds("forward"), try milliseconds("backward"), try milliseconds("both"))
  }

  /// The root that PyTorch finds, `[B, d, d]`.
  func root(_ method: String, shape: Shape) throws -> Tensor<Float> {
    let file = folder.appendingPathComponent("root")
    _ = try ask("values \(method) \(file.path)")
    let data = try Data(contentsOf: file)
    guard data.count == 4 * shape.scalarCount else {
      throw UsageError("--peers: PyTorch's root has \(data.count) bytes, expected \(4 * shape.scalarCount)")
    }
    return Tensor(shape) { scalars in _ = data.copyBytes(to: scalars) }
  }

  private func ask(_ command: String) throws -> [String: Any] {
    try? commands.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
    guard let answer = answers.next() else { throw UsageError("--peers: PyTorch stopped at '\(command)'") }
    if let error = answer["error"] as? String { throw UsageError("--peers: PyTorch: \(error)") }
    return answer
  }

  deinit {
    try? commands.fileHandleForWriting.close()
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
  }
}

/// Lines of JSON from a pipe.
private final class LineReader {
  private let handle: FileHandle
  private var unread = Data()

  init(_ handle: FileHandle) { self.handle = handle }

  /// The next line's object; `nil` at the end or where a line is none.
  func next() -> [String: Any]? {
    while true {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Data(unread[unread.startIndex..<end])
        unread = Data(unread[unread.index(after: end)...])
        return (try? JSONSerialization.jsonObject(with: line)) as? [String: Any]
      }
      let more = handle.availableData
      guard !more.isEmpty else { return nil }
      unread += more
    }
  }
}
