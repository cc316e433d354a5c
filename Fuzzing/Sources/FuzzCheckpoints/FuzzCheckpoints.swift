import Checkpoints
import Foundation
import FuzzDriver

/// The file that the reader maps, which the fuzzer's bytes are written to; in memory where there is such a file system.
private let path: String = {
  let folder = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
  return "\(folder)/covpool-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
}()

/// Reads whatever the fuzzer makes up, and all tensors in it: a checkpoint or an error, nothing else.
private func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: start, count: count)
  guard (try? Data(bytes).write(to: URL(fileURLWithPath: path))) != nil else { return 0 }
  if let checkpoint = try? Checkpoint(contentsOf: path) {
    for tensor in checkpoint.tensors.values { _ = try? tensor.tensor(as: Float.self) }
    try? checkpoint.verifyChecksums()
  }
  return 0
}

@main
struct FuzzCheckpoints {
  static func main() { fuzz { testOneInput($0, $1) } }
}
