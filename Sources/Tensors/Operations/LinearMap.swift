import Kernels

/// A fully connected layer: y = x · weightᵀ + bias.
///
/// Inputs: x `[…, I]`, weight `[O, I]` and, optionally, bias `[O]`; result `[…, O]`.
public struct LinearMap: TensorOperation {
  /// The operation.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(
      (inputs.count == 2 || inputs.count == 3) && inputs[0].rank >= 1 && inputs[1].rank == 2,
      "expected […, I], [O, I] and perhaps [O]", inputs)
    require(inputs[0].last == inputs[1][1], "features and weights differ in length", inputs)
    require(inputs.count == 2 || inputs[2] == [inputs[1][0]], "bias of another length", inputs)
    return Shape(inputs[0].dropLast() + [inputs[1][0]])
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, features, outputs) = sizes(inputs[0].shape, inputs[1].shape)
    let (x, weight, y) = (inputs[0].pointer, inputs[1].pointer, result.baseAddress!)
    let bias = inputs.count == 3 ? inputs[2].pointer : nil
    // Reading the weights is what takes time: each thread reads its own rows, once for the batch.
    let pieces = min(outputs, WorkerPool.shared.width * max(1, (outputs * features) >> 21))
    WorkerPool.shared.forEach(pieces) { piece in
      let rows = piece * outputs / pieces..<(piece + 1) * outputs / pieces
      // BLAS packs the weights first, which pays only for many images.
      if batch <= 64, let packed = Scalar.preferredPackedKernels {
        packed.linear(x, batch, weight, features, outputs, rows.lowerBound, rows.upperBound, y)
      } else {
        let block = MatrixView(weight + rows.lowerBound * features, rows: rows.count, columns: features)
        multiply(
          MatrixView(x, rows: batch, columns: features), block.transposed, into: y + rows.lowerBound, stride: outputs)
      }
      guard let bias else { return }
      for image in 0..<batch {
        for row in rows { y[image * outputs + row] += bias[row] }
      }
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂x = ∂y · weight, ∂weight = ∂yᵀ · x, ∂bias = Σ ∂y over all axes but the last.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, weight) = (application.inputs[0], application.inputs[1])
    let (batch, features, outputs) = sizes(x.shape, weight.shape)
    let g = MatrixView(gradient.pointer, rows: batch, columns: outputs)
    let pool = WorkerPool.shared
    var gradients: [Tensor<Scalar>?] = [nil, nil]
    if application.needsGradient[0] {
      gradients[0] = Tensor(x.shape) { result in
        // Columns of the weights are shared out: each thread reads its own, once.
        let pieces = max(1, min(pool.width, features / 64))
        let target = result.baseAddress!
        pool.forEach(pieces) { piece in
          let columns = piece * features / pieces..<(piece + 1) * features / pieces
          let block = MatrixView(
            weight.pointer + columns.lowerBound, rows: outputs, columns: columns.count, stride: features)
          multiply(g, block, into: target + columns.lowerBound, stride: features)
        }
      }
    }
    if application.needsGradient[1] {
      gradients[1] = Tensor(weight.shape) { result in
        multiply(
          g.transposed, MatrixView(x.pointer, rows: batch, columns: features), into: result.baseAddress!, over: pool)
      }
    }
    if application.inputs.count == 3 {
      var sums = [Scalar](repeating: 0, count: outputs)
      for image in 0..<batch {
        for output in 0..<outputs { sums[output] += gradient.pointer[image * outputs + output] }
      }
      gradients.append(Tensor([outputs], sums))
    }
    return gradients
  }

  /// Rows of x, all its axes but the last together, and the lengths of a row and of a result.
  private func sizes(_ x: Shape, _ weight: Shape) -> (rows: Int, features: Int, outputs: Int) {
    (x.dropLast().reduce(1, *), weight[1], weight[0])
  }

  public func multiplyAdds(_ inputs: [Shape]) -> Int { inputs[0].scalarCount * inputs[1][0] }
}
