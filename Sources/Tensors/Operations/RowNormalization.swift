import Kernels

/// x / ‖x‖₂ for each sample's numbers, all of them: `[B, …]` to the same shape. As PyTorch's `normalize` it divides by `eps`
/// where the norm is less, so that 0 stays 0.
public struct L2Normalization: TensorOperation {
  /// The least divisor.
  public var eps: Double

  /// The operation.
  public init(eps: Double = 1e-12) { self.eps = eps }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank >= 2, "expected [B, …]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (batch, width) = rows(inputs[0].shape)
    let (x, y) = (inputs[0].pointer, result.baseAddress!)
    WorkerPool.shared.forEach(batch) { sample in
      let row = x + sample * width
      let norm = sumOfSquares(row, count: width).squareRoot()
      scaled(row, by: Scalar(1 / atLeast(norm)), into: y + sample * width, count: width)
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂x = g / ‖x‖ − x ⟨g, x⟩ / ‖x‖³.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (batch, width) = rows(gradient.shape)
    let (x, g) = (application.inputs[0].pointer, gradient.pointer)
    return [
      Tensor(gradient.shape) { result in
        let first = result.baseAddress!
        WorkerPool.shared.forEach(batch) { sample in
          let (row, slope, target) = (x + sample * width, g + sample * width, first + sample * width)
          let norm = sumOfSquares(row, count: width).squareRoot()
          scaled(slope, by: Scalar(1 / atLeast(norm)), into: target, count: width)
          guard norm > eps else { return }
          accumulate(
            row, times: Scalar(-dot(slope, row, count: width) / (norm * norm * norm)), into: target, count: width)
        }
      }
    ]
  }

  /// The norm or `eps`; NaN stays NaN.
  private func atLeast(_ norm: Double) -> Double { norm < eps ? eps : norm }

  private func rows(_ shape: Shape) -> (batch: Int, width: Int) { (shape[0], shape.dropFirst().reduce(1, *)) }
}

/// Layer normalisation (Ba et al. 2016, eq. 4): the numbers of the last axis with mean 0 and variance 1, times a weight, plus a
/// bias. Inputs: `[…, D]`, weight `[D]`, bias `[D]`; result `[…, D]`.
public struct LayerNormalization: TensorOperation {
  /// Added to the variance.
  public var eps: Double

  /// The operation.
  public init(eps: Double = 1e-5) { self.eps = eps }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    let width = inputs.first?.last ?? 0
    require(inputs.count == 3 && width > 0, "expected […, D], [D] and [D]", inputs)
    require(inputs[1] == [width] && inputs[2] == inputs[1], "expected a weight and a bias of [\(width)]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let y = result.baseAddress, !result.isEmpty else { return }
    let (x, width) = (inputs[0].pointer, inputs[1].shape[0])
    let (weight, bias) = (inputs[1].pointer, inputs[2].pointer)
    WorkerPool.shared.forEach(result.count / width) { sample in
      let start = sample * width
      let (mean, factor) = moments(x + start, width)
      Scalar.routines.kernels.layerNorm(x + start, Scalar(mean), Scalar(factor), weight, bias, y + start, width)
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, g, width) = (application.inputs[0].pointer, gradient.pointer, application.inputs[1].shape[0])
    let weight = application.inputs[1].pointer
    var (weightGradient, biasGradient) = (Tensor<Scalar>([width], repeating: 0), Tensor<Scalar>([width], repeating: 0))
    let xGradient = Tensor<Scalar>(gradient.shape) { result in
      weightGradient.withUnsafeMutableScalars { dw in
        biasGradient.withUnsafeMutableScalars { db in
          for start in stride(from: 0, to: result.count, by: width) {
            let (mean, factor) = moments(x + start, width)
            let (row, slope, target) = (x + start, g + start, result.baseAddress! + start)
            Scalar.routines.kernels.layerNormGradient(
              row, Scalar(mean), Scalar(factor), weight, slope, target, dw.baseAddress!, db.baseAddress!, width)
          }
        }
      }
    }
    return [xGradient, weightGradient, biasGradient]
  }

  /// The mean and 1/√(variance + eps), in double precision.
  private func moments<Scalar: RealScalar>(_ x: UnsafePointer<Scalar>, _ count: Int) -> (mean: Double, factor: Double) {
    var (mean, variance) = (0.0, 0.0)
    var row = covpool_batch(images: 1, image_size: count, channels: 1, pixels: count)
    Scalar.routines.kernels.batchMoments(&row, x, &mean, &variance)
    return (mean, 1 / (variance + eps).squareRoot())
  }
}

/// sign(x) √(|x| + eps), element by element; 0 where x is. With ℓ2 normalisation after it, B-CNN's and ePN's
/// normalisation (Lin et al. 2015, §3.1); `eps` keeps the gradient finite near 0.
public struct SignedSquareRoot: TensorOperation {
  /// Added under the root.
  public var eps: Double

  /// The operation.
  public init(eps: Double = 1e-8) { self.eps = eps }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1, "expected one input", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (x, y) = (inputs[0].pointer, result.baseAddress!)
    forEachChunk(of: result.count) { range in
      let (x, y) = (x + range.lowerBound, y + range.lowerBound)
      Scalar.routines.kernels.signedRoot(x, Scalar(eps), y, range.count)
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, g) = (application.inputs[0].pointer, gradient.pointer)
    return [
      Tensor(gradient.shape) { result in
        let y = result.baseAddress!
        forEachChunk(of: result.count) { range in
          let (x, g, y) = (x + range.lowerBound, g + range.lowerBound, y + range.lowerBound)
          Scalar.routines.kernels.signedRootGradient(x, Scalar(eps), g, y, range.count)
        }
      }
    ]
  }
}
