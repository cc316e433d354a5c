import TestSupport
import Tensors
import Testing

private func doubles(_ shape: Shape, _ name: String) -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

private func floats(_ x: Tensor<Double>) -> Tensor<Float> { Tensor(x.shape, x.scalars.map(Float.init)) }

/// By the definition.
private func activated(_ x: Double, by activation: Activation) -> Double {
  switch activation {
  case .identity: x
  case .relu: x < 0 ? 0 : x
  case .relu6: x < 0 ? 0 : x > 6 ? 6 : x
  }
}

@Suite(.serialized) struct ActivationTests {
  @Test func `Values keep NaN, so that it is noticed`() {
    let x = Tensor<Float>([8], [-1, 0, 2, .nan, 6, 7, .infinity, -.infinity])
    func expect(_ y: Tensor<Float>, _ want: [Float]) {
      #expect(y.scalars[3].isNaN)
      #expect(zip(y.scalars, want).enumerated().allSatisfy { $0 == 3 || $1.0 == $1.1 })
    }
    expect(x.relu(), [0, 0, 2, 0, 6, 7, .infinity, 0])
    expect(x.relu6(), [0, 0, 2, 0, 6, 6, 6, 0])
    expect(x.activated(by: .identity), x.scalars)
  }

  @Test(arguments: Activation.allCases)
  func `The gradient is that of finite differences, and 0 at the bounds`(_ activation: Activation) {
    let x = doubles([5, 7], "x")
    #expect(
      gradientError(at: [Tensor(x.shape, x.scalars.map { 9 * $0 })]) { probe($0[0].activated(by: activation)) } < 1e-6)
    let bounds = Tensor<Double>([5], [-1, 0, 3, 6, 7])
    let gradient = valueWithGradients(at: [bounds]) { probe($0[0].activated(by: activation)) }.gradients[0].scalars
    let passes = gradient.map { $0 != 0 }
    switch activation {
    case .identity: #expect(passes == [true, true, true, true, true])
    case .relu: #expect(passes == [false, false, true, true, true])
    case .relu6: #expect(passes == [false, false, true, false, false])
    }
  }

  /// Shapes whose tiles lie inside an image, across images and at edges; a kernel of 3 takes Winograd's method, one of 1
  /// Strassen's.
  @Test(
    arguments: 0...2,
    [(24, 14, 14, 24, 3), (5, 9, 11, 20, 3), (64, 8, 8, 32, 1), (20, 7, 2, 16, 1)])
  func `Every form of convolution applies every activation`(
    _ level: Int, _ shape: (channels: Int, height: Int, width: Int, outputs: Int, kernel: Int)
  ) {
    let (channels, height, width, outputs, kernel) = shape
    let (batch, pixels) = (3, height * width)
    let x = doubles([batch, channels, height, width], "x")
    let w = doubles([outputs, channels, kernel, kernel], "w")
    let bias = unit("bias", count: outputs).map { 4 * $0 + 3 }
    var residual = unit("residual", count: batch * outputs * pixels).map { 4 * $0 }
    let damaged = [0, 5 * pixels + 3, residual.count - 1]
    for index in damaged { residual[index] = .nan }
    let padding = Padding.symmetric(kernel / 2)
    let sums = Convolution2d(stride: 1, padding: padding).applied(to: x, w).scalars
    let geometry = Window(height: kernel, width: kernel, stride: 1, padding: padding).geometry(
      channels: channels, height: height, width: width)
    let (single, weight) = (floats(x), floats(w))
    for algorithm in ConvolutionAlgorithm.allCases where algorithm.rawValue != (kernel == 3 ? "strassen" : "winograd") {
      let weights = ConvolutionWeights(weight, for: geometry, algorithm: algorithm)
      #expect(weights.algorithm == algorithm)
      for activation in Activation.allCases {
        for addsResidual in [false, true] {
          let got = withInstructions(ofLevel: level) {
            Tensor<Float>([batch, outputs, height, width]) { target in
              bias.withUnsafeBufferPointer { bias in
                residual.withUnsafeBufferPointer { residual in
                  convolve(
                    geometry, batch: batch, input: single.pointer, weights: weights,
                    epilogue: Epilogue(
                      bias: bias.baseAddress, residual: addsResidual ? residual.baseAddress : nil,
                      activation: activation),
                    output: target.baseAddress!)
                }
              }
            }
          }
          let want = sums.enumerated().map { index, sum in
            let others = Double(bias[index / pixels % outputs]) + (addsResidual ? Double(residual[index]) : 0)
            return activated(sum + others, by: activation)
          }
          // Winograd's method costs a digit; sums are of order 1 to 10.
          let isSame = zip(got.scalars, want).allSatisfy { $1.isNaN ? $0.isNaN : abs(Double($0) - $1) < 2e-4 }
          #expect(isSame, "\(algorithm), \(activation), residual: \(addsResidual)")
          if activation == .relu6 { #expect(got.scalars.contains(0) && got.scalars.contains(6)) }
        }
      }
    }
  }

  @Test(arguments: 0...2, Activation.allCases)
  func `A fully connected layer of packed weights applies every activation`(_ level: Int, _ activation: Activation)
    throws
  {
    #if !DEBUG
      for batch in [1, 9] {
        var x = doubles([batch, 40], "x").scalars
        let w = doubles([37, 40], "w")
        let bias = Tensor<Double>([37], unit("bias", count: 37).map { 8 * Double($0) + 3 })
        let sums = LinearMap().applied(to: Tensor([batch, 40], x), w, bias)
        let layer = try #require(LinearWeights(floats(w), bias: floats(bias)))
        if batch > 1 { x[40 * (batch - 1) + 7] = .nan }
        let single = floats(Tensor([batch, 40], x))
        let got = withInstructions(ofLevel: level) {
          Tensor<Float>([batch, 37]) {
            layer.apply(single.pointer, batch: batch, activation: activation, into: $0.baseAddress!)
          }
        }.scalars
        for (index, sum) in sums.scalars.enumerated() {
          if batch > 1 && index / 37 == batch - 1 {
            #expect(got[index].isNaN)
          } else {
            #expect(abs(Double(got[index]) - activated(sum, by: activation)) < 1e-5)
          }
        }
      }
    #endif
  }
}
