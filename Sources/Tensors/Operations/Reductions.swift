import Kernels

/// The sum over axes, in double precision and rounded once.
public struct Sum: TensorOperation {
  /// The axes that are summed over, counted from 0; `nil` for all.
  public var axes: [Int]?
  /// Whether the result has these axes with an extent of 1; otherwise it has them no more.
  public var keepsAxes: Bool

  /// A sum over `axes`, or over all of them.
  public init(axes: [Int]? = nil, keepsAxes: Bool = false) { (self.axes, self.keepsAxes) = (axes, keepsAxes) }

  public func outputShape(_ inputs: [Shape]) -> Shape { reducedShape(self, inputs, axes, keepsAxes) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    reduce(inputs[0], over: axes, scale: 1, into: result)
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient, for each of the scalars that were summed.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [spread(gradient, over: axes, scale: 1, to: application.inputs[0].shape)]
  }
}

/// The mean over axes, in double precision and rounded once.
public struct Mean: TensorOperation {
  /// The axes that the mean is taken over, counted from 0; `nil` for all.
  public var axes: [Int]?
  /// Whether the result has these axes with an extent of 1; otherwise it has them no more.
  public var keepsAxes: Bool

  /// A mean over `axes`, or over all of them.
  public init(axes: [Int]? = nil, keepsAxes: Bool = false) { (self.axes, self.keepsAxes) = (axes, keepsAxes) }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    let shape = reducedShape(self, inputs, axes, keepsAxes)
    require(inputs[0].scalarCount > 0 || shape.scalarCount == 0, "there is nothing to take the mean of", inputs)
    return shape
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let count = inputs[0].scalarCount / max(result.count, 1)
    reduce(inputs[0], over: axes, scale: 1 / Double(max(count, 1)), into: result)
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient by the number of scalars, for each of them.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let count = shape.scalarCount / max(gradient.scalarCount, 1)
    return [spread(gradient, over: axes, scale: 1 / Double(max(count, 1)), to: shape)]
  }
}

private func reducedShape(
  _ operation: some TensorOperation, _ inputs: [Shape], _ axes: [Int]?, _ keepsAxes: Bool
) -> Shape {
  operation.require(inputs.count == 1, "expected one input", inputs)
  let reduced = Set(axes ?? Array(inputs[0].indices))
  operation.require(
    reduced.count == axes?.count ?? reduced.count && reduced.allSatisfy(inputs[0].indices.contains),
    "\(axes ?? []) are not different axes", inputs)
  return Shape(
    inputs[0].indices.compactMap { reduced.contains($0) ? (keepsAxes ? 1 : nil) : inputs[0][$0] })
}

/// A tensor whose axis `count` is reduced or spread, `outer` before and `inner` after it.
private struct Reduction { var outer: Int, count: Int, inner: Int }

/// The reductions, one after another from the last axes to the first, that sum over `axes`; neighbours are one.
private func reductions(_ shape: Shape, _ axes: [Int]?) -> [Reduction] {
  let reduced = Set(axes ?? Array(shape.indices))
  var (found, inner) = ([Reduction](), 1)
  var axis = shape.rank - 1
  while axis >= 0 {
    guard reduced.contains(axis) else {
      inner *= shape[axis]
      axis -= 1
      continue
    }
    var count = 1
    while axis >= 0, reduced.contains(axis) {
      count *= shape[axis]
      axis -= 1
    }
    found.append(Reduction(outer: shape.prefix(axis + 1).reduce(1, *), count: count, inner: inner))
  }
  return found
}

private func reduce<Scalar: RealScalar>(
  _ x: Tensor<Scalar>, over axes: [Int]?, scale: Double, into result: UnsafeMutableBufferPointer<Scalar>
) {
  guard let target = result.baseAddress, !result.isEmpty else { return }
  let steps = reductions(x.shape, axes)
  guard let first = steps.first else {
    return scaled(x.pointer, by: Scalar(scale), into: target, count: result.count)
  }
  var sums = Tensor<Double>([first.outer * first.inner]) { sumRows(x.pointer, first, into: $0.baseAddress!) }
  for step in steps.dropFirst() {
    let before = sums
    sums = Tensor([step.outer * step.inner]) { sumRows(before.pointer, step, into: $0.baseAddress!) }
  }
  sums.scale(by: scale)
  Scalar.routines.kernels.fromDouble(sums.pointer, target, result.count)
}

/// `[outer, count, inner]` summed to `[outer, inner]`; blocks of the inner axis are shared out as well.
private func sumRows<Scalar: RealScalar>(
  _ x: UnsafePointer<Scalar>, _ step: Reduction, into sums: UnsafeMutablePointer<Double>
) {
  let width = min(step.inner, 512)
  let blocks = (step.inner + width - 1) / max(width, 1)
  WorkerPool.shared.forEach(step.outer * blocks) { index in
    let (outer, first) = (index / blocks, index % blocks * width)
    let from = x + outer * step.count * step.inner + first
    let columns = min(width, step.inner - first)
    let to = sums + outer * step.inner + first
    Scalar.routines.kernels.sumRows(from, step.inner, step.count, columns, to)
  }
}

/// The transpose of `reduce`: each number for all the scalars of `shape` that it is the sum of.
private func spread<Scalar: RealScalar>(
  _ gradient: Tensor<Scalar>, over axes: [Int]?, scale: Double, to shape: Shape
) -> Tensor<Scalar> {
  var result = Scaling(by: scale).forward([gradient])
  for step in reductions(shape, axes).reversed() {
    let from = result
    result = Tensor([step.outer * step.count * step.inner]) { scalars in
      guard let target = scalars.baseAddress, !scalars.isEmpty else { return }
      WorkerPool.shared.forEach(step.outer) { outer in
        let (x, y) = (from.pointer + outer * step.inner, target + outer * step.count * step.inner)
        if step.inner == 1 { return fill(y, with: x[0], count: step.count) }
        for row in 0..<step.count { (y + row * step.inner).update(from: x, count: step.inner) }
      }
    }
  }
  return Tensor(shape: shape, storage: result.storage)
}

extension Tensor {
  /// The sum over axes, counted from 0, or over all of them; the result has them no more unless they are kept.
  public func sum(axes: [Int]? = nil, keepsAxes: Bool = false) -> Tensor {
    Sum(axes: axes, keepsAxes: keepsAxes).applied(to: self)
  }

  /// The mean over axes, counted from 0, or over all of them; the result has them no more unless they are kept.
  public func mean(axes: [Int]? = nil, keepsAxes: Bool = false) -> Tensor {
    Mean(axes: axes, keepsAxes: keepsAxes).applied(to: self)
  }
}
