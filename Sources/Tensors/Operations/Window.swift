import Kernels

/// How a convolution or pooling pads its input.
public enum Padding: Hashable, Sendable {
  /// The same number of pixels on all four sides, as PyTorch pads.
  case symmetric(Int)
  /// As many as make the output ⌈n / stride⌉ long, the odd pixel at the end: MindSpore's and TensorFlow's `same`.
  case same

  /// Pixels added before and after an axis of `extent` pixels.
  func amounts(extent: Int, kernel: Int, stride: Int) -> (before: Int, after: Int) {
    switch self {
    case .symmetric(let pixels): return (pixels, pixels)
    case .same:
      let total = max(((extent + stride - 1) / stride - 1) * stride + kernel - extent, 0)
      return (total / 2, total - total / 2)
    }
  }
}

/// The sliding window of a two-dimensional convolution or pooling: kernel size, stride, padding and dilation.
public struct Window: Hashable, Sendable {
  /// Rows and columns of the kernel.
  public var height, width: Int
  /// Pixels from one position to the next, in both directions.
  public var stride: Int
  /// What is added around the input.
  public var padding: Padding
  /// Pixels from one that the kernel sees to the next; 1 for neighbours. Poolings have 1.
  public var dilation: Int

  /// A window of `height` × `width` pixels, which are `dilation` apart.
  /// - Precondition: height, width, stride and dilation are positive.
  public init(height: Int, width: Int, stride: Int, padding: Padding, dilation: Int = 1) {
    check(
      height > 0 && width > 0 && stride > 0 && dilation > 0,
      "window \(height)×\(width) with stride \(stride) and dilation \(dilation)")
    (self.height, self.width, self.stride, self.padding) = (height, width, stride, padding)
    self.dilation = dilation
  }

  /// Whether the window sees one pixel at a time and every pixel.
  var isPointwise: Bool {
    guard height == 1, width == 1, stride == 1 else { return false }
    return padding == .symmetric(0) || padding == .same
  }

  /// Height and width of the output for an input of `height` × `width`; not positive where the window does not fit.
  func outputSize(height inputHeight: Int, width inputWidth: Int) -> (height: Int, width: Int) {
    func extent(_ n: Int, _ kernel: Int) -> Int {
      let kernel = span(kernel)
      let pad = padding.amounts(extent: n, kernel: kernel, stride: stride)
      let room = n + pad.before + pad.after - kernel
      return room < 0 ? 0 : room / stride + 1
    }
    return (extent(inputHeight, height), extent(inputWidth, width))
  }

  /// From the first to the last pixel that a kernel of this extent sees.
  private func span(_ kernel: Int) -> Int { (kernel - 1) * dilation + 1 }

  /// The kernels' description of this window over planes of `height` × `width`.
  package func geometry(channels: Int, height inputHeight: Int, width inputWidth: Int) -> covpool_window {
    let out = outputSize(height: inputHeight, width: inputWidth)
    return covpool_window(
      channels: channels, height: inputHeight, width: inputWidth, kernel_height: height, kernel_width: width,
      stride: stride,
      // A kernel of one pixel has none to be apart from.
      dilation: height == 1 && width == 1 ? 1 : dilation,
      pad_top: padding.amounts(extent: inputHeight, kernel: span(height), stride: stride).before,
      pad_left: padding.amounts(extent: inputWidth, kernel: span(width), stride: stride).before,
      out_height: out.height, out_width: out.width)
  }
}
