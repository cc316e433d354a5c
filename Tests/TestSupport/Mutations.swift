/// A small generator with a seed, so that a failing run can be repeated: Steele, Lea and Flood 2014.
public struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  /// A generator with this seed.
  public init(state: UInt64) { self.state = state }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// `bytes` with a few bits flipped, bytes set, stretches copied, cut out or put in.
public func mutated(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
  var bytes = bytes
  for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
    let place = Int.random(in: 0..<bytes.count, using: &random)
    let length = min(Int.random(in: 1...16, using: &random), bytes.count - place)
    switch Int.random(in: 0..<7, using: &random) {
    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
    case 2: for i in place..<place + length { bytes[i] = 0xFF }
    case 3: for i in place..<place + length { bytes[i] = 0 }
    case 4: bytes.removeSubrange(place..<place + length)
    case 5: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
    default: bytes.removeSubrange(place...)
    }
  }
  return bytes
}
