import Kernels

/// Batch normalisation with given statistics: (x − mean) / √(variance + eps) · weight + bias for each channel.
///
/// Inputs: features `[B, C, …]`, then weight, bias, running mean and running variance, each `[C]`.
/// Ioffe and Szegedy 2015, algorithm 2.
public struct BatchNormalization: TensorOperation {
  /// Added to the variance under the root.
  public var eps: Double

  /// A normalisation with this `eps`.
  public init(eps: Double) { self.eps = eps }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 5 && inputs[0].rank >= 2, "expected [B, C, …], [C], [C], [C], [C]", inputs)
    require(inputs[1...].allSatisfy { $0 == [inputs[0][1]] }, "statistics of another number of channels", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (shape, x, y) = (inputs[0].shape, inputs[0].pointer, result.baseAddress!)
    let (scale, shift) = affine(weight: inputs[1], bias: inputs[2], mean: inputs[3], variance: inputs[4])
    let (channels, pixels) = (shape[1], shape.dropFirst(2).reduce(1, *))
    let size = channels * pixels
    WorkerPool.shared.forEach(shape[0]) { image in
      forPrecision(
        of: Scalar.self,
        float: {
          covpool_scale_shift_f32(
            (x + image * size).float, scale.pointer.float, shift.pointer.float, (y + image * size).float, channels,
            pixels)
        },
        double: {
          covpool_scale_shift_f64(
            (x + image * size).double, scale.pointer.double, shift.pointer.double, (y + image * size).double, channels,
            pixels)
        })
    }
  }

  /// The normalisation as y = scale · x + shift, each `[C]`, computed in double precision.
  package func affine<Scalar>(
    weight: Tensor<Scalar>, bias: Tensor<Scalar>, mean: Tensor<Scalar>, variance: Tensor<Scalar>
  ) -> (scale: Tensor<Scalar>, shift: Tensor<Scalar>) {
    let scale = zip(weight.scalars, variance.scalars).map { Double($0) / (Double($1) + eps).squareRoot() }
    let shift = zip(bias.scalars, zip(mean.scalars, scale)).map { Double($0) - Double($1.0) * $1.1 }
    return (Tensor(weight.shape, scale.map { Scalar($0) }), Tensor(weight.shape, shift.map { Scalar($0) }))
  }
}
