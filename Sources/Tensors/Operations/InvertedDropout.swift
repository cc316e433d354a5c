import Kernels

/// Scalars become 0 with probability p; the others are divided by 1 − p, so that the mean stays.
///
/// Input and result of any shape. Which are dropped is a function of the random stream and their place alone, so that the
/// pullback finds them again and nothing is stored. Srivastava et al. 2014, with the scale in training.
public struct InvertedDropout: TensorOperation {
  /// The probability p of being dropped, in [0, 1].
  public var probability: Double
  /// Where the random numbers come from.
  public var random: RandomStream

  /// A dropout with this probability, in [0, 1].
  public init(probability: Double, random: RandomStream) {
    check((0...1).contains(probability), "dropout with a probability of \(probability), which must be in [0, 1]")
    (self.probability, self.random) = (probability, random)
  }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1, "expected one input", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let y = result.baseAddress else { return }
    let (x, rate) = (inputs[0].pointer, Scalar(probability))
    let factor = probability < 1 ? Scalar(1 / (1 - probability)) : 0
    forEachChunk(of: result.count) { range in
      let (x, y) = (x + range.lowerBound, y + range.lowerBound)
      withScratch(of: Scalar.self, range.count) { uniform in
        random.uniform(from: range.lowerBound, low: 0, high: 1, into: uniform, count: range.count)
        Scalar.routines.kernels.drop(x, uniform, rate, factor, y, range.count)
      }
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// The gradient, with the same scalars dropped.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [forward([gradient])]
  }
}
