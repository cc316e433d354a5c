import TestSupport
import Tensors
import Testing

private func tensor(_ shape: Shape, _ name: String = "x") -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

private let tolerance = 1e-7

@Suite struct ArithmeticTests {
  @Test func `Differences and products by hand`() {
    let (a, b) = (Tensor<Float>([3], [1, -2, 3]), Tensor<Float>([3], [4, 5, -6]))
    #expect((a - b).scalars == [-3, -7, 9] && (a * b).scalars == [4, -10, -18])
    #expect((a * 2).scalars == [2, -4, 6] && (0.5 * b).scalars == [2, 2.5, -3])
    #expect((a - a).scalars == [0, 0, 0])
  }

  @Test func `Gradients of differences and products`() {
    let inputs = [tensor([3, 4]), tensor([3, 4], "y")]
    #expect(gradientError(at: inputs) { probe($0[0] - $0[1]) } < tolerance)
    #expect(gradientError(at: inputs) { probe($0[0] * $0[1]) } < tolerance)
    #expect(gradientError(at: [inputs[0]]) { probe($0[0] * $0[0] - $0[0] * 3) } < tolerance)
  }

  @Test func `Sums and means by hand`() {
    let x = Tensor<Float>([2, 3, 2], (0..<12).map(Float.init))
    #expect(x.sum().item == 66 && x.sum().shape == [] && x.mean().item == 5.5)
    #expect(x.sum(axes: [1]).scalars == [6, 9, 24, 27] && x.sum(axes: [1]).shape == [2, 2])
    #expect(x.sum(axes: [0, 2]).scalars == [14, 22, 30])
    #expect(x.sum(axes: [2, 0], keepsAxes: true).shape == [1, 3, 1])
    #expect(x.mean(axes: [0]).scalars == [3, 4, 5, 6, 7, 8])
    #expect(x.sum(axes: []).scalars == x.scalars)
    // Each number alone would be lost beside the sum.
    let many = Tensor<Float>([1 << 18], repeating: 0.1)
    #expect(abs(many.sum().item - 26214.4) < 0.01 && abs(many.mean().item - 0.1) < 1e-7)
  }

  @Test(arguments: [[0], [1], [3], [0, 1], [1, 3], [0, 2], [0, 2, 3], [0, 1, 2, 3]])
  func `Sums and means over any axes, and their gradients`(_ axes: [Int]) {
    let x = tensor([2, 3, 4, 5])
    let sum = x.sum(axes: axes), scalars = x.scalars
    var want = [Double](repeating: 0, count: sum.scalarCount)
    for index in 0..<x.scalarCount {
      let position = [index / 60, index / 20 % 3, index / 5 % 4, index % 5]
      let place = (0..<4).reduce(0) { axes.contains($1) ? $0 : $0 * x.shape[$1] + position[$1] }
      want[place] += scalars[index]
    }
    #expect(largestError(sum.scalars, want) < 1e-13)
    let count = Double(x.scalarCount / sum.scalarCount)
    #expect(largestError(x.mean(axes: axes).scalars, want.map { $0 / count }) < 1e-14)
    #expect(gradientError(at: [x]) { probe($0[0].sum(axes: axes)) } < tolerance)
    #expect(gradientError(at: [x]) { probe($0[0].mean(axes: axes, keepsAxes: true)) } < tolerance)
  }

  @Test func `A sum is the same whatever the threads`() {
    let x = Tensor<Float>([7, 300, 1100], unit("x", count: 7 * 300 * 1100))
    for axes in [[0], [1], [2], [0, 2]] {
      let results = [1, 2, 7].map { threads in withThreads(threads) { x.sum(axes: axes).scalars } }
      #expect(results[0] == results[1] && results[0] == results[2])
    }
  }

  @Test func `A product of matrices by hand`() {
    let a = Tensor<Float>([2, 3], [1, 2, 3, 4, 5, 6]), b = Tensor<Float>([3, 2], [1, 0, 0, 1, 1, 1])
    #expect(a.matmul(b).scalars == [4, 5, 10, 11])
    #expect(MatrixProduct().multiplyAdds([[5, 2, 3], [3, 4]]) == 5 * 2 * 3 * 4)
  }

  @Test(arguments: [
    ([3, 4], [4, 2]), ([5, 3, 4], [5, 4, 2]), ([5, 3, 4], [4, 2]), ([3, 4], [5, 4, 2]), ([2, 1, 3, 4], [5, 4, 2]),
    ([2, 5, 3, 4], [1, 5, 4, 2]), ([2, 5, 3, 4], [2, 1, 4, 2]), ([7, 50, 4], [1, 4, 2]),
  ])
  func `Batches of matrices are broadcast`(_ a: [Int], _ b: [Int]) {
    let (x, y) = (tensor(Shape(a), "a"), tensor(Shape(b), "b"))
    let product = x.matmul(y)
    let (m, k, n) = (a[a.count - 2], a[a.count - 1], b[b.count - 1])
    func place(_ extents: [Int], _ position: [Int]) -> Int {
      zip(extents, position.suffix(extents.count)).reduce(0) { $0 * $1.0 + ($1.0 == 1 ? 0 : $1.1) }
    }
    var want: [Double] = []
    let batch = product.shape.dropLast(2)
    for index in 0..<batch.reduce(1, *) {
      var (rest, position) = (index, [Int]())
      for extent in batch.reversed() {
        position.insert(rest % extent, at: 0)
        rest /= extent
      }
      let left = place(Array(a.dropLast(2)), position), right = place(Array(b.dropLast(2)), position)
      for row in 0..<m {
        for column in 0..<n {
          want.append(
            (0..<k).reduce(0) {
              $0 + x.scalars[(left * m + row) * k + $1] * y.scalars[(right * k + $1) * n + column]
            })
        }
      }
    }
    #expect(largestError(product.scalars, want) < 1e-13)
    #expect(gradientError(at: [x, y]) { probe($0[0].matmul($0[1])) } < tolerance)
  }

  @Test func `Attention written with products, permutation and softmax has the right gradients`() {
    let inputs = ["q", "k", "v"].map { tensor([2, 5, 4], $0) }
    #expect(
      gradientError(at: inputs) { x in
        let scores = x[0].matmul(x[1].permuted(0, 2, 1)) * 0.5
        return probe(scores.reshaped(to: [10, 5]).softmax().reshaped(to: [2, 5, 5]).matmul(x[2]))
      } < tolerance)
  }

  @Test func `Dropout keeps the mean, is a function of its stream, and drops the gradient where it dropped`() {
    let x = Tensor<Double>([1 << 17], repeating: 1)
    let dropout = InvertedDropout(probability: 0.3, random: RandomStream(seed: 1, name: "d"))
    let y = dropout.applied(to: x).scalars
    let dropped = y.filter { $0 == 0 }.count
    #expect(abs(Double(dropped) / Double(y.count) - 0.3) < 0.005)
    #expect(y.allSatisfy { $0 == 0 || abs($0 - 1 / 0.7) < 1e-15 })
    #expect(dropout.applied(to: x).scalars == y)
    let other = InvertedDropout(probability: 0.3, random: RandomStream(seed: 2, name: "d")).applied(to: x)
    #expect(other.scalars != y)
    let small = tensor([5, 9])
    #expect(gradientError(at: [small]) { probe(dropout.applied(to: $0)) } < tolerance)
    let all = InvertedDropout(probability: 1, random: RandomStream(seed: 1, name: "d"))
    #expect(all.applied(to: small).scalars.allSatisfy { $0 == 0 })
  }
}
