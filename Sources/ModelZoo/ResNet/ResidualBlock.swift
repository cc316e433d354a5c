import CovariancePooling

/// What is the same in all blocks of a network and differs between flavours.
struct BlockStyle {
  /// BatchNorm's eps in the blocks, and in stem and shortcuts.
  var eps, outerEps: Double
  /// Whether the 3×3 convolutions, the stem and its pooling pad as `same` does.
  var padsSame = false

  init(_ layout: ResNetLayout, _ flavour: Flavour) {
    eps = flavour == .mindspore ? 1e-4 : 1e-5
    // The MindSpore releases of the 18- and 34-layer networks set eps inside the blocks only, and pad symmetrically.
    outerEps = layout.isBottleneck ? eps : 1e-5
    padsSame = flavour == .mindspore && layout.isBottleneck
  }

  func padding(kernel: Int) -> Padding { padsSame ? .same : .symmetric(kernel / 2) }
}

/// A residual block: two 3×3 convolutions, or 1×1, 3×3 and 1×1, around a shortcut (He et al. 2015, fig. 5).
///
/// The stride is the 3×3's, as in all released code ("v1.5").
struct ResidualBlock<Scalar: RealScalar>: Module {
  /// What the input goes through to be added to the output.
  enum Shortcut: Sendable {
    case identity
    case padding(ChannelPaddingShortcut)
    case projection(Projection)
  }

  /// A 1×1 convolution with BatchNorm.
  struct Projection: Module {
    var convolution: Conv2d<Scalar>
    var norm: BatchNorm2d<Scalar>

    mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
      visit("0", &convolution)
      visit("1", &norm)
    }

    func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { norm(convolution(x)) }
  }

  var conv1: Conv2d<Scalar>
  var bn1: BatchNorm2d<Scalar>
  var conv2: Conv2d<Scalar>
  var bn2: BatchNorm2d<Scalar>
  /// A bottleneck's expansion.
  var conv3: Conv2d<Scalar>?
  var bn3: BatchNorm2d<Scalar>?
  var shortcut: Shortcut

  init(from inputs: Int, to channels: Int, stride: Int, isBottleneck: Bool, projects: Bool, style: BlockStyle) {
    let outputs = isBottleneck ? 4 * channels : channels
    func norm(_ channels: Int) -> BatchNorm2d<Scalar> { BatchNorm2d(channels, eps: style.eps) }
    func convolution(from inputs: Int, to outputs: Int, kernel: Int, stride: Int = 1) -> Conv2d<Scalar> {
      Conv2d(
        inputChannels: inputs, outputChannels: outputs, kernelSize: kernel, stride: stride,
        padding: kernel == 1 ? nil : style.padding(kernel: kernel))
    }
    if isBottleneck {
      conv1 = convolution(from: inputs, to: channels, kernel: 1)
      conv2 = convolution(from: channels, to: channels, kernel: 3, stride: stride)
      (conv3, bn3) = (convolution(from: channels, to: outputs, kernel: 1), norm(outputs))
    } else {
      conv1 = convolution(from: inputs, to: channels, kernel: 3, stride: stride)
      conv2 = convolution(from: channels, to: channels, kernel: 3)
    }
    (bn1, bn2) = (norm(channels), norm(channels))
    if stride == 1 && inputs == outputs {
      shortcut = .identity
    } else if projects {
      shortcut = .projection(
        Projection(
          convolution: convolution(from: inputs, to: outputs, kernel: 1, stride: stride),
          norm: BatchNorm2d(outputs, eps: style.outerEps)))
    } else {
      let added = outputs - inputs
      shortcut = .padding(ChannelPaddingShortcut(stride: stride, before: added / 2, after: added - added / 2))
    }
  }

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("conv1", &conv1)
    visit("bn1", &bn1)
    visit("conv2", &conv2)
    visit("bn2", &bn2)
    visit("conv3", &conv3)
    visit("bn3", &bn3)
    if case .projection(var projection) = shortcut {
      shortcut = .identity  // so that `projection` alone owns the memory
      visit("downsample", &projection)
      shortcut = .projection(projection)
    }
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    var (y, norm) = (conv2(bn1.rectified(conv1(x))), bn2)
    if let conv3, let bn3 { (y, norm) = (conv3(bn2.rectified(y)), bn3) }
    switch shortcut {
    case .identity: return norm.rectified(y, adding: x)
    case .padding(let operation): return norm.rectified(y, adding: operation.applied(to: x))
    case .projection(let projection): return norm.rectified(y, adding: projection(x))
    }
  }
}
