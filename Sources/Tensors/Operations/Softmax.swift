import Foundation

/// exp(x) / Σ exp(x) over the last axis, shifted by the maximum so that nothing overflows.
public struct Softmax: TensorOperation {
  /// The operation.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank >= 1, "expected one input with an axis", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    guard let width = inputs[0].shape.last, width > 0 else { return }
    let x = inputs[0].pointer
    for start in stride(from: 0, to: result.count, by: width) {
      var highest = Double(x[start])
      for i in start..<start + width { highest = max(highest, Double(x[i])) }
      var sum = 0.0
      for i in start..<start + width {
        let value = exp(Double(x[i]) - highest)
        sum += value
        result[i] = Scalar(value)
      }
      for i in start..<start + width { result[i] = Scalar(Double(result[i]) / sum) }
    }
  }

  public var pullbackNeeds: PullbackNeeds { .output }

  /// ∂x = y ∘ (∂y − ⟨∂y, y⟩).
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (y, g, width) = (application.output.pointer, gradient.pointer, gradient.shape.last ?? 1)
    return [
      Tensor(gradient.shape) { result in
        for start in stride(from: 0, to: result.count, by: max(width, 1)) {
          var product: Scalar = 0
          for i in start..<start + width { product += g[i] * y[i] }
          for i in start..<start + width { result[i] = y[i] * (g[i] - product) }
        }
      }
    ]
  }
}

/// One-dimensional convolution along the channels, one filter for all: ECA's attention (Wang et al. 2020, eq. 5).
///
/// Inputs: `[B, C]` and the filter `[1, 1, k]`, k odd; result `[B, C]`, the ends padded with zeros.
public struct ChannelConvolution: TensorOperation {
  /// The operation.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 2 && inputs[0].rank == 2 && inputs[1].rank == 3, "expected [B, C] and [1, 1, k]", inputs)
    require(inputs[1][0] == 1 && inputs[1][1] == 1 && inputs[1][2] % 2 == 1, "expected a filter [1, 1, odd]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (channels, taps) = (inputs[0].shape[1], inputs[1].shape[2])
    let (x, filter) = (inputs[0].pointer, inputs[1].pointer)
    for index in 0..<result.count {
      let (row, channel) = (index - index % max(channels, 1), index % max(channels, 1))
      var sum: Scalar = 0
      for tap in 0..<taps {
        let other = channel + tap - taps / 2
        if other >= 0 && other < channels { sum += filter[tap] * x[row + other] }
      }
      result[index] = sum
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (channels, taps) = (application.inputs[0].shape[1], application.inputs[1].shape[2])
    let (x, filter, g) = (application.inputs[0].pointer, application.inputs[1].pointer, gradient.pointer)
    var (dx, dFilter) = ([Scalar](repeating: 0, count: gradient.scalarCount), [Scalar](repeating: 0, count: taps))
    for index in 0..<gradient.scalarCount {
      let (row, channel) = (index - index % channels, index % channels)
      for tap in 0..<taps {
        let other = channel + tap - taps / 2
        guard other >= 0 && other < channels else { continue }
        dx[row + other] += filter[tap] * g[index]
        dFilter[tap] += x[row + other] * g[index]
      }
    }
    return [Tensor(gradient.shape, dx), Tensor(application.inputs[1].shape, dFilter)]
  }
}

extension Tensor {
  /// exp(x) / Σ exp(x) over the last axis.
  public func softmax() -> Tensor { Softmax().applied(to: self) }
}
