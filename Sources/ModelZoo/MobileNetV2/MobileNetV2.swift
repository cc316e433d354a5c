import CovariancePooling

/// MobileNetV2 (Sandler et al. 2018, table 2) with global average pooling, or with covariance pooling as in CVPR 2020.
///
/// `[B, C, H, W]` to logits `[B, classes]`. No stride is removed for a covariance head: 7×7 positions for 224 px.
public struct MobileNetV2<Scalar: RealScalar>: Network {
  public let configuration: NetworkConfiguration
  /// The stem, the inverted residuals, the last 1×1 convolution.
  var first: ConvolutionNormRelu6<Scalar>
  var blocks: [InvertedResidual<Scalar>] = []
  var last: ConvolutionNormRelu6<Scalar>
  public var head: PoolingHead<Scalar>

  /// Expansion t, channels c, repeats n and the first one's stride s of each stage.
  private static var stages: [(t: Int, c: Int, n: Int, s: Int)] {
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
  }

  /// A network without values: `initialize(seed:)` it or load a checkpoint.
  public init(_ configuration: NetworkConfiguration) {
    self.configuration = configuration
    first = ConvolutionNormRelu6(configuration.inputChannels, 32, kernel: 3, stride: 2)
    var channels = 32
    for stage in Self.stages {
      for index in 0..<stage.n {
        blocks.append(
          InvertedResidual(from: channels, to: stage.c, stride: index == 0 ? stage.s : 1, expansion: stage.t))
        channels = stage.c
      }
    }
    last = ConvolutionNormRelu6(channels, 1280, kernel: 1)
    head = PoolingHead(
      configuration, channels: 1280, names: MobileNetV2Architecture.headNames(configuration), activation: .relu6,
      dropout: 0.2)
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("features.0", &first)
    for index in blocks.indices { visit("features.\(index + 1)", &blocks[index]) }
    visit("features.\(blocks.count + 1)", &last)
    head.visitTensors(visit)
  }

  public func stem(_ x: Tensor<Scalar>) -> Tensor<Scalar> { first(x) }

  public func trunk(_ x: Tensor<Scalar>) -> Tensor<Scalar> { last(blocks.reduce(x) { $1($0) }) }
}

/// A convolution, BatchNorm and ReLU6.
struct ConvolutionNormRelu6<Scalar: RealScalar>: Module {
  var convolution: Conv2d<Scalar>
  var norm: BatchNorm2d<Scalar>

  init(_ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, groups: Int = 1) {
    convolution = Conv2d(
      inputChannels: inputs, outputChannels: outputs, kernelSize: kernel, stride: stride, groups: groups)
    norm = BatchNorm2d(outputs)
  }

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("0", &convolution)
    visit("1", &norm)
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { norm.rectified(convolution(x), by: .relu6) }
}

/// Expansion by a 1×1 convolution, depthwise 3×3, projection by 1×1, around a shortcut where shapes allow (Sandler et al.
/// 2018, fig. 4).
struct InvertedResidual<Scalar: RealScalar>: Module {
  var expansion: ConvolutionNormRelu6<Scalar>?
  var depthwise: ConvolutionNormRelu6<Scalar>
  var projection: Conv2d<Scalar>
  var norm: BatchNorm2d<Scalar>
  let hasShortcut: Bool

  init(from inputs: Int, to outputs: Int, stride: Int, expansion factor: Int) {
    let hidden = factor * inputs
    expansion = factor == 1 ? nil : ConvolutionNormRelu6(inputs, hidden, kernel: 1)
    depthwise = ConvolutionNormRelu6(hidden, hidden, kernel: 3, stride: stride, groups: hidden)
    (projection, norm) = (Conv2d(inputChannels: hidden, outputChannels: outputs, kernelSize: 1), BatchNorm2d(outputs))
    hasShortcut = stride == 1 && inputs == outputs
  }

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    let first = expansion == nil ? 0 : 1
    visit("conv.0", &expansion)
    visit("conv.\(first)", &depthwise)
    visit("conv.\(first + 1)", &projection)
    visit("conv.\(first + 2)", &norm)
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    let y = projection(depthwise(expansion.map { $0(x) } ?? x))
    return hasShortcut ? norm.rectified(y, adding: x, by: .identity) : norm(y)
  }
}
