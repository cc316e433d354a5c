import Kernels
import TestSupport
import Tensors
import Testing

private func doubles(_ shape: Shape, _ name: String) -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

private func floats(_ x: Tensor<Double>) -> Tensor<Float> { Tensor(x.shape, x.scalars.map(Float.init)) }

/// A convolution by its definition, one output at a time.
private func convolvedByDefinition(
  _ x: Tensor<Double>, _ w: Tensor<Double>, stride: Int, padding: Int, dilation: Int, groups: Int
) -> [Double] {
  let (height, width) = (x.shape[2], x.shape[3])
  func extent(_ n: Int, _ kernel: Int) -> Int { (n + 2 * padding - (kernel - 1) * dilation - 1) / stride + 1 }
  let (rows, columns) = (extent(height, w.shape[2]), extent(width, w.shape[3]))
  let (ofGroup, outputsOfGroup) = (w.shape[1], w.shape[0] / groups)
  var result: [Double] = []
  for b in 0..<x.shape[0] {
    for o in 0..<w.shape[0] {
      for y in 0..<rows * columns {
        var sum = 0.0
        for c in 0..<ofGroup {
          for tap in 0..<w.shape[2] * w.shape[3] {
            let (ky, kx) = (tap / w.shape[3], tap % w.shape[3])
            let iy = y / columns * stride + ky * dilation - padding
            let ix = y % columns * stride + kx * dilation - padding
            guard 0..<height ~= iy, 0..<width ~= ix else { continue }
            sum += x[b, o / outputsOfGroup * ofGroup + c, iy, ix] * w[o, c, ky, kx]
          }
        }
        result.append(sum)
      }
    }
  }
  return result
}

/// Of the largest number; as for other convolutions in single precision.
private let tolerance = 4e-5

@Suite(.serialized) struct GroupedConvolutionTests {
  /// Batch, channels, height, width, outputs, kernel, stride, padding, dilation, groups. Depthwise ones of all widths
  /// around a vector's and its half's, and others.
  private static let convolutions: [[Int]] = [
    [2, 5, 7, 7, 5, 3, 1, 1, 1, 5], [1, 3, 14, 14, 3, 3, 2, 1, 1, 3], [3, 4, 14, 14, 4, 3, 1, 1, 1, 4],
    [1, 2, 28, 28, 2, 3, 2, 1, 1, 2], [1, 3, 29, 33, 3, 3, 1, 1, 1, 3], [2, 2, 31, 35, 2, 3, 2, 1, 1, 2],
    [2, 3, 1, 1, 3, 3, 1, 1, 1, 3], [1, 5, 4, 3, 5, 3, 2, 1, 1, 5], [1, 2, 8, 8, 2, 3, 1, 0, 1, 2],
    [1, 2, 19, 18, 2, 3, 1, 2, 1, 2], [2, 3, 15, 17, 3, 3, 2, 0, 1, 3], [2, 3, 9, 16, 3, 3, 1, 1, 1, 3],
    [2, 3, 9, 9, 3, 5, 1, 2, 1, 3], [1, 4, 12, 11, 4, 5, 2, 2, 1, 4], [1, 2, 9, 10, 2, 7, 1, 3, 1, 2],
    [2, 3, 11, 12, 3, 3, 1, 2, 2, 3], [1, 3, 11, 12, 3, 3, 2, 2, 2, 3], [1, 2, 13, 13, 2, 3, 3, 1, 1, 2],
    [2, 6, 9, 10, 4, 3, 1, 1, 1, 2], [2, 32, 12, 12, 48, 3, 1, 1, 1, 2], [1, 9, 8, 9, 6, 3, 2, 1, 1, 3],
    [2, 4, 5, 6, 8, 1, 1, 0, 1, 4], [2, 3, 12, 13, 4, 3, 1, 2, 2, 1], [1, 3, 12, 13, 4, 3, 2, 3, 3, 1],
    [1, 4, 9, 9, 6, 3, 1, 2, 2, 2], [2, 16, 10, 11, 16, 3, 1, 2, 2, 1],
  ]

  private static func operation(_ sizes: [Int]) -> Convolution2d {
    Convolution2d(stride: sizes[6], padding: .symmetric(sizes[7]), dilation: sizes[8], groups: sizes[9])
  }

  private static func inputs(_ sizes: [Int]) -> [Tensor<Double>] {
    [
      doubles([sizes[0], sizes[1], sizes[2], sizes[3]], "x"),
      doubles([sizes[4], sizes[1] / sizes[9], sizes[5], sizes[5]], "w"), doubles([sizes[4]], "bias"),
    ]
  }

  @Test(arguments: convolutions)
  func `Results are those of the definition, gradients those of differences`(_ sizes: [Int]) {
    let (operation, inputs) = (Self.operation(sizes), Self.inputs(sizes))
    let want = convolvedByDefinition(
      inputs[0], inputs[1], stride: sizes[6], padding: sizes[7], dilation: sizes[8], groups: sizes[9])
    #expect(largestError(operation.applied(to: inputs[0], inputs[1]).scalars, want) < 1e-12)
    #expect(gradientError(at: inputs) { probe(operation.applied(to: $0)) } < 1e-7)
    #expect(operation.multiplyAdds(inputs.map(\.shape)) == want.count * inputs[1].scalarCount / sizes[4])
  }

  @Test(arguments: 0...2, convolutions)
  func `Single precision does the same, on every class of processor`(_ level: Int, _ sizes: [Int]) {
    let (operation, inputs) = (Self.operation(sizes), Self.inputs(sizes))
    // What another reader of the input found is added to.
    func value<Scalar>(_ x: [Tensor<Scalar>]) -> Tensor<Scalar> {
      probe(x[0].relu()) + probe(operation.applied(to: x))
    }
    let single = inputs.map(floats)
    let want = (operation.applied(to: inputs), valueWithGradients(at: inputs, value).gradients)
    let got = withInstructions(ofLevel: level) {
      (operation.applied(to: single), valueWithGradients(at: single, value).gradients)
    }
    #expect(largestError(got.0.scalars, want.0.scalars) <= tolerance * largest(want.0))
    for (got, want) in zip(got.1, want.1) {
      #expect(largestError(got.scalars, want.scalars) <= tolerance * largest(want))
    }
  }

  @Test(arguments: 0...2, [7, 10, 14, 30])
  func `A depthwise plane is the same alone and among others, whatever the threads; NaN stays in it`(
    _ level: Int, _ size: Int
  ) {
    let (batch, channels) = (3, 5)
    let (x, w) = (floats(doubles([batch, channels, size, size], "x")), floats(doubles([channels, 1, 3, 3], "w")))
    let operation = Convolution2d(padding: .symmetric(1), groups: channels)
    let image = channels * size * size
    withInstructions(ofLevel: level) {
      let together = operation.applied(to: x, w).scalars
      let alone = (0..<batch).flatMap { operation.applied(to: x.sliced(axis: 0, $0..<$0 + 1), w).scalars }
      #expect(alone == together)
      let damaged = Tensor<Float>(x.shape, x.scalars.enumerated().map { $0 / (size * size) == 6 ? .nan : $1 })
      let others = operation.applied(to: damaged, w).scalars
      let isContained = others.indices.allSatisfy {
        $0 / (size * size) == 6 ? others[$0].isNaN : others[$0] == together[$0]
      }
      #expect(isContained && together.count == batch * image)
    }
    let results = [1, 2, 5].map { threads in
      withThreads(threads) {
        valueWithGradients(at: [x, w]) { probe(operation.applied(to: $0)) }.gradients.map(\.scalars)
      }
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  @Test(arguments: Activation.allCases, [(4, 7), (3, 20), (6, 3)])
  func `Bias, residual and activation are applied in one pass`(_ activation: Activation, _ sizes: (Int, Int)) {
    let (channels, size) = sizes
    let (x, w) = (doubles([2, channels, size, size], "x"), doubles([channels, 1, 3, 3], "w"))
    let (bias, residual) = (doubles([channels], "bias"), doubles(x.shape, "residual"))
    let scale = Tensor<Double>([channels], (0..<channels).map { 1 + 4 * Double($0) })
    let convolution = Convolution2d(padding: .symmetric(1), groups: channels)
    let scaledWeights = Tensor(w.shape, w.scalars.enumerated().map { $1 * scale.scalars[$0 / 9] })
    let want = (convolution.applied(to: x, scaledWeights, bias) + residual).activated(by: activation)
    func fused<Scalar: RealScalar>(
      _ x: Tensor<Scalar>, _ w: Tensor<Scalar>, _ scale: Tensor<Scalar>, _ bias: Tensor<Scalar>,
      _ residual: Tensor<Scalar>
    ) -> Tensor<Scalar> {
      let geometry = convolution.window(w.shape).geometry(channels: channels, height: size, width: size)
      let weights = ConvolutionWeights(w, scale: scale, for: geometry, groups: channels)
      #expect(weights.algorithm == .depthwise)
      return Tensor(x.shape) {
        convolve(
          geometry, batch: 2, input: x.pointer, weights: weights,
          epilogue: Epilogue(bias: bias.pointer, residual: residual.pointer, activation: activation),
          output: $0.baseAddress!)
      }
    }
    #expect(largestError(fused(x, w, scale, bias, residual).scalars, want.scalars) < 1e-12 * largest(want))
    let single = fused(floats(x), floats(w), floats(scale), floats(bias), floats(residual))
    #expect(largestError(single.scalars, want.scalars) < 1e-6 * largest(want))
  }

  @Test func `Groups of weights heed scale and epilogue, and each algorithm that is asked for`() {
    let (x, w) = (doubles([2, 32, 9, 9], "x"), doubles([32, 16, 3, 3], "w"))
    let (scale, bias) = (doubles([32], "scale"), doubles([32], "bias"))
    let convolution = Convolution2d(padding: .symmetric(1), groups: 2)
    let scaledWeights = Tensor(w.shape, w.scalars.enumerated().map { $1 * scale.scalars[$0 / 144] })
    let want = convolution.applied(to: x, scaledWeights, bias).relu()
    let geometry = convolution.window(w.shape).geometry(channels: 32, height: 9, width: 9)
    let (single, singleWeights, singleBias) = (floats(x), floats(w), floats(bias))
    for algorithm in ConvolutionAlgorithm.allCases {
      let weights = ConvolutionWeights(
        singleWeights, scale: floats(scale), for: geometry, groups: 2, algorithm: algorithm)
      let got = Tensor<Float>(want.shape) {
        convolve(
          geometry, batch: 2, input: single.pointer, weights: weights,
          epilogue: Epilogue(bias: singleBias.pointer, activation: .relu), output: $0.baseAddress!)
      }
      #expect(largestError(got.scalars, want.scalars) < tolerance * largest(want), "\(algorithm)")
    }
  }

  private func largest(_ x: Tensor<Double>) -> Double { x.scalars.reduce(0) { max($0, abs($1)) } }
}
