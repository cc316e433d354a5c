import Kernels

/// Each channel of each sample times a number: x · (offset + s).
///
/// Inputs: features `[B, C, …]` and factors `[B, C]`; result of the features' shape. Attention has offset 1, a mask 0.
public struct ChannelScale: TensorOperation {
  /// Added to every factor.
  public var offset: Double

  /// A scaling by `offset` plus the factors.
  public init(offset: Double = 0) { self.offset = offset }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(
      inputs.count == 2 && inputs[0].rank >= 2 && inputs[1] == Shape(Array(inputs[0].prefix(2))),
      "expected [B, C, …] and [B, C]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    scale(inputs[0], by: inputs[1], into: result.baseAddress!)
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂x = (offset + s) ∂y, ∂s = Σ ∂y x over the channel.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, factors) = (application.inputs[0], application.inputs[1])
    let pixels = x.shape.dropFirst(2).reduce(1, *)
    return [
      application.needsGradient[0]
        ? Tensor(x.shape) { scale(gradient, by: factors, into: $0.baseAddress!) } : nil,
      application.needsGradient[1]
        ? Tensor(factors.shape) { result in
          let (from, g, target) = (x.pointer, gradient.pointer, result.baseAddress!)
          WorkerPool.shared.forEach(result.count) { channel in
            let (x, dy) = (from + channel * pixels, g + channel * pixels)
            let sum = Scalar.routines.kernels.dot(x, dy, pixels)
            target[channel] = Scalar(sum)
          }
        } : nil,
    ]
  }

  private func scale<Scalar>(
    _ x: Tensor<Scalar>, by factors: Tensor<Scalar>, into result: UnsafeMutablePointer<Scalar>
  ) {
    let pixels = x.shape.dropFirst(2).reduce(1, *)
    let (from, s, shift) = (x.pointer, factors.pointer, Scalar(offset))
    WorkerPool.shared.forEach(factors.scalarCount) { channel in
      let (factor, x, y) = (shift + s[channel], from + channel * pixels, result + channel * pixels)
      Scalar.routines.kernels.scale(x, factor, y, pixels)
    }
  }
}
