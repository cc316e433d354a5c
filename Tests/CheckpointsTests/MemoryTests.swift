import Checkpoints
import Foundation
import Testing

/// Files made to cost many times their size in memory.
@Suite("Memory")
struct MemoryTests {
  private static let size = 6 << 20

  /// As many copies as fit the size.
  private static func many(_ bytes: [UInt8]) -> [UInt8] {
    Array(repeatElement(bytes, count: size / bytes.count).joined())
  }

  private static func bombs() -> [String: [UInt8]] {
    let reduce = Pickle.get(0) + Pickle.get(1) + Pickle.reduce
    let type = Pickle.global("numpy", "dtype") + Pickle.put(0) + Pickle.tuple(Pickle.string("f8")) + Pickle.put(1)
    let emptyTensors = (0..<size / 64).map { SafetensorsTests.entry("\($0)", "F32", "[0]", 0, 0) }
    return [
      "values": legacy(many(Pickle.none)), "tuples": legacy(many(Pickle.none + [0x85])),
      "lists": legacy(many(Pickle.emptyList + Pickle.none + Array("a".utf8))),
      "memo": legacy((0..<size / 5).flatMap { Array("r".utf8) + little(UInt32($0)) }),
      "objects": legacy(type + many(reduce)), "header": safetensors("{\(emptyTensors.joined(separator: ","))}"),
      "metadata": safetensors(
        "{\"__metadata__\":{\((0..<size / 10).map { "\"\($0)\":\"\"" }.joined(separator: ","))}}"),
      "messages": many(Protobuf.field(1, bytes: [])),
      "names": (0..<size / 26).flatMap { Protobuf.value("\($0)", [0], "Int8", []) },
    ]
  }

  /// A figure of `/proc/self/status` in bytes.
  private static func memory(_ figure: String) throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("\(figure):") })
    return try #require(Int(line.filter(\.isNumber))) << 10
  }

  static let isMeasurable = FileManager.default.fileExists(atPath: "/proc/self/status")

  /// Reads all files of a folder; throws if that took more memory than it may.
  static func read(_ folder: String) throws {
    var largest = 0
    let before = try memory("VmRSS")
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let path = "\(folder)/\(name)"
      largest = max(largest, try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0)
      _ = try? Checkpoint(contentsOf: path)
    }
    let used = try memory("VmHWM") - before
    try #require(largest >= size / 2 && used <= 4 * largest + 64 << 20, "\(used) bytes for files of up to \(largest)")
  }

  @Test(
    "no file costs more than four times its size and 64 MB",
    .enabled(if: isMeasurable, "there is no /proc/self/status"))
  func bounds() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "checkpoints-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, bytes) in Self.bombs() { try Data(bytes).write(to: folder.appending(path: name)) }
    // In a process of its own, since other tests need memory at the same time.
    await #expect(processExitsWith: .success) { [path = folder.path as String] in try MemoryTests.read(path) }
  }
}
