/// A two-dimensional convolution: `[B, C, H, W]` to `[B, O, H′, W′]`.
public struct Conv2d<Scalar: RealScalar>: Module {
  /// `[O, C / groups, h, w]`.
  public var weight: Tensor<Scalar>
  /// `[O]`; convolutions before a BatchNorm have none.
  public var bias: Tensor<Scalar>?
  /// Stride, padding, dilation and groups.
  public var operation: Convolution2d
  /// How a new layer gets its weights.
  public var initializer = Initializer.kaimingNormal

  /// A layer from `[B, inputChannels, H, W]` to `[B, outputChannels, H′, W′]` with square kernels.
  /// - Parameters:
  ///   - inputChannels: channels that it takes.
  ///   - outputChannels: channels that it makes.
  ///   - kernelSize: height and width of the kernels.
  ///   - stride: pixels from one position of the kernel to the next.
  ///   - padding: by default as many pixels on every side as keep the size where the stride is 1 and the kernel odd.
  ///   - dilation: pixels from one weight of the kernel to the next.
  ///   - groups: groups of channels that do not see each other, `inputChannels` for a depthwise convolution. It divides
  ///     both numbers of channels.
  ///   - hasBias: whether a number is added to each output channel.
  public init(
    inputChannels: Int, outputChannels: Int, kernelSize: Int, stride: Int = 1, padding: Padding? = nil,
    dilation: Int = 1, groups: Int = 1, hasBias: Bool = false
  ) {
    weight = .uninitialized([outputChannels, inputChannels / max(groups, 1), kernelSize, kernelSize])
    bias = hasBias ? .uninitialized([outputChannels]) : nil
    operation = Convolution2d(
      stride: stride, padding: padding ?? .symmetric(dilation * (kernelSize - 1) / 2), dilation: dilation,
      groups: groups)
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("weight", &weight, initially: initializer)
    // PyTorch's default: 1/√(fan in).
    let bound = 1 / Double(max(weight.shape.dropFirst().reduce(1, *), 1)).squareRoot()
    visit("bias", &bias, initially: .uniform(bound: bound))
  }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    operation.applied(to: [x, weight] + (bias.map { [$0] } ?? []))
  }
}

/// Batch normalisation: by running statistics, or in training by the batch's own, which move the running ones.
public struct BatchNorm2d<Scalar: RealScalar>: Module {
  /// Scale and shift of each channel, `[C]`.
  public var weight, bias: Tensor<Scalar>
  /// Statistics of the training data, `[C]`.
  public var runningMean, runningVariance: Tensor<Scalar>
  /// The operation with its `eps`.
  public var operation: BatchNormalization
  /// The weight of a batch's statistics in the running ones.
  public var momentum = 0.1

  /// A layer for `[B, channels, H, W]`.
  public init(_ channels: Int, eps: Double = 1e-5) {
    (weight, bias) = (.uninitialized([channels]), .uninitialized([channels]))
    (runningMean, runningVariance) = (.uninitialized([channels]), .uninitialized([channels]))
    operation = BatchNormalization(eps: eps)
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("weight", &weight, initially: .ones)
    visit("bias", &bias, initially: .zeros)
    visit("running_mean", &runningMean, .buffer, initially: .zeros)
    visit("running_var", &runningVariance, .buffer, initially: .ones)
  }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    guard let tape = trainingTape else {
      return operation.applied(to: x, weight, bias, runningMean, runningVariance)
    }
    return trained(on: tape, [x, weight, bias], .identity)
  }

  /// The normalised features `[B, C, H, W]`, plus a shortcut of their shape if there is one, then the activation:
  /// `(norm(x) + shortcut).relu()`. In training that is one operation, which does all of it in one pass.
  public func rectified(
    _ x: Tensor<Scalar>, adding shortcut: Tensor<Scalar>? = nil, by activation: Activation = .relu
  ) -> Tensor<Scalar> {
    guard let tape = trainingTape else {
      let y = self(x)
      return (shortcut.map { y + $0 } ?? y).activated(by: activation)
    }
    return trained(on: tape, [x, weight, bias] + (shortcut.map { [$0] } ?? []), activation)
  }

  /// The tape of a step of training in which the layer learns; `nil` otherwise, also where its scale is frozen.
  private var trainingTape: Tape<Scalar>? {
    guard let tape = weight.recording?.tape, tape.isTraining, tape.needsGradient(weight) else { return nil }
    return tape
  }

  private func trained(on tape: Tape<Scalar>, _ inputs: [Tensor<Scalar>], _ activation: Activation) -> Tensor<Scalar> {
    let x = inputs[0]
    let training = BatchNormalizationTraining(eps: operation.eps, activation: activation)
    let result = training.applied(to: inputs)
    let (mean, variance) = (tape.saved(for: result)[0], tape.saved(for: result)[1])
    // As in PyTorch, the running variance is the unbiased one.
    let count = Double(x.scalarCount / x.shape[1])
    tape.note(moved(runningMean, towards: mean), for: runningMean)
    tape.note(moved(runningVariance, towards: variance, factor: count / max(count - 1, 1)), for: runningVariance)
    return result
  }

  private func moved(_ running: Tensor<Scalar>, towards batch: Tensor<Scalar>, factor: Double = 1) -> Tensor<Scalar> {
    Tensor(
      running.shape,
      zip(running.detached.scalars, batch.scalars).map {
        Scalar((1 - momentum) * Double($0) + momentum * factor * Double($1))
      })
  }
}

/// A fully connected layer: `[…, I]` to `[…, O]`.
public struct Linear<Scalar: RealScalar>: Module {
  /// `[O, I]`.
  public var weight: Tensor<Scalar>
  /// `[O]`, if the layer has one.
  public var bias: Tensor<Scalar>?

  /// A layer with `inputs` features and `outputs` results.
  public init(inputs: Int, outputs: Int, hasBias: Bool = true) {
    weight = .uninitialized([outputs, inputs])
    bias = hasBias ? .uninitialized([outputs]) : nil
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    let bound = 1 / Double(max(weight.shape[1], 1)).squareRoot()
    visit("weight", &weight, initially: .uniform(bound: bound))
    visit("bias", &bias, initially: .uniform(bound: bound))
  }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    LinearMap().applied(to: [x, weight] + (bias.map { [$0] } ?? []))
  }
}

/// Dropout in training: each scalar becomes 0 with probability `p`, the others are divided by 1 − p. The input itself
/// outside of training.
///
/// Random numbers come from the tape's stream, for each application others: the same seed drops the same.
public struct Dropout<Scalar: RealScalar>: Module {
  /// The probability of being dropped, in [0, 1].
  public var p: Double

  /// A layer that drops with probability `p`, in [0, 1].
  public init(p: Double) { self.p = p }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {}

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    guard let tape = x.recording?.tape, tape.isTraining, p > 0 else { return x }
    return InvertedDropout(probability: p, random: tape.random.substream(tape.values.count)).applied(to: x)
  }
}
