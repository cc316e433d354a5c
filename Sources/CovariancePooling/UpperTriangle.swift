import Kernels

/// The upper triangle with diagonal, row by row: `[B, d, d]` to `[B, d (d + 1) / 2]`.
public struct UpperTriangle: TensorOperation {
  /// The operation.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 3 && inputs[0][1] == inputs[0][2], "expected [B, d, d]", inputs)
    return [inputs[0][0], inputs[0][1] * (inputs[0][1] + 1) / 2]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, d) = (inputs[0].shape[0], inputs[0].shape[1])
    let (x, y) = (inputs[0].pointer, result.baseAddress!)
    WorkerPool.shared.forEach(batch) { sample in
      let (from, to) = (x + sample * d * d, y + sample * (d * (d + 1) / 2))
      Scalar.routines.kernels.upperTriangle(from, to, d)
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient of the upper triangle, zeros below: what comes before treats its input as symmetric.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let (d, g) = (shape[1], gradient.pointer)
    return [
      Tensor(shape) { result in
        let first = result.baseAddress!
        WorkerPool.shared.forEach(shape[0]) { sample in
          let (from, to) = (g + sample * (d * (d + 1) / 2), first + sample * d * d)
          Scalar.routines.kernels.fromUpperTriangle(from, to, d)
        }
      }
    ]
  }
}
