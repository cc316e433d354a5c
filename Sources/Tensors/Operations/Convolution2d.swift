import Kernels

/// Two-dimensional convolution (cross-correlation, as in every deep learning framework) without bias.
///
/// Inputs: features `[B, C, H, W]` and weights `[O, C, h, w]`; result `[B, O, H′, W′]`.
public struct Convolution2d: TensorOperation {
  /// Stride in both directions.
  public var stride: Int
  /// Padding with zeros.
  public var padding: Padding

  /// A convolution with this stride and padding; the kernel's size is the weights'.
  public init(stride: Int = 1, padding: Padding = .symmetric(0)) {
    (self.stride, self.padding) = (stride, padding)
  }

  package func window(_ weight: Shape) -> Window {
    Window(height: weight[2], width: weight[3], stride: stride, padding: padding)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(
      inputs.count == 2 && inputs[0].rank == 4 && inputs[1].rank == 4, "expected [B, C, H, W], [O, C, h, w]", inputs)
    require(inputs[0][1] == inputs[1][1], "the features' channels are not the weights'", inputs)
    let out = window(inputs[1]).outputSize(height: inputs[0][2], width: inputs[0][3])
    require(out.height > 0 && out.width > 0, "the kernel does not fit", inputs)
    return [inputs[0][0], inputs[1][0], out.height, out.width]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (x, weight) = (inputs[0].shape, inputs[1].shape)
    let geometry = window(weight).geometry(channels: x[1], height: x[2], width: x[3])
    convolve(
      geometry, batch: x[0], input: inputs[0].pointer,
      weights: ConvolutionWeights(
        inputs[1], for: geometry,
        algorithm: .best(geometry, outputChannels: weight[0], batch: x[0], for: Scalar.self)),
      epilogue: Epilogue(), output: result.baseAddress!)
  }

  public func multiplyAdds(_ inputs: [Shape]) -> Int {
    outputShape(inputs).scalarCount * inputs[1].dropFirst().reduce(1, *)
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// With the columns C of im2col, Y = W C: ∂C = Wᵀ ∂Y, which col2im adds up to ∂X, and ∂W = Σ ∂Y Cᵀ over the
  /// images.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    pullbackToNothing(gradient, application)
  }

  public func pullback<Scalar>(
    _ gradient: consuming Tensor<Scalar>, _ application: Application<Scalar>, addingTo sums: inout [Tensor<Scalar>?]
  ) {
    let (x, weight) = (application.inputs[0], application.inputs[1])
    let geometry = window(weight.shape).geometry(channels: x.shape[1], height: x.shape[2], width: x.shape[3])
    let shapes = ConvolutionShapes(geometry, batch: x.shape[0], outputChannels: weight.shape[0])
    if application.needsGradient[0] {
      sums[0] = Tensor(x.shape) {
        convolutionInputGradient(
          shapes, gradient.pointer, weight, adding: sums[0]?.pointer, into: $0.baseAddress!)
      }
    }
    if application.needsGradient[1] {
      let part = Tensor<Scalar>(weight.shape) {
        convolutionWeightGradient(shapes, gradient.pointer, x.pointer, into: $0.baseAddress!)
      }
      add(part, to: &sums[1])
    }
  }
}
