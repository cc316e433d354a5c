import Kernels

/// Batch normalisation by the batch's own statistics, as in training, together with what a residual network does next:
/// y = (x − mean) / √(variance + eps) · weight + bias, + residual if there is one, then max(y, 0) if it rectifies.
///
/// Inputs: features `[B, C, …]`, weight and bias, each `[C]`, and perhaps a residual of the features' shape. The batch's mean
/// and biased variance, in double precision, are what `apply` saves: two tensors `[C]`. Ioffe and Szegedy 2015, algorithm 1.
///
/// One channel after another goes through everything, so that memory is read and written once for all of it.
public struct BatchNormalizationTraining: TensorOperation {
  /// Added to the variance under the root.
  public var eps: Double
  /// Whether negative results become 0.
  public var rectifies: Bool

  /// A normalisation with this `eps`.
  public init(eps: Double, rectifies: Bool = false) { (self.eps, self.rectifies) = (eps, rectifies) }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(
      (inputs.count == 3 || inputs.count == 4) && inputs[0].rank >= 2,
      "expected [B, C, …], [C], [C] and perhaps a residual", inputs)
    require(inputs[1...2].allSatisfy { $0 == [inputs[0][1]] }, "parameters of another number of channels", inputs)
    require(inputs.count == 3 || inputs[3] == inputs[0], "a residual of another shape", inputs)
    require(inputs[0].scalarCount > 0, "no numbers to take the statistics of", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    _ = normalize(inputs, into: result.baseAddress!)
  }

  public func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    var statistics: [(Double, Double)] = []
    let output = Tensor<Scalar>(inputs[0].shape) { statistics = normalize(inputs, into: $0.baseAddress!) }
    return Application(
      inputs: inputs, output: output,
      saved: [
        Tensor(inputs[1].shape, statistics.map { Scalar($0.0) }),
        Tensor(inputs[1].shape, statistics.map { Scalar($0.1) }),
      ], needsGradient: needsGradient)
  }

  public var pullbackNeeds: PullbackNeeds { rectifies ? [.inputs, .output] : .inputs }

  /// With g = ∂y where the result is positive (everywhere if nothing is rectified), N numbers in a channel and
  /// σ = √(variance + eps): ∂x = weight / σ · (g − Σg / N − x̂ Σ(g x̂) / N), ∂weight = Σ g x̂, ∂bias = Σ g, ∂residual = g.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, weight) = (application.inputs[0], application.inputs[1])
    let (means, variances) = (application.saved[0].scalars, application.saved[1].scalars)
    let channels = Channels<Scalar>(x.shape)
    let count = Double(x.scalarCount / x.shape[1])
    // What is rectified is masked first: into the residual's gradient, or else where ∂x will be.
    let hasResidual = application.inputs.count == 4 && application.needsGradient[3]
    let residual = hasResidual && rectifies ? Tensor<Scalar>.forOverwriting(x.shape) : nil
    var sums: [(Double, Double)] = []
    let features = Tensor<Scalar>(x.shape) { result in
      let target = result.baseAddress!
      sums = channels.map { channel in
        let at = channel.offset
        var g = gradient.pointer + at
        if rectifies {
          let masked = (residual.map { UnsafeMutablePointer(mutating: $0.pointer) } ?? target) + at
          channels.mask(application.output.pointer + at, g, into: masked)
          g = UnsafePointer(masked)
        }
        let (sum, product) = channels.sums(x.pointer + at, g, mean: means[channel.index])
        let inverse = 1 / (Double(variances[channel.index]) + eps).squareRoot()
        let factor = Double(weight.pointer[channel.index]) * inverse
        let slope = -factor * inverse * inverse * product / count
        let constant = -factor * sum / count - slope * Double(means[channel.index])
        channels.combine(
          Scalar(factor), g, Scalar(slope), x.pointer + at, Scalar(constant), into: target + at)
        return (sum, product * inverse)
      }
    }
    return [
      features, Tensor(weight.shape, sums.map { Scalar($0.1) }), Tensor(weight.shape, sums.map { Scalar($0.0) }),
    ] + (application.inputs.count == 4 ? [hasResidual ? residual ?? gradient : nil] : [])
  }

  /// The mean and the biased variance of each channel.
  private func normalize<Scalar>(
    _ inputs: [Tensor<Scalar>], into result: UnsafeMutablePointer<Scalar>
  ) -> [(Double, Double)] {
    let channels = Channels<Scalar>(inputs[0].shape)
    let residual = inputs.count == 4 ? inputs[3].pointer : nil
    return channels.map { channel in
      let x = inputs[0].pointer + channel.offset
      let (mean, variance) = channels.moments(x)
      let scale = Double(inputs[1].pointer[channel.index]) / (variance + eps).squareRoot()
      let shift = Double(inputs[2].pointer[channel.index]) - mean * scale
      channels.finish(
        x, scale: scale, shift: shift, residual: residual.map { $0 + channel.offset }, rectifies: rectifies,
        into: result + channel.offset)
      return (mean, variance)
    }
  }
}

/// The channels of features `[B, C, …]`, and what is done to one of them in all images.
private struct Channels<Scalar: RealScalar> {
  private let batch: Int
  private let count: Int
  private let pixels: Int
  private var stride: Int { count * pixels }

  init(_ shape: Shape) { (batch, count, pixels) = (shape[0], shape[1], shape.dropFirst(2).reduce(1, *)) }

  /// What `body` finds for each channel, on the pool's threads; `offset` is that of the channel in the first image.
  func map(_ body: (_ channel: (index: Int, offset: Int)) -> (Double, Double)) -> [(Double, Double)] {
    [(Double, Double)](unsafeUninitializedCapacity: count) { results, initialized in
      let start = results.baseAddress
      WorkerPool.shared.forEach(count) { index in
        guard let start else { return }
        (start + index).initialize(to: body((index, index * pixels)))
      }
      initialized = count
    }
  }

  func moments(_ x: UnsafePointer<Scalar>) -> (mean: Double, variance: Double) {
    var (mean, variance) = (0.0, 0.0)
    forPrecision(
      of: Scalar.self, float: { covpool_channel_moments_f32(x.float, batch, stride, pixels, &mean, &variance) },
      double: { covpool_channel_moments_f64(x.double, batch, stride, pixels, &mean, &variance) })
    return (mean, variance)
  }

  func finish(
    _ x: UnsafePointer<Scalar>, scale: Double, shift: Double, residual: UnsafePointer<Scalar>?, rectifies: Bool,
    into y: UnsafeMutablePointer<Scalar>
  ) {
    let relu: Int32 = rectifies ? 1 : 0
    forPrecision(
      of: Scalar.self,
      float: {
        covpool_channel_affine_f32(
          x.float, Float(scale), Float(shift), residual?.float, relu, y.float, batch, stride, pixels)
      },
      double: {
        covpool_channel_affine_f64(x.double, scale, shift, residual?.double, relu, y.double, batch, stride, pixels)
      })
  }

  func mask(
    _ result: UnsafePointer<Scalar>, _ gradient: UnsafePointer<Scalar>, into masked: UnsafeMutablePointer<Scalar>
  ) {
    for image in 0..<batch {
      let offset = image * stride
      forPrecision(
        of: Scalar.self,
        float: {
          covpool_relu_gradient_f32(
            (result + offset).float, (gradient + offset).float, (masked + offset).float, pixels)
        },
        double: {
          covpool_relu_gradient_f64(
            (result + offset).double, (gradient + offset).double, (masked + offset).double, pixels)
        })
    }
  }

  /// Σ g and Σ g (x − mean).
  func sums(_ x: UnsafePointer<Scalar>, _ g: UnsafePointer<Scalar>, mean: Scalar) -> (Double, Double) {
    var (sum, product) = (0.0, 0.0)
    forPrecision(
      of: Scalar.self,
      float: {
        covpool_channel_gradient_sums_f32(x.float, g.float, Float(mean), batch, stride, pixels, &sum, &product)
      },
      double: {
        covpool_channel_gradient_sums_f64(x.double, g.double, Double(mean), batch, stride, pixels, &sum, &product)
      })
    return (sum, product)
  }

  /// a g + b x + c; may be in place of g.
  func combine(
    _ a: Scalar, _ g: UnsafePointer<Scalar>, _ b: Scalar, _ x: UnsafePointer<Scalar>, _ c: Scalar,
    into y: UnsafeMutablePointer<Scalar>
  ) {
    forPrecision(
      of: Scalar.self,
      float: {
        covpool_channel_combine_f32(Float(a), g.float, Float(b), x.float, Float(c), y.float, batch, stride, pixels)
      },
      double: {
        covpool_channel_combine_f64(
          Double(a), g.double, Double(b), x.double, Double(c), y.double, batch, stride, pixels)
      })
  }
}
