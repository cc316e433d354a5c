/// Products of matrices: `[…, m, k]` and `[…, k, n]` to `[…, m, n]`.
///
/// Axes before the last two count through a batch. They are broadcast as in PyTorch: from the last to the first, an
/// extent of 1 or a missing axis goes with any other.
public struct MatrixProduct: TensorOperation {
  /// a · b for inputs a and b.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(
      inputs.count == 2 && inputs[0].rank >= 2 && inputs[1].rank >= 2, "expected […, m, k] and […, k, n]", inputs)
    let (a, b) = (inputs[0], inputs[1])
    require(a[a.rank - 1] == b[b.rank - 2], "inner extents differ", inputs)
    let rank = max(a.rank, b.rank) - 2
    var batch = [Int](repeating: 1, count: rank)
    for (position, extents) in [a, b].enumerated() {
      for (axis, extent) in zip(rank - (extents.rank - 2)..<rank, extents) where extent != 1 {
        require(position == 0 || batch[axis] == 1 || batch[axis] == extent, "batches differ", inputs)
        batch[axis] = extent
      }
    }
    return Shape(batch + [a[a.rank - 2], b[b.rank - 1]])
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let target = result.baseAddress, !result.isEmpty else { return }
    let batch = MatrixBatch(inputs[0].shape, inputs[1].shape, outputShape(inputs.map(\.shape)))
    let (a, b) = (inputs[0].pointer, inputs[1].pointer)
    if batch.isOneProduct {
      return batch.forEachRowsOfOne { rows in
        multiply(
          MatrixView(a + rows.lowerBound * batch.k, rows: rows.count, columns: batch.k),
          MatrixView(b, rows: batch.k, columns: batch.n), into: target + rows.lowerBound * batch.n)
      }
    }
    WorkerPool.shared.forEach(batch.count) { index in
      multiply(
        MatrixView(a + batch.left[index] * batch.m * batch.k, rows: batch.m, columns: batch.k),
        MatrixView(b + batch.right[index] * batch.k * batch.n, rows: batch.k, columns: batch.n),
        into: target + index * batch.m * batch.n)
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂a = ∂y · bᵀ, ∂b = aᵀ · ∂y, summed over what was broadcast.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (a, b) = (application.inputs[0], application.inputs[1])
    let batch = MatrixBatch(a.shape, b.shape, gradient.shape)
    let (m, k, n) = (batch.m, batch.k, batch.n)
    func y(_ index: Int) -> MatrixView<Scalar> {
      MatrixView(gradient.pointer + index * m * n, rows: m, columns: n)
    }
    /// The sum of `product` over the results that each matrix of an input has a part in.
    func sums(
      _ shape: Shape, _ size: Int, _ matrices: [Int],
      _ product: (_ index: Int, _ target: UnsafeMutablePointer<Scalar>, _ keeping: Scalar) -> Void
    ) -> Tensor<Scalar> {
      var parts = [[Int]](repeating: [], count: size == 0 ? 0 : shape.scalarCount / size)
      for (index, matrix) in matrices.enumerated() where size > 0 { parts[matrix].append(index) }
      return Tensor(shape) { result in
        guard let target = result.baseAddress, !result.isEmpty else { return }
        fill(target, with: 0, count: result.count)
        WorkerPool.shared.forEach(parts.count) { matrix in
          for index in parts[matrix] { product(index, target + matrix * size, 1) }
        }
      }
    }
    return [
      application.needsGradient[0]
        ? sums(a.shape, m * k, batch.left) { index, target, keeping in
          let right = MatrixView(b.pointer + batch.right[index] * k * n, rows: k, columns: n)
          multiply(y(index), right.transposed, into: target, keeping: keeping)
        } : nil,
      application.needsGradient[1]
        ? sums(b.shape, k * n, batch.right) { index, target, keeping in
          let left = MatrixView(a.pointer + batch.left[index] * m * k, rows: m, columns: k)
          multiply(left.transposed, y(index), into: target, keeping: keeping)
        } : nil,
    ]
  }

  public func multiplyAdds(_ inputs: [Shape]) -> Int {
    outputShape(inputs).scalarCount * inputs[0][inputs[0].rank - 1]
  }
}

/// Which matrices of two batches are multiplied with each other.
private struct MatrixBatch {
  let m: Int, k: Int, n: Int
  /// Products, and for each the places of its matrices in the two batches.
  let count: Int, left: [Int], right: [Int]

  init(_ a: Shape, _ b: Shape, _ result: Shape) {
    (m, k, n) = (a[a.rank - 2], a[a.rank - 1], b[b.rank - 1])
    let batch = result.dropLast(2)
    let count = batch.reduce(1, *)
    func places(_ shape: Shape) -> [Int] {
      var (strides, stride) = ([Int](), 1)
      for extent in shape.dropLast(2).reversed() {
        strides.append(extent == 1 ? 0 : stride)
        stride *= extent
      }
      return (0..<count).map { index in
        var (rest, place) = (index, 0)
        for (extent, stride) in zip(batch.reversed(), strides) {
          place += rest % extent * stride
          rest /= extent
        }
        return place
      }
    }
    (self.count, left, right) = (count, places(a), places(b))
  }

  /// Whether all rows of the left batch are multiplied with one matrix, in order.
  var isOneProduct: Bool { right.allSatisfy { $0 == 0 } && left == Array(0..<count) }

  /// Calls `body` with rows of the left batch, always in the same pieces, since BLAS rounds differently for others.
  func forEachRowsOfOne(_ body: (Range<Int>) -> Void) {
    let (rows, piece) = (count * m, 128)
    WorkerPool.shared.forEach((rows + piece - 1) / piece) { body($0 * piece..<min(($0 + 1) * piece, rows)) }
  }
}

extension Tensor {
  /// The product of matrices, `[…, m, k]` and `[…, k, n]` to `[…, m, n]`; axes before the last two are a batch, and
  /// extents of 1 there go with any other.
  public func matmul(_ other: Tensor) -> Tensor { MatrixProduct().applied(to: self, other) }
}
