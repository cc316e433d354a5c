/// The parameter-free shortcut of CIFAR ResNets: every `stride`-th pixel, channels of zeros before and after.
///
/// Input `[B, C, H, W]`, result `[B, C + before + after, ⌈H / stride⌉, ⌈W / stride⌉]`. He et al. 2015, §4.2, option A.
public struct ChannelPaddingShortcut: TensorOperation {
  /// Pixels from one that is kept to the next.
  public var stride: Int
  /// Channels of zeros before the input's.
  public var before: Int
  /// Channels of zeros after the input's.
  public var after: Int

  /// A shortcut that keeps every `stride`-th pixel and adds channels of zeros.
  public init(stride: Int, before: Int, after: Int) { (self.stride, self.before, self.after) = (stride, before, after) }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 4, "expected [B, C, H, W]", inputs)
    let x = inputs[0]
    return [x[0], before + x[1] + after, (x[2] + stride - 1) / stride, (x[3] + stride - 1) / stride]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (x, shape) = (inputs[0].pointer, inputs[0].shape)
    let out = outputShape([shape])
    let (inputPlane, outputPlane) = (shape[2] * shape[3], out[2] * out[3])
    let y = result.baseAddress!
    for image in 0..<out[0] {
      for channel in 0..<out[1] {
        let plane = y + (image * out[1] + channel) * outputPlane
        guard channel >= before && channel < before + shape[1] else {
          plane.update(repeating: 0, count: outputPlane)
          continue
        }
        let source = x + (image * shape[1] + channel - before) * inputPlane
        for row in 0..<out[2] {
          for column in 0..<out[3] {
            plane[row * out[3] + column] = source[row * stride * shape[3] + column * stride]
          }
        }
      }
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (shape, out, g) = (application.inputs[0].shape, gradient.shape, gradient.pointer)
    return [
      Tensor(shape) { result in
        result.update(repeating: 0)
        for image in 0..<shape[0] {
          for channel in 0..<shape[1] {
            let from = (image * out[1] + before + channel) * out[2] * out[3]
            let to = (image * shape[1] + channel) * shape[2] * shape[3]
            for row in 0..<out[2] {
              for column in 0..<out[3] {
                result[to + row * stride * shape[3] + column * stride] = g[from + row * out[3] + column]
              }
            }
          }
        }
      }
    ]
  }
}
