import Kernels

/// A range of one axis: `[…, n, …]` to `[…, range.count, …]`.
public struct AxisSlice: TensorOperation {
  /// The axis, counted from 0.
  public var axis: Int
  /// What is kept of it.
  public var range: Range<Int>

  /// The part `range` of an axis.
  public init(axis: Int, _ range: Range<Int>) { (self.axis, self.range) = (axis, range) }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1, "expected one input", inputs)
    require(inputs[0].indices.contains(axis), "there is no axis \(axis)", inputs)
    require((0...inputs[0][axis]).contains(range.upperBound) && range.lowerBound >= 0, "\(range) is not there", inputs)
    var shape = inputs[0].dimensions
    shape[axis] = range.count
    return Shape(shape)
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let layout = RowLayout(inputs[0].shape, axis)
    guard let target = result.baseAddress else { return }
    copyRows(
      inputs[0].pointer + range.lowerBound * layout.inner, stride: layout.row, into: target,
      stride: range.count * layout.inner, rows: layout.outer, columns: range.count * layout.inner)
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient in its place, 0 elsewhere.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    pullbackToNothing(gradient, application)
  }

  public func pullback<Scalar>(
    _ gradient: consuming Tensor<Scalar>, _ application: Application<Scalar>, addingTo sums: inout [Tensor<Scalar>?]
  ) {
    guard application.needsGradient[0] else { return }
    let shape = application.inputs[0].shape
    let layout = RowLayout(shape, axis)
    let (g, offset, length) = (gradient.pointer, range.lowerBound * layout.inner, range.count * layout.inner)
    if var sum = sums[0] {
      sums[0] = nil  // so that `sum` alone owns the memory and is written in place
      sum.withUnsafeMutableScalars { scalars in
        guard let target = scalars.baseAddress else { return }
        WorkerPool.shared.forEach(layout.outer) {
          accumulate(g + $0 * length, into: target + $0 * layout.row + offset, count: length)
        }
      }
      sums[0] = sum
    } else {
      var part = Tensor<Scalar>(shape, repeating: 0)
      part.withUnsafeMutableScalars { scalars in
        guard let target = scalars.baseAddress else { return }
        copyRows(g, stride: length, into: target + offset, stride: layout.row, rows: layout.outer, columns: length)
      }
      sums[0] = part
    }
  }
}

/// Tensors one after another along an axis: `[…, n₀, …]`, `[…, n₁, …]`, … to `[…, n₀ + n₁ + …, …]`.
public struct Concatenation: TensorOperation {
  /// The axis, counted from 0; all others agree.
  public var axis: Int

  /// A concatenation along an axis.
  public init(axis: Int) { self.axis = axis }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(!inputs.isEmpty, "expected at least one input", inputs)
    require(inputs[0].indices.contains(axis), "there is no axis \(axis)", inputs)
    var shape = inputs[0].dimensions
    for input in inputs {
      require(input.rank == shape.count, "ranks differ", inputs)
      shape[axis] = input[axis]
      require(input.dimensions == shape, "other axes than \(axis) differ", inputs)
    }
    shape[axis] = inputs.reduce(0) { $0 + $1[axis] }
    return Shape(shape)
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard var target = result.baseAddress else { return }
    let row = RowLayout(outputShape(inputs.map(\.shape)), axis).row
    for input in inputs {
      let layout = RowLayout(input.shape, axis)
      copyRows(input.pointer, stride: layout.row, into: target, stride: row, rows: layout.outer, columns: layout.row)
      target += layout.row
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// Each input's part of the gradient.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    var start = 0
    return zip(application.inputs, application.needsGradient).map { input, isWanted in
      defer { start += input.shape[axis] }
      return isWanted ? AxisSlice(axis: axis, start..<start + input.shape[axis]).forward([gradient]) : nil
    }
  }
}

/// A tensor as rows: everything from an axis on is one row.
private struct RowLayout {
  /// Rows, scalars of an index of the axis, and scalars of a row.
  let outer: Int, inner: Int, row: Int

  init(_ shape: Shape, _ axis: Int) {
    outer = shape.prefix(axis).reduce(1, *)
    inner = shape.dropFirst(axis + 1).reduce(1, *)
    row = inner * shape[axis]
  }
}

/// Copies rows of `columns` scalars that are `stride` apart, spread over the pool.
func copyRows<Scalar: BitwiseCopyable>(
  _ x: UnsafePointer<Scalar>, stride: Int, into y: UnsafeMutablePointer<Scalar>, stride targetStride: Int, rows: Int,
  columns: Int
) {
  let size = MemoryLayout<Scalar>.stride
  func copy(_ row: Int, _ part: Range<Int>) {
    UnsafeMutableRawPointer(y + row * targetStride + part.lowerBound).copyMemory(
      from: x + row * stride + part.lowerBound, byteCount: part.count * size)
  }
  guard columns > 0 else { return }
  // Long rows are shared out among threads, short ones taken together.
  if columns >= 1 << 16 {
    for row in 0..<rows { forEachChunk(of: columns) { copy(row, $0) } }
  } else {
    let together = max(1, (1 << 15) / columns)
    WorkerPool.shared.forEach((rows + together - 1) / together) { piece in
      for row in piece * together..<min((piece + 1) * together, rows) { copy(row, 0..<columns) }
    }
  }
}

extension Tensor {
  /// The part `range` of an axis: `[…, n, …]` to `[…, range.count, …]`.
  public func sliced(axis: Int, _ range: Range<Int>) -> Tensor { AxisSlice(axis: axis, range).applied(to: self) }

  /// `parts` tensors of equal extent, one after another along an axis.
  /// - Precondition: the axis divides into so many parts.
  public func split(axis: Int, parts: Int) -> [Tensor] {
    check(
      shape.indices.contains(axis) && parts > 0 && shape[axis] % parts == 0,
      "split: axis \(axis) of a tensor \(shape) does not divide into \(parts) parts")
    let extent = shape[axis] / parts
    return (0..<parts).map { sliced(axis: axis, $0 * extent..<($0 + 1) * extent) }
  }

  /// Tensors one after another along an axis; all other axes agree.
  public static func concatenate(_ tensors: [Tensor], axis: Int) -> Tensor {
    Concatenation(axis: axis).applied(to: tensors)
  }
}
