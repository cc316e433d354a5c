import Foundation
import NeuralNetworks

/// Adaptive channel dropout before the covariance, in training only: DropCov (Wang et al. 2022, §3.3, eq. 7–9).
///
/// A channel attention y weighs the features, X ← X + y ∘ X; the more y points the way of the covariance's row sums c, the
/// less is dropped: p = clamp(1 − 10 / log₂ d · mean cos(y, c), 0, 1). Whole channels are dropped with probability p, the
/// others scaled by 1 / (1 − p).
public struct DropCov: PlainNormalizer {
  public static let names = ["dropcov"]
  public init() {}

  /// What the attention is called in checkpoints.
  public static let attention = "eca_layer.conv.weight"

  /// The attention: one filter of three taps over the channels' means.
  public func parameters(dimension d: Int) -> [NormalizationParameter] {
    [
      NormalizationParameter(
        Self.attention, [1, 1, 3], role: .trainingParameter,
        initially: .uniform(bound: 1 / Double(3).squareRoot()))
    ]
  }

  /// The features with channels dropped: `[B, d, …]` to the same shape; notes `drop_rate` on the tape.
  public func prepared<Scalar>(
    _ features: Tensor<Scalar>, _ parameters: [Tensor<Scalar>], on tape: Tape<Scalar>
  ) -> Tensor<Scalar> {
    let weights = ChannelConvolution().applied(to: features.globalAverage(), parameters[0]).softmax()
    let attended = ChannelScale(offset: 1).applied(to: features, weights)
    let rate = Self.dropRate(features: attended.detached, weights: weights.detached)
    tape.note(.dropRate, rate)
    let uniform: Tensor<Scalar> = tape.random.uniform(weights.shape, low: 0, high: 1)
    let mask = Self.dropMask(rate: rate, uniform: uniform)
    return ChannelScale().applied(to: attended, mask)
  }

  /// p, a number that is not differentiated.
  static func dropRate<Scalar>(features: Tensor<Scalar>, weights: Tensor<Scalar>) -> Double {
    let (batch, d) = (features.shape[0], features.shape[1])
    let covariances = Covariance().forward([features])
    var sum = 0.0
    let rowMeans = covariances.globalAverage()
    for sample in 0..<batch {
      var (product, ofWeights, ofSums) = (0.0, 0.0, 0.0)
      for row in 0..<d {
        let total = Double(d) * Double(rowMeans.pointer[sample * d + row])
        let weight = Double(weights.pointer[sample * d + row])
        product += weight * total
        ofWeights += weight * weight
        ofSums += total * total
      }
      // As PyTorch's cosine_similarity, which keeps constant features from dividing by 0.
      sum += product / max((ofWeights * ofSums).squareRoot(), 1e-8)
    }
    let rate = 1 - 10 / log2(Double(d)) * sum / Double(batch)
    return rate.isNaN ? rate : min(max(rate, 0), 1)
  }

  /// 1 / (1 − rate) for uniform numbers of at least `rate`, 0 for the others.
  static func dropMask<Scalar: RealScalar>(rate: Double, uniform: Tensor<Scalar>) -> Tensor<Scalar> {
    let kept = rate < 1 ? Scalar(1 / (1 - rate)) : 0
    return Tensor(uniform.shape, uniform.scalars.map { Double($0) >= rate ? kept : 0 })
  }
}

extension Metric {
  /// The share p of the channels that DropCov dropped.
  public static let dropRate = Metric("drop_rate")
}
