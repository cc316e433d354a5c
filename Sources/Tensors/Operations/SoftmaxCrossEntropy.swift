import Foundation

/// The mean cross-entropy of softmax(logits) and labels, with label smoothing.
///
/// Input: logits `[B, K]`; result: a scalar `[]`. With smoothing ε the target of a sample is 1 − ε for its label plus
/// ε / K for every class (Szegedy et al. 2016, §7), as in PyTorch.
public struct SoftmaxCrossEntropy: TensorOperation {
  /// The right class of each sample.
  public var labels: [Int]
  /// The share ε of the target that is spread evenly over all classes, in [0, 1].
  public var labelSmoothing: Double

  /// A loss for samples with these labels.
  /// - Precondition: `labelSmoothing` is in [0, 1].
  public init(labels: [Int], labelSmoothing: Double = 0) {
    check((0...1).contains(labelSmoothing), "label smoothing must be in [0, 1], not \(labelSmoothing)")
    (self.labels, self.labelSmoothing) = (labels, labelSmoothing)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank == 2 && inputs[0][0] > 0, "expected logits [B, K]", inputs)
    require(inputs[0][0] == labels.count, "\(labels.count) labels", inputs)
    let classes = inputs[0][1]
    require(labels.allSatisfy { (0..<classes).contains($0) }, "labels outside of 0 ..< \(classes)", inputs)
    return []
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    var total = 0.0
    let classes = inputs[0].shape[1]
    for (sample, label) in labels.enumerated() {
      let logits = UnsafeBufferPointer(start: inputs[0].pointer + sample * classes, count: classes)
      let normalizer = logSumOfExponentials(logits)
      let mean = logits.reduce(0) { $0 + Double($1) } / Double(classes)
      total += normalizer - (1 - labelSmoothing) * Double(logits[label]) - labelSmoothing * mean
    }
    result[0] = Scalar(total / Double(labels.count))
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂logits = (softmax − target) / B.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (shape, logits) = (application.inputs[0].shape, application.inputs[0].pointer)
    let classes = shape[1]
    let scale = Double(gradient.pointer[0]) / Double(labels.count)
    return [
      Tensor(shape) { result in
        for (sample, label) in labels.enumerated() {
          let row = sample * classes
          let normalizer = logSumOfExponentials(UnsafeBufferPointer(start: logits + row, count: classes))
          for k in 0..<classes {
            let target = (k == label ? 1 - labelSmoothing : 0) + labelSmoothing / Double(classes)
            result[row + k] = Scalar(scale * (exp(Double(logits[row + k]) - normalizer) - target))
          }
        }
      }
    ]
  }
}

/// log Σ exp(x), shifted by the maximum so that nothing overflows.
private func logSumOfExponentials<Scalar: RealScalar>(_ x: UnsafeBufferPointer<Scalar>) -> Double {
  let highest = x.reduce(-Double.infinity) { max($0, Double($1)) }
  guard highest.isFinite else { return highest.isNaN ? .nan : highest }
  return highest + log(x.reduce(0) { $0 + exp(Double($1) - highest) })
}
