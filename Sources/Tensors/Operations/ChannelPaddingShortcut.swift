import Kernels

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
    let (x, y, shape) = (inputs[0].pointer, result.baseAddress!, inputs[0].shape)
    forEachImage(shape) { geometry, input, output in
      Scalar.routines.kernels.padChannels(geometry, x + input, before, after, y + output)
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient where a pixel was kept, 0 elsewhere.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (shape, g) = (application.inputs[0].shape, gradient.pointer)
    return [
      Tensor(shape) { result in
        let target = result.baseAddress!
        forEachImage(shape) { geometry, input, output in
          Scalar.routines.kernels.padChannelsGradient(geometry, g + output, before, after, target + input)
        }
      }
    ]
  }

  /// Calls `body` with the sizes and each image's offsets in input and result.
  private func forEachImage(_ x: Shape, _ body: (UnsafePointer<covpool_window>, Int, Int) -> Void) {
    let out = outputShape([x])
    let geometry = Window(height: 1, width: 1, stride: stride, padding: .symmetric(0)).geometry(
      channels: x[1], height: x[2], width: x[3])
    WorkerPool.shared.forEach(x[0]) { image in
      withUnsafePointer(to: geometry) {
        body($0, image * x[1] * x[2] * x[3], image * out[1] * out[2] * out[3])
      }
    }
  }
}
