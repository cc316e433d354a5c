import ModelZoo

/// FNV-1a, 64 bits, a word at a time: enough to notice a change, and the same on every machine.
package struct Digest {
  private var value: UInt64 = 0xCBF2_9CE4_8422_2325

  package mutating func add(_ word: UInt64) {
    value = (value ^ word) &* 0x0000_0100_0000_01B3
    // A word's high bits must reach the low ones.
    value ^= value >> 32
  }

  package mutating func add(_ tensor: Tensor<Float>) {
    tensor.withUnsafeScalars { scalars in
      for scalar in scalars { add(UInt64(scalar.bitPattern)) }
    }
  }

  package var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  package init() {}

  /// Of all tensors of a network.
  static func of(_ network: AnyNetwork<Float>) -> String {
    var digest = Digest()
    for (_, tensor) in network.tensors { digest.add(tensor) }
    return digest.text
  }

  /// Of a run's state: its text and its tensors, in the order of their names.
  package static func of(json: String, _ tensors: [(name: String, tensor: Tensor<Float>)]) -> String {
    var digest = Digest()
    for byte in json.utf8 { digest.add(UInt64(byte)) }
    for (_, tensor) in tensors.sorted(by: { $0.name < $1.name }) { digest.add(tensor) }
    return digest.text
  }
}
