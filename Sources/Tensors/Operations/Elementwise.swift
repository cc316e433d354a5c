import Kernels

/// The sum of two tensors of one shape.
public struct Addition: TensorOperation {
  /// The operation.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 2 && inputs[0] == inputs[1], "expected two tensors of one shape", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (a, b, y) = (inputs[0].pointer, inputs[1].pointer, result.baseAddress!)
    forEachChunk(of: result.count) { range in
      let first = range.lowerBound
      Scalar.routines.kernels.add(a + first, b + first, y + first, range.count)
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [gradient, gradient]
  }
}

/// The same scalars under another shape. One extent may be −1: whatever is left.
public struct Reshape: TensorOperation {
  /// The new extents.
  public var dimensions: [Int]

  /// A reshape to these extents.
  public init(_ dimensions: [Int]) { self.dimensions = dimensions }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1, "expected one input", inputs)
    let known = dimensions.filter { $0 >= 0 }.reduce(1, *)
    let shape = Shape(dimensions.map { $0 >= 0 ? $0 : inputs[0].scalarCount / max(known, 1) })
    require(shape.scalarCount == inputs[0].scalarCount, "cannot become \(dimensions)", inputs)
    return shape
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>]) -> Tensor<Scalar> {
    Tensor(shape: outputShape([inputs[0].shape]), storage: inputs[0].storage)
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    inputs[0].withUnsafeScalars { _ = result.update(fromContentsOf: $0) }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [Tensor(shape: application.inputs[0].shape, storage: gradient.storage)]
  }
}

/// Calls `body` with ranges that together cover `0 ..< count`, spread over the pool.
package func forEachChunk(of count: Int, _ body: (Range<Int>) -> Void) {
  let chunk = 1 << 16
  WorkerPool.shared.forEach((count + chunk - 1) / chunk) { body($0 * chunk..<min(count, ($0 + 1) * chunk)) }
}

extension Tensor {
  /// The sum of two tensors of one shape.
  public static func + (a: Tensor, b: Tensor) -> Tensor { Addition().applied(to: a, b) }

  /// The same scalars under another shape; one extent may be −1.
  public func reshaped(to dimensions: [Int]) -> Tensor { Reshape(dimensions).applied(to: self) }
}
