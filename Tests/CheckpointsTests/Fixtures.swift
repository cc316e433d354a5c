import Checkpoints
import Foundation
import Testing

/// The files in `Resources`, and optional ones beside the package.
enum Fixtures {
  static let torch = [
    "torch_zip.pth.tar", "torch_legacy.pth.tar", "torch_legacy_cuda.pth.tar", "torch_bare_state_dict.pth",
    "torch_parameters.pth",
  ]
  static let mindspore = "mindspore_tiny.ckpt"

  static func path(_ name: String) throws -> String {
    let path = Bundle.module.bundleURL.appending(path: "Resources/\(name)").path
    try #require(FileManager.default.fileExists(atPath: path), "\(path) is missing")
    return path
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
  }

  static func json<Content: Decodable>(_ name: String, as: Content.Type = Content.self) throws -> Content {
    try JSONDecoder().decode(Content.self, from: Data(bytes(name)))
  }
}

/// Golden values of a file: what the framework that wrote it reads from it.
struct Golden: Decodable {
  struct Entry: Decodable {
    let dtype: String
    let shape: [Int]
    let values: [Double]
  }
  let tensors: [String: Entry]
}

/// Calls `body` with a path in a new folder that is removed afterwards.
func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appending(path: "checkpoints tëst \(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder)
}

/// The error that reading these bytes gives.
func refusal(
  _ bytes: [UInt8], _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) -> CheckpointError? {
  #expect(throws: CheckpointError.self, comment, sourceLocation: sourceLocation) {
    _ = try Checkpoint(bytes: bytes, named: "file.pth")
  }
}
