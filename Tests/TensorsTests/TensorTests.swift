import TestSupport
import Testing

@Suite struct TensorTests {
  @Test func `Scalars are kept in row-major order`() {
    let tensor = Tensor<Float>([2, 3], [0, 1, 2, 3, 4, 5])
    #expect(tensor[1, 0] == 3 && tensor[0, 2] == 2)
    #expect(tensor.scalars == [0, 1, 2, 3, 4, 5])
    #expect(Tensor<Double>(2.5).item == 2.5)
  }

  @Test func `Writing a copy leaves the original alone`() {
    let original = Tensor<Float>([3], [1, 2, 3])
    var copy = original
    copy.withUnsafeMutableScalars { $0[0] = 9 }
    #expect(original.scalars == [1, 2, 3])
    #expect(copy.scalars == [9, 2, 3])
  }

  @Test func `Writing a sole tensor reuses its memory`() {
    var tensor = Tensor<Float>([3], [1, 2, 3])
    let before = tensor.withUnsafeScalars { $0.baseAddress }
    tensor.withUnsafeMutableScalars { $0[0] = 9 }
    #expect(tensor.withUnsafeScalars { $0.baseAddress } == before)
  }

  @Test func `Borrowed memory is never written`() {
    final class Owner { let memory = UnsafeMutablePointer<Float>.allocate(capacity: 2) }
    let owner = Owner()
    owner.memory.initialize(repeating: 7, count: 2)
    var tensor = Tensor<Float>([2], borrowing: UnsafePointer(owner.memory), owner: owner)
    #expect(tensor.withUnsafeScalars { $0.baseAddress } == UnsafePointer(owner.memory))
    tensor.withUnsafeMutableScalars { $0[0] = 1 }
    #expect(owner.memory[0] == 7 && tensor.scalars == [1, 7])
    owner.memory.deallocate()
  }

  @Test func `Reshaping shares memory`() {
    let tensor = Tensor<Float>([2, 3], [0, 1, 2, 3, 4, 5])
    let reshaped = tensor.reshaped(to: [3, -1])
    #expect(reshaped.shape == [3, 2])
    #expect(reshaped.withUnsafeScalars { $0.baseAddress } == tensor.withUnsafeScalars { $0.baseAddress })
  }
}

@Suite struct RandomStreamTests {
  @Test func `A stream depends on seed and name and on nothing else`() {
    func draw(_ seed: UInt64, _ name: String) -> [Float] {
      RandomStream(seed: seed, name: name).normal([1000], deviation: Float(1)).scalars
    }
    #expect(draw(1, "a") == draw(1, "a"))
    #expect(draw(1, "a") != draw(2, "a"))
    #expect(draw(1, "a") != draw(1, "b"))
  }

  @Test func `Moments are those of the distributions`() {
    let count = 200_000
    let normal = RandomStream(seed: 3, name: "n").normal([count], deviation: 2.0).scalars
    let uniform = RandomStream(seed: 3, name: "u").uniform([count], low: -1.0, high: 3.0).scalars
    func moments(_ x: [Double]) -> (mean: Double, variance: Double) {
      let mean = x.reduce(0, +) / Double(count)
      return (mean, x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count))
    }
    // Five standard errors.
    #expect(abs(moments(normal).mean) < 5 * 2 / Double(count).squareRoot())
    #expect(abs(moments(normal).variance - 4) < 5 * 4 * (2 / Double(count)).squareRoot())
    #expect(abs(moments(uniform).mean - 1) < 5 * 1.2 / Double(count).squareRoot())
    #expect(abs(moments(uniform).variance - 16.0 / 12) < 0.03)
    #expect(uniform.allSatisfy { $0 >= -1 && $0 < 3 })
  }
}
