import Kernels

/// The axes in another order, as PyTorch's `permute`: axis i of the result is axis `axes[i]` of the input.
public struct Permutation: TensorOperation {
  /// Each axis of the input once, in the order of the result.
  public var axes: [Int]

  /// A permutation to this order of axes.
  public init(_ axes: [Int]) { self.axes = axes }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1, "expected one input", inputs)
    require(axes.sorted() == Array(inputs[0].indices), "\(axes) does not name each axis once", inputs)
    return Shape(axes.map { inputs[0][$0] })
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let target = result.baseAddress, !result.isEmpty else { return }
    permute(inputs[0].pointer, inputs[0].shape, axes, into: target)
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient, permuted back.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [Permutation(axes.indices.sorted { axes[$0] < axes[$1] }).forward([gradient])]
  }
}

/// Deals the channels of each group out among the groups: output channel j · groups + g is channel j of group g.
///
/// `[B, C, …]` to the same shape. ShuffleNet's way to let groups see each other (Zhang et al. 2017, §3.1).
public struct ChannelShuffle: TensorOperation {
  /// Groups of neighbouring channels in the input.
  public var groups: Int

  /// A shuffle of so many groups.
  public init(groups: Int) { self.groups = groups }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank >= 2, "expected [B, C, …]", inputs)
    require(groups > 0 && inputs[0][1] % groups == 0, "channels do not divide into \(groups) groups", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let target = result.baseAddress, !result.isEmpty else { return }
    shuffle(inputs[0], groups, into: target)
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient, shuffled back: by C / groups groups.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [
      Tensor(gradient.shape) { result in
        guard let target = result.baseAddress, !result.isEmpty else { return }
        shuffle(gradient, gradient.shape[1] / groups, into: target)
      }
    ]
  }

  private func shuffle<Scalar>(_ x: Tensor<Scalar>, _ groups: Int, into result: UnsafeMutablePointer<Scalar>) {
    let pixels = x.shape.dropFirst(2).reduce(1, *)
    permute(x.pointer, [x.shape[0], groups, x.shape[1] / groups, pixels], [0, 2, 1, 3], into: result)
  }
}

/// The axes of `x` in another order; nothing is empty.
private func permute<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, _ shape: Shape, _ order: [Int], into y: UnsafeMutablePointer<Scalar>
) {
  // Axes in the result's order; those that stay neighbours are one, those of extent 1 none.
  var axes: [(extent: Int, from: Int, to: Int)] = []
  var last = -1
  for axis in order where shape[axis] > 1 {
    let stride = shape.dropFirst(axis + 1).reduce(1, *)
    let isNext = last >= 0 && axis > last && (last + 1..<axis).allSatisfy { shape[$0] == 1 }
    if isNext {
      axes[axes.count - 1].extent *= shape[axis]
      axes[axes.count - 1].from = stride
    } else {
      axes.append((shape[axis], stride, 0))
    }
    last = axis
  }
  var stride = 1
  for position in axes.indices.reversed() {
    axes[position].to = stride
    stride *= axes[position].extent
  }
  guard let inner = axes.popLast() else { return y.update(from: x, count: 1) }
  if inner.from == 1 {
    forEachPlace(axes, inner.extent) { from, to, _ in
      UnsafeMutableRawPointer(y + to).copyMemory(from: x + from, byteCount: inner.extent * MemoryLayout<Scalar>.stride)
    }
  } else {
    // The axis along which the input is contiguous trades places with the one along which the result is.
    let position = axes.firstIndex { $0.from == 1 } ?? 0
    var contiguous = axes.remove(at: position)
    // A single matrix is cut into pieces.
    let (total, step) = (contiguous.extent, contiguous.to)
    let extent = max(1, min(total, 4096 / inner.extent))
    contiguous = ((total + extent - 1) / extent, extent, step * extent)
    forEachPlace(axes + [contiguous], inner.extent * extent) { from, to, piece in
      let columns = min(extent, total - piece * extent)
      Scalar.routines.kernels.transpose(x + from, inner.from, inner.extent, columns, y + to, step)
    }
  }
}

/// Calls `body` with the offsets in input and result of every combination of indices of `axes`, and with that of the last,
/// spread over the pool; each call moves about `size` scalars.
private func forEachPlace(
  _ axes: [(extent: Int, from: Int, to: Int)], _ size: Int, _ body: (_ from: Int, _ to: Int, _ last: Int) -> Void
) {
  let places = axes.reduce(1) { $0 * $1.extent }
  let together = max(1, (1 << 14) / size)
  WorkerPool.shared.forEach((places + together - 1) / together) { piece in
    for place in piece * together..<min((piece + 1) * together, places) {
      var (rest, from, to) = (place, 0, 0)
      for axis in axes.reversed() {
        let index = rest % axis.extent
        rest /= axis.extent
        from += index * axis.from
        to += index * axis.to
      }
      body(from, to, place % (axes.last?.extent ?? 1))
    }
  }
}

extension Tensor {
  /// The axes in another order: axis i of the result is axis `axes[i]` of this tensor.
  public func permuted(_ axes: Int...) -> Tensor { Permutation(axes).applied(to: self) }

  /// Channels of `[B, C, …]` dealt out among groups: output channel j · groups + g is channel j of group g.
  public func channelsShuffled(groups: Int) -> Tensor { ChannelShuffle(groups: groups).applied(to: self) }
}
