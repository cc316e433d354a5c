import CovariancePooling

/// ShuffleNetV2 (Ma et al. 2018, table 5) with global average pooling, or with covariance pooling as in CVPR 2020.
///
/// `[B, C, H, W]` to logits `[B, classes]`. No stride is removed for a covariance head: 7×7 positions for 224 px.
public struct ShuffleNetV2<Scalar: RealScalar>: Network {
  public let configuration: NetworkConfiguration
  var first: ConvolutionNormRelu<Scalar>
  let pooling = MaxPooling2d(Window(height: 3, width: 3, stride: 2, padding: .symmetric(1)))
  var stages: [[ShuffleUnit<Scalar>]] = []
  var last: ConvolutionNormRelu<Scalar>
  public var head: PoolingHead<Scalar>

  /// A network without values: `initialize(seed:)` it or load a checkpoint.
  public init(_ configuration: NetworkConfiguration) {
    self.configuration = configuration
    guard let widths = ShuffleNetV2Architecture.widths[configuration.backbone] else {
      preconditionFailure("no ShuffleNetV2 is called '\(configuration.backbone)'")
    }
    first = ConvolutionNormRelu(configuration.inputChannels, 24, kernel: 3, stride: 2)
    var channels = 24
    for (units, width) in zip([4, 8, 4], widths) {
      stages.append(
        (0..<units).map { ShuffleUnit(from: $0 == 0 ? channels : width, to: width, stride: $0 == 0 ? 2 : 1) })
      channels = width
    }
    last = ConvolutionNormRelu(channels, widths[3], kernel: 1)
    head = PoolingHead(
      configuration, channels: widths[3], names: ShuffleNetV2Architecture.headNames(configuration), activation: .relu6)
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("conv1", &first)
    for index in stages.indices { visit("stage\(index + 2)", &stages[index]) }
    visit("conv5", &last)
    head.visitTensors(visit)
  }

  public func stem(_ x: Tensor<Scalar>) -> Tensor<Scalar> { pooling.applied(to: first(x)) }

  public func trunk(_ x: Tensor<Scalar>) -> Tensor<Scalar> { last(stages.joined().reduce(x) { $1($0) }) }
}

/// A convolution, BatchNorm and ReLU.
struct ConvolutionNormRelu<Scalar: RealScalar>: Module {
  var convolution: Conv2d<Scalar>
  var norm: BatchNorm2d<Scalar>

  init(_ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1) {
    (convolution, norm) = (
      Conv2d(inputChannels: inputs, outputChannels: outputs, kernelSize: kernel, stride: stride), BatchNorm2d(outputs)
    )
  }

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("0", &convolution)
    visit("1", &norm)
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { norm.rectified(convolution(x)) }
}

/// Two branches whose channels are then mixed: with stride 1 one half of the channels goes through untouched, with stride 2
/// both branches see all (Ma et al. 2018, fig. 3c and d).
struct ShuffleUnit<Scalar: RealScalar>: Module {
  /// Only with stride 2: depthwise 3×3 and 1×1.
  var shortcut: Shortcut?
  var branch: Branch
  let half: Int

  /// Depthwise 3×3 with stride 2, then 1×1.
  struct Shortcut: Module {
    var depthwise, pointwise: Conv2d<Scalar>
    var depthwiseNorm, pointwiseNorm: BatchNorm2d<Scalar>

    mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
      visit("0", &depthwise)
      visit("1", &depthwiseNorm)
      visit("2", &pointwise)
      visit("3", &pointwiseNorm)
    }

    func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
      pointwiseNorm.rectified(pointwise(depthwiseNorm(depthwise(x))))
    }
  }

  /// 1×1, depthwise 3×3, 1×1.
  struct Branch: Module {
    var first, depthwise, last: Conv2d<Scalar>
    var firstNorm, depthwiseNorm, lastNorm: BatchNorm2d<Scalar>

    mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
      visit("0", &first)
      visit("1", &firstNorm)
      visit("3", &depthwise)
      visit("4", &depthwiseNorm)
      visit("5", &last)
      visit("6", &lastNorm)
    }

    func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
      lastNorm.rectified(last(depthwiseNorm(depthwise(firstNorm.rectified(first(x))))))
    }
  }

  init(from inputs: Int, to outputs: Int, stride: Int) {
    half = outputs / 2
    func depthwise(_ channels: Int) -> Conv2d<Scalar> {
      Conv2d(inputChannels: channels, outputChannels: channels, kernelSize: 3, stride: stride, groups: channels)
    }
    func norm(_ channels: Int) -> BatchNorm2d<Scalar> { BatchNorm2d(channels) }
    shortcut =
      stride == 1
      ? nil
      : Shortcut(
        depthwise: depthwise(inputs), pointwise: Conv2d(inputChannels: inputs, outputChannels: half, kernelSize: 1),
        depthwiseNorm: norm(inputs),
        pointwiseNorm: norm(half))
    branch = Branch(
      first: Conv2d(inputChannels: stride == 1 ? half : inputs, outputChannels: half, kernelSize: 1),
      depthwise: depthwise(half),
      last: Conv2d(inputChannels: half, outputChannels: half, kernelSize: 1), firstNorm: norm(half),
      depthwiseNorm: norm(half), lastNorm: norm(half))
  }

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("branch1", &shortcut)
    visit("branch2", &branch)
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    let parts: [Tensor<Scalar>]
    if let shortcut {
      parts = [shortcut(x), branch(x)]
    } else {
      parts = [x.sliced(axis: 1, 0..<half), branch(x.sliced(axis: 1, half..<2 * half))]
    }
    return Tensor.concatenate(parts, axis: 1).channelsShuffled(groups: 2)
  }
}
