import Kernels

/// Random numbers that are a function of (seed, stream, index) alone: the same on any number of threads.
public struct RandomStream: Sendable {
  private let key: UInt64

  /// The stream called `name` of the generator with this seed, for example a parameter's path.
  public init(seed: UInt64, name: String) {
    // FNV-1a over the name, so that streams do not depend on the order in which they are asked for.
    let hash = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    key = hash ^ (seed &* 0x9e37_79b9_7f4a_7c15)
  }

  private init(key: UInt64) { self.key = key }

  /// A stream of its own for the part of a step with this number.
  public func substream(_ number: Int) -> RandomStream {
    var generator = RandomGenerator(key: key ^ (UInt64(truncatingIfNeeded: number) &* 0x9e37_79b9_7f4a_7c15))
    return RandomStream(key: generator.next())
  }

  /// Uniform numbers in [low, high).
  public func uniform<Scalar>(_ shape: Shape, low: Scalar, high: Scalar) -> Tensor<Scalar> {
    fill(shape) { uniform(from: Int($0), low: low, high: high, into: $1, count: $2) }
  }

  /// Numbers `first ..< first + count` of the stream, uniform in [low, high).
  func uniform<Scalar: RealScalar>(
    from first: Int, low: Scalar, high: Scalar, into y: UnsafeMutablePointer<Scalar>, count: Int
  ) {
    Scalar.routines.kernels.uniform(key, UInt64(first), low, high, y, count)
  }

  /// Normal numbers with mean 0.
  public func normal<Scalar>(_ shape: Shape, deviation: Scalar) -> Tensor<Scalar> {
    fill(shape) { first, pointer, count in
      Scalar.routines.kernels.normal(key, first, deviation, pointer, count)
    }
  }

  private func fill<Scalar>(
    _ shape: Shape, _ body: (UInt64, UnsafeMutablePointer<Scalar>, Int) -> Void
  ) -> Tensor<Scalar> {
    Tensor(shape) { scalars in
      guard let start = scalars.baseAddress else { return }
      forEachChunk(of: scalars.count) { body(UInt64($0.lowerBound), start + $0.lowerBound, $0.count) }
    }
  }
}

extension RandomStream {
  /// The stream's numbers one after another.
  public var generator: RandomGenerator { RandomGenerator(key: key) }
}

/// Random numbers one after another, the same for the same stream on any machine.
public struct RandomGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(key: UInt64) { state = key }

  /// The next 64 bits (SplitMix64; Steele, Lea and Flood 2014).
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var x = state
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }

  /// A number in [0, 1).
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A number in [low, high).
  public mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }

  /// An integer in 0 ..< count.
  public mutating func index(below count: Int) -> Int { min(Int(uniform() * Double(count)), count - 1) }

  /// 0 ..< count in random order (Fisher and Yates).
  public mutating func permutation(of count: Int) -> [Int] {
    var order = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, index(below: last + 1)) }
    return order
  }
}
