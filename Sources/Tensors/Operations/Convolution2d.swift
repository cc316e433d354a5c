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
    convolve(
      window(weight).geometry(channels: x[1], height: x[2], width: x[3]), batch: x[0], outputChannels: weight[0],
      input: inputs[0].pointer, weight: inputs[1].pointer, epilogue: Epilogue(), output: result.baseAddress!)
  }

  public func multiplyAdds(_ inputs: [Shape]) -> Int {
    outputShape(inputs).scalarCount * inputs[1].dropFirst().reduce(1, *)
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// With the columns C of im2col, Y = W C: ∂C = Wᵀ ∂Y, which col2im adds up to ∂X, and ∂W = Σ ∂Y Cᵀ over the images.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, weight) = (application.inputs[0], application.inputs[1])
    let geometry = window(weight.shape).geometry(channels: x.shape[1], height: x.shape[2], width: x.shape[3])
    let shapes = ConvolutionShapes(geometry, batch: x.shape[0], outputChannels: weight.shape[0])
    let wantsInput = application.needsGradient[0], wantsWeight = application.needsGradient[1]
    return [
      wantsInput
        ? Tensor(x.shape) { convolutionInputGradient(shapes, gradient.pointer, weight.pointer, into: $0.baseAddress!) }
        : nil,
      wantsWeight
        ? Tensor(weight.shape) {
          convolutionWeightGradient(shapes, gradient.pointer, x.pointer, into: $0.baseAddress!)
        } : nil,
    ]
  }
}

/// What is done to a convolution's output while it is in cache.
package struct Epilogue<Scalar: RealScalar> {
  /// Added to each output channel.
  package var bias: UnsafePointer<Scalar>?
  /// Features of the output's shape that are added.
  package var residual: UnsafePointer<Scalar>?
  /// Whether negative results become 0.
  package var relu = false

  package init(bias: UnsafePointer<Scalar>? = nil, residual: UnsafePointer<Scalar>? = nil, relu: Bool = false) {
    (self.bias, self.residual, self.relu) = (bias, residual, relu)
  }

  fileprivate var isEmpty: Bool { bias == nil && residual == nil && !relu }
}

/// Output pixels of one product: enough that packing the weights is small beside multiplying, few enough that the
/// columns stay in the second-level cache.
private let pixelsPerPiece = 512

/// Convolves a batch by im2col and one product for each piece of an image; pieces are spread over the pool.
///
/// A 1×1 convolution of stride 1 multiplies the features where they are.
package func convolve<Scalar: RealScalar>(
  _ geometry: covpool_window, batch: Int, outputChannels: Int, input: UnsafePointer<Scalar>,
  weight: UnsafePointer<Scalar>, epilogue: Epilogue<Scalar>, output: UnsafeMutablePointer<Scalar>
) {
  let pixels = geometry.out_height * geometry.out_width
  let taps = geometry.channels * geometry.kernel_height * geometry.kernel_width
  let inputSize = geometry.channels * geometry.height * geometry.width
  let isPointwise = ConvolutionShapes(geometry, batch: batch, outputChannels: outputChannels).isPointwise
  let pool = WorkerPool.shared
  let pieces = max((pixels + pixelsPerPiece - 1) / pixelsPerPiece, min(pool.width / max(batch, 1), pixels / 64), 1)
  let longest = (pixels + pieces - 1) / pieces
  pool.forEach(batch * pieces) { index in
    let (image, piece) = (index / pieces, index % pieces)
    let range = piece * pixels / pieces..<(piece + 1) * pixels / pieces
    let features = input + image * inputSize
    let target = output + image * outputChannels * pixels + range.lowerBound
    let weights = MatrixView(weight, rows: outputChannels, columns: taps)
    if isPointwise {
      let columns = MatrixView(features + range.lowerBound, rows: taps, columns: range.count, stride: pixels)
      multiply(weights, columns, into: target, stride: pixels)
    } else {
      withScratch(of: Scalar.self, taps * longest) { columns in
        im2col(geometry, features, pixels: range, into: columns)
        multiply(
          weights, MatrixView(columns, rows: taps, columns: range.count), into: target, stride: pixels)
      }
    }
    if !epilogue.isEmpty {
      let residual = epilogue.residual.map { $0 + image * outputChannels * pixels + range.lowerBound }
      finish(
        target, stride: pixels, bias: epilogue.bias, residual: residual, relu: epilogue.relu, rows: outputChannels,
        columns: range.count)
    }
  }
}

func im2col<Scalar: RealScalar>(
  _ geometry: covpool_window, _ x: UnsafePointer<Scalar>, pixels: Range<Int>, into columns: UnsafeMutablePointer<Scalar>
) {
  withUnsafePointer(to: geometry) { window in
    forPrecision(
      of: Scalar.self,
      float: { covpool_im2col_f32(window, x.float, pixels.lowerBound, pixels.upperBound, columns.float) },
      double: { covpool_im2col_f64(window, x.double, pixels.lowerBound, pixels.upperBound, columns.double) })
  }
}

private func finish<Scalar: RealScalar>(
  _ y: UnsafeMutablePointer<Scalar>, stride: Int, bias: UnsafePointer<Scalar>?, residual: UnsafePointer<Scalar>?,
  relu: Bool, rows: Int, columns: Int
) {
  forPrecision(
    of: Scalar.self,
    float: {
      covpool_epilogue_f32(y.float, stride, bias?.float, residual?.float, stride, relu ? 1 : 0, rows, columns)
    },
    double: {
      covpool_epilogue_f64(y.double, stride, bias?.double, residual?.double, stride, relu ? 1 : 0, rows, columns)
    })
}
