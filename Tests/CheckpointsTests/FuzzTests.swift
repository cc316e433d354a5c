import Checkpoints
import Foundation
import Tensors
import Testing

/// Mutated files: each is read or refused with a `CheckpointError`; anything else ends the process or hangs it.
@Suite("Damaged files")
struct FuzzTests {
  /// A small sound file of each container.
  static let seeds = Fixtures.torch + [Fixtures.mindspore, "zip", "legacy", "safetensors"]

  static func bytes(_ seed: String) throws -> [UInt8] {
    switch seed {
    case "zip": Zip.sound.bytes
    case "legacy": legacy(PyTorchContainerTests.vector, keys: ["7"], storages: PyTorchContainerTests.data)
    case "safetensors": safetensors(SafetensorsTests.twoTensors, data: SafetensorsTests.numbers)
    default: try Fixtures.bytes(seed)
    }
  }

  /// Reads a file and all that is in it; returns whether it was accepted.
  @discardableResult
  static func survives(_ bytes: [UInt8], _ comment: @autoclosure () -> String) -> Bool {
    do {
      let checkpoint = try Checkpoint(bytes: bytes, named: "file.pth")
      for name in checkpoint.names {
        let tensor = try #require(checkpoint.tensors[name])
        let single = try tensor.tensor(as: Float.self)
        #expect(single.withUnsafeScalars(\.count) == tensor.shape.scalarCount)
        _ = try tensor.scalars
        if !tensor.type.isFloatingPoint { _ = try? tensor.integers() }
      }
      try? checkpoint.verifyChecksums()
      return true
    } catch let error as CheckpointError {
      #expect(!error.description.contains("\n"), "\(comment())")
    } catch {
      Issue.record("\(comment()): \(error)")
    }
    return false
  }

  @Test("a file cut off anywhere is refused", arguments: seeds)
  func truncation(seed: String) throws {
    let bytes = try Self.bytes(seed)
    for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 997)) {
      // A protocol buffer may be cut between two of its values: then it is a smaller, but sound one.
      let isAccepted = Self.survives(Array(bytes[..<length]), "\(seed) cut to \(length) bytes")
      #expect(!isAccepted || seed == Fixtures.mindspore, "cut to \(length) bytes")
    }
  }

  @Test("a flipped bit anywhere is survived", arguments: seeds)
  func bitFlips(seed: String) throws {
    let bytes = try Self.bytes(seed)
    for position in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 499)) {
      for bit in 0..<8 {
        var flipped = bytes
        flipped[position] ^= 1 << bit
        Self.survives(flipped, "\(seed): bit \(bit) of byte \(position)")
      }
    }
  }

  /// How many mutations of each file are tried.
  static let runs = ProcessInfo.processInfo.environment["COVPOOL_FUZZ_RUNS"].flatMap(Int.init) ?? 2000

  @Test("random mutations are survived", arguments: seeds)
  func mutations(seed: String) throws {
    let bytes = try Self.bytes(seed)
    let others = try Self.seeds.map(Self.bytes)
    let number = UInt64(Self.seeds.firstIndex(of: seed) ?? 0)
    var accepted = 0
    for run in 0..<Self.runs {
      // A crash ends the process: the last line printed says from where on to look.
      if run.isMultiple(of: 1000) { print("fuzzing \(seed) from run \(run) on") }
      var random = Mutator(seed: number << 32 | UInt64(run))
      if Self.survives(random.mutate(bytes, others: others), "\(seed), run \(run)") { accepted += 1 }
    }
    print("fuzzed \(seed): \(Self.runs) mutations, \(accepted) of them accepted as sound")
  }

  @Test("random mutations of a pickle whose check sum is right are survived")
  func pickles() throws {
    // The same archive as PyTorch's, but with the check sum of the damaged pickle, which would else hide the damage.
    var tensors = (0..<3).map { ("w\($0)", Pickle.vector("\($0)", count: 4)) }
    let storage = Pickle.storage("3", count: 4)
    tensors.append(("view", Pickle.tensor(storage: storage, shape: [2, 1, 2, 1], strides: [1, 7, 2, 1])))
    let program = Pickle.program(
      Pickle.dictionary([("state_dict", Pickle.dictionary(tensors)), ("epoch", Pickle.integer(3))]))
    let storages = Dictionary(uniqueKeysWithValues: (0..<4).map { ("\($0)", floats([1, 2, 3, 4])) })
    let others = try Self.seeds.map(Self.bytes)
    for run in 0..<Self.runs {
      if run.isMultiple(of: 1000) { print("fuzzing pickles from run \(run) on") }
      var random = Mutator(seed: 1 << 62 | UInt64(run))
      var zip = Zip.torch([], storages: storages)
      zip.entries[0].data = random.mutate(program, others: others)
      Self.survives(zip.bytes, "pickle, run \(run)")
    }
  }
}

/// Damages bytes in reproducible ways.
struct Mutator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// SplitMix64 (Steele, Lea and Flood 2014).
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  /// A copy of `bytes` with one to eight mutations.
  mutating func mutate(_ bytes: [UInt8], others: [[UInt8]]) -> [UInt8] {
    var result = bytes
    for _ in 0..<Int.random(in: 1...8, using: &self) where !result.isEmpty {
      let position = Int.random(in: 0..<result.count, using: &self)
      let length = min(Int.random(in: 1...16, using: &self), result.count - position)
      switch Int.random(in: 0..<9, using: &self) {
      case 0, 1: result[position] ^= 1 << UInt8.random(in: 0..<8, using: &self)
      case 2: result[position] = .random(in: 0...255, using: &self)
      case 3:
        for index in position..<position + length {
          result[index] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &self) ?? 0
        }
      case 4:
        result.insert(
          contentsOf: result[position..<position + length], at: Int.random(in: 0...result.count, using: &self))
      case 5: result.removeSubrange(position..<position + length)
      case 6:
        guard let other = others.randomElement(using: &self), !other.isEmpty else { continue }
        let start = Int.random(in: 0..<other.count, using: &self)
        let end = min(other.count, start + Int.random(in: 1...64, using: &self))
        result.replaceSubrange(position..<position + length, with: other[start..<end])
      case 7:
        let extreme = [0, -1, Int.max, .min, 1 << 62, 1 << 32, 1 << 31].randomElement(using: &self) ?? 0
        let width = [4, 8].randomElement(using: &self) ?? 8
        guard position + width <= result.count else { continue }
        result.replaceSubrange(position..<position + width, with: little(extreme)[..<width])
      // Rarely, or else most files would be short.
      default: if Int.random(in: 0..<10, using: &self) == 0 { result.removeSubrange(position...) }
      }
    }
    return result
  }
}
