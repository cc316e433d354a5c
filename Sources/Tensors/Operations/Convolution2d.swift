import Kernels

/// Two-dimensional convolution (cross-correlation, as in every deep learning framework).
///
/// Inputs: features `[B, C, H, W]`, weights `[O, C / groups, h, w]` and, optionally, bias `[O]`; result `[B, O, H′, W′]`.
/// With several groups, output channel o sees only the input channels of its group, o / (O / groups).
public struct Convolution2d: TensorOperation {
  /// Stride in both directions.
  public var stride: Int
  /// Padding with zeros.
  public var padding: Padding
  /// Pixels from one tap of the kernel to the next, in both directions.
  public var dilation: Int
  /// Groups of channels that are convolved by themselves; as many as channels for a depthwise convolution.
  public var groups: Int

  /// A convolution with this stride, padding, dilation and number of groups; the kernel's size is the weights'.
  public init(stride: Int = 1, padding: Padding = .symmetric(0), dilation: Int = 1, groups: Int = 1) {
    (self.stride, self.padding, self.dilation, self.groups) = (stride, padding, dilation, groups)
  }

  package func window(_ weight: Shape) -> Window {
    Window(height: weight[2], width: weight[3], stride: stride, padding: padding, dilation: dilation)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(
      2...3 ~= inputs.count && inputs[0].rank == 4 && inputs[1].rank == 4,
      "expected [B, C, H, W], [O, C / groups, h, w] and perhaps [O]", inputs)
    let (channels, outputs) = (inputs[0][1], inputs[1][0])
    require(
      groups > 0 && channels % groups == 0 && outputs % groups == 0,
      "\(channels) and \(outputs) channels do not divide into \(groups) groups", inputs)
    require(
      channels / groups == inputs[1][1],
      "weights for \(inputs[1][1]) input channels, and each of \(groups) groups has \(channels / groups)", inputs)
    require(inputs.count == 2 || inputs[2] == [outputs], "a bias of another length than \(outputs)", inputs)
    let out = window(inputs[1]).outputSize(height: inputs[0][2], width: inputs[0][3])
    require(out.height > 0 && out.width > 0, "the kernel does not fit", inputs)
    return [inputs[0][0], outputs, out.height, out.width]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (x, weight) = (inputs[0].shape, inputs[1].shape)
    let geometry = window(weight).geometry(channels: x[1], height: x[2], width: x[3])
    let algorithm =
      groups == 1 ? ConvolutionAlgorithm.best(geometry, outputChannels: weight[0], batch: x[0], for: Scalar.self) : nil
    convolve(
      geometry, batch: x[0], input: inputs[0].pointer,
      weights: ConvolutionWeights(inputs[1], for: geometry, groups: groups, algorithm: algorithm),
      epilogue: Epilogue(bias: inputs.count == 3 ? inputs[2].pointer : nil), output: result.baseAddress!)
  }

  public func multiplyAdds(_ inputs: [Shape]) -> Int {
    outputShape(inputs).scalarCount * inputs[1].dropFirst().reduce(1, *)
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// With the columns C of im2col, Y = W C: ∂C = Wᵀ ∂Y, which col2im adds up to ∂X, and ∂W = Σ ∂Y Cᵀ over the
  /// images; ∂bias = Σ ∂Y over images and pixels.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    pullbackToNothing(gradient, application)
  }

  public func pullback<Scalar>(
    _ gradient: consuming Tensor<Scalar>, _ application: Application<Scalar>, addingTo sums: inout [Tensor<Scalar>?]
  ) {
    let (x, weight, needs) = (application.inputs[0], application.inputs[1], application.needsGradient)
    let geometry = window(weight.shape).geometry(channels: x.shape[1], height: x.shape[2], width: x.shape[3])
    let shapes = ConvolutionShapes(geometry, batch: x.shape[0], outputChannels: weight.shape[0])
    let dy = consume gradient
    let (g, isDepthwise) = (dy.pointer, groups > 1 && groups == x.shape[1] && groups == weight.shape[0])
    if application.inputs.count == 3, needs[2] { add(Sum(axes: [0, 2, 3]).forward([dy]), to: &sums[2]) }
    if needs[0] {
      sums[0] = Tensor(x.shape) {
        let (sum, target) = (sums[0]?.pointer, $0.baseAddress!)
        if isDepthwise {
          depthwiseInputGradient(shapes, g, weight.pointer, adding: sum, into: target)
        } else if groups > 1 {
          groupedInputGradient(shapes, groups, dy, weight, adding: sum, into: target)
        } else {
          convolutionInputGradient(shapes, g, weight, adding: sum, into: target)
        }
      }
    }
    if needs[1] {
      let part = Tensor<Scalar>(weight.shape) {
        if isDepthwise {
          depthwiseWeightGradient(shapes, g, x.pointer, into: $0.baseAddress!)
        } else if groups > 1 {
          groupedWeightGradient(shapes, groups, dy, x, into: $0.baseAddress!)
        } else {
          convolutionWeightGradient(shapes, g, x.pointer, into: $0.baseAddress!)
        }
      }
      add(part, to: &sums[1])
    }
  }
}
