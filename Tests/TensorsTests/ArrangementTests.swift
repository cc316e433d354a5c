import TestSupport
import Tensors
import Testing

private func numbers(_ shape: Shape) -> Tensor<Float> { Tensor(shape, (0..<shape.scalarCount).map(Float.init)) }

private func tensor(_ shape: Shape, _ name: String = "x") -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

private let tolerance = 1e-7

@Suite struct ArrangementTests {
  @Test func `Slices and concatenation by hand`() {
    let x = numbers([2, 3, 2])
    #expect(x.sliced(axis: 1, 1..<3).scalars == [2, 3, 4, 5, 8, 9, 10, 11])
    #expect(x.sliced(axis: 0, 1..<2).scalars == [6, 7, 8, 9, 10, 11])
    #expect(x.sliced(axis: 2, 1..<2).scalars == [1, 3, 5, 7, 9, 11])
    #expect(x.sliced(axis: 1, 1..<1).shape == [2, 0, 2])
    let y = Tensor<Float>([2, 1, 2], [-1, -2, -3, -4])
    #expect(
      Tensor.concatenate([x, y], axis: 1).scalars == [0, 1, 2, 3, 4, 5, -1, -2, 6, 7, 8, 9, 10, 11, -3, -4])
  }

  @Test(arguments: 0..<4)
  func `Parts that are put together again are the whole`(_ axis: Int) {
    let x = tensor([4, 6, 4, 10])
    let halves = x.split(axis: axis, parts: 2)
    #expect(Tensor.concatenate(halves, axis: axis).scalars == x.scalars)
    let (first, second) = (x.sliced(axis: axis, 0..<1), x.sliced(axis: axis, 1..<x.shape[axis]))
    #expect(Tensor.concatenate([first, second], axis: axis).scalars == x.scalars)
    let small = [tensor([2, 3, 2, 3]), tensor([2, 3, 2, 3], "y")]
    #expect(gradientError(at: small) { probe(Tensor.concatenate([$0[0], $0[1], $0[0]], axis: axis)) } < tolerance)
    // A gradient from elsewhere is there already when the slice's comes.
    #expect(
      gradientError(at: [small[0]]) {
        probe($0[0].sliced(axis: axis, 1..<2)) + probe($0[0].relu(), "r") + probe($0[0].sliced(axis: axis, 0..<2), "s")
      } < tolerance)
  }

  @Test func `Large pieces are copied whole`() {
    let x = Tensor<Float>([2, 3, 70_000], unit("x", count: 420_000))
    let parts = (0..<3).map { x.sliced(axis: 1, $0..<$0 + 1) }
    #expect(parts[1].scalars == Array(x.scalars[70_000..<140_000] + x.scalars[280_000..<350_000]))
    #expect(Tensor.concatenate(parts, axis: 1).scalars == x.scalars)
  }

  @Test func `A permutation by hand`() {
    let x = numbers([2, 3, 2])
    #expect(x.permuted(0, 2, 1).shape == [2, 2, 3])
    #expect(x.permuted(0, 2, 1).scalars == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11])
    #expect(x.permuted(1, 0, 2).scalars == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11])
    #expect(x.permuted(0, 1, 2).scalars == x.scalars)
    #expect(numbers([1, 1]).permuted(1, 0).scalars == [0])
  }

  @Test(arguments: [
    ([3, 4, 5, 2], [3, 1, 0, 2]), ([3, 4, 5, 2], [0, 2, 3, 1]), ([3, 4, 5, 2], [2, 3, 0, 1]),
    ([1, 7, 1, 3], [3, 2, 1, 0]),
    ([2, 3, 1, 4], [2, 0, 3, 1]), ([70, 90], [1, 0]), ([3, 50, 70], [0, 2, 1]), ([5000, 3], [1, 0]),
    ([3, 5000], [1, 0]),
    ([2, 5, 40, 3], [0, 3, 1, 2]),
  ])
  func `Every number of a permutation is in its place, and comes back`(_ extents: [Int], _ axes: [Int]) {
    let x = tensor(Shape(extents))
    let y = Permutation(axes).applied(to: x)
    var strides = [Int](repeating: 1, count: extents.count)
    for axis in stride(from: extents.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * extents[axis + 1]
    }
    let places = (0..<x.scalarCount).map { index -> Int in
      var (rest, place) = (index, 0)
      for (axis, extent) in zip(axes, y.shape).reversed() {
        place += rest % extent * strides[axis]
        rest /= extent
      }
      return place
    }
    let from = x.scalars
    #expect(y.scalars == places.map { from[$0] })
    let inverse = axes.indices.sorted { axes[$0] < axes[$1] }
    #expect(Permutation(inverse).applied(to: y).scalars == from)
    #expect(
      Permutation(axes).applied(to: Tensor<Float>(x.shape, from.map(Float.init))).scalars == y.scalars.map(Float.init))
    if x.scalarCount < 200 {
      #expect(gradientError(at: [x]) { probe(Permutation(axes).applied(to: $0[0])) } < tolerance)
    }
  }

  @Test func `A channel shuffle deals the groups out, and another one takes it back`() {
    let x = numbers([1, 6, 1, 2])
    #expect(x.channelsShuffled(groups: 2).scalars == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11])
    let y = tensor([2, 12, 3, 5])
    for groups in [1, 2, 3, 4, 6, 12] {
      #expect(y.channelsShuffled(groups: groups).channelsShuffled(groups: 12 / groups).scalars == y.scalars)
      #expect(gradientError(at: [y]) { probe($0[0].channelsShuffled(groups: groups)) } < tolerance)
    }
  }
}
