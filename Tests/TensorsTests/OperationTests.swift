import TestSupport
import Tensors
import Testing

private func tensor(_ shape: Shape, _ name: String = "x") -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

/// Convolution by its definition, one output at a time.
private func convolvedByDefinition(
  _ x: Tensor<Double>, _ w: Tensor<Double>, stride: Int, top: Int, left: Int, height: Int, width: Int
) -> [Double] {
  var result: [Double] = []
  for b in 0..<x.shape[0] {
    for o in 0..<w.shape[0] {
      for y in 0..<height {
        for column in 0..<width {
          var sum = 0.0
          for c in 0..<w.shape[1] {
            for ky in 0..<w.shape[2] {
              for kx in 0..<w.shape[3] {
                let (iy, ix) = (y * stride + ky - top, column * stride + kx - left)
                guard iy >= 0, ix >= 0, iy < x.shape[2], ix < x.shape[3] else { continue }
                sum += x[b, c, iy, ix] * w[o, c, ky, kx]
              }
            }
          }
          result.append(sum)
        }
      }
    }
  }
  return result
}

@Suite struct ConvolutionTests {
  @Test func `A convolution of tensors smaller than a vector reads nothing past them`() {
    let x = tensor([33, 1, 1, 1])
    let w = tensor([8, 1, 1, 1], "w")
    let want = Convolution2d().applied(to: x, w).scalars
    let got = Convolution2d().applied(
      to: Tensor(x.shape, x.scalars.map(Float.init)), Tensor(w.shape, w.scalars.map(Float.init)))
    #expect(largestError(got.scalars, want) < 1e-6)
  }

  /// Of the root mean square of the outputs: Winograd's F(4×4, 3×3) multiplies and divides by up to 24 on the way, which costs
  /// about a digit against direct sums in single precision; Strassen's sums of sums cost a bit.
  private static let tolerance: [ConvolutionAlgorithm: Double] = [
    .blas: 1.6e-5, .direct: 1.6e-5, .strassen: 3.2e-5, .winograd: 1.6e-4,
  ]

  @Test(arguments: [
    (64, 56, 56, 64, 3), (40, 14, 14, 33, 3), (32, 9, 5, 8, 3), (256, 14, 14, 256, 3), (3, 1, 70, 5, 3),
    (64, 8, 8, 64, 3), (64, 56, 56, 64, 1), (256, 14, 14, 96, 1), (2048, 6, 7, 32, 1), (68, 2, 3, 16, 1),
    (4, 1, 2, 16, 1), (8, 7, 7, 16, 1),
  ])
  func `Every algorithm gives the sums of double precision, with bias, residual and rectifier`(
    _ channels: Int, _ height: Int, _ width: Int, _ outputs: Int, _ kernel: Int
  ) {
    let x = tensor([3, channels, height, width])
    let w = tensor([outputs, channels, kernel, kernel], "w")
    let (bias, residual) = (unit("bias", count: outputs), unit("residual", count: 3 * outputs * height * width))
    let padding = Padding.symmetric(kernel / 2)
    let sums = Convolution2d(stride: 1, padding: padding).applied(to: x, w).scalars
    let pixels = height * width
    let want = sums.enumerated().map { max(0, $1 + Double(bias[$0 / pixels % outputs]) + Double(residual[$0])) }
    let scale = (want.reduce(0) { $0 + $1 * $1 } / Double(want.count)).squareRoot()
    let (single, weight) = (Tensor(x.shape, x.scalars.map(Float.init)), Tensor(w.shape, w.scalars.map(Float.init)))
    let geometry = Window(height: kernel, width: kernel, stride: 1, padding: padding).geometry(
      channels: channels, height: height, width: width)
    for algorithm in ConvolutionAlgorithm.allCases {
      let weights = ConvolutionWeights(weight, for: geometry, algorithm: algorithm)
      if algorithm == (kernel == 3 ? .winograd : .strassen) {
        // 7×7 pixels have no halves.
        #expect((weights.algorithm == algorithm) == (kernel == 3 || pixels % 2 == 0))
      }
      for threads in [1, 2, 3, 24] {
        let got = withThreads(threads) {
          bias.withUnsafeBufferPointer { bias in
            residual.withUnsafeBufferPointer { residual in
              Tensor<Float>([3, outputs, height, width]) {
                convolve(
                  geometry, batch: 3, input: single.pointer, weights: weights,
                  epilogue: Epilogue(bias: bias.baseAddress, residual: residual.baseAddress, activation: .relu),
                  output: $0.baseAddress!)
              }
            }
          }
        }
        #expect(largestError(got.scalars, want) < (Self.tolerance[weights.algorithm] ?? 0) * scale, "\(algorithm)")
      }
    }
  }

  /// Strassen's method adds outputs of channels to each other that BatchNorm's scales may have made a million times as large.
  @Test func `A channel is as exact beside much larger ones, whatever the method`() {
    let (channels, outputs, size) = (256, 64, 14)
    let x = tensor([6, channels, size, size])
    let w = tensor([outputs, channels, 1, 1], "w")
    let scales = (0..<outputs).map { [1, 1e-6, 1e-3, 1e3, 0][$0 % 5] }
    let sums = Convolution2d().applied(to: x, w).scalars
    let (single, weight) = (Tensor(x.shape, x.scalars.map(Float.init)), Tensor(w.shape, w.scalars.map(Float.init)))
    let geometry = Window(height: 1, width: 1, stride: 1, padding: .symmetric(0)).geometry(
      channels: channels, height: size, width: size)
    for algorithm in [ConvolutionAlgorithm.direct, .strassen] {
      let weights = ConvolutionWeights(
        weight, scale: Tensor([outputs], scales.map(Float.init)), for: geometry, algorithm: algorithm)
      let got = Tensor<Float>([6, outputs, size, size]) {
        convolve(
          geometry, batch: 6, input: single.pointer, weights: weights, epilogue: Epilogue(), output: $0.baseAddress!)
      }.scalars
      var errors = [Double](repeating: 0, count: outputs), squares = errors
      for (index, sum) in sums.enumerated() {
        let output = index / (size * size) % outputs
        errors[output] = max(errors[output], abs(Double(got[index]) - sum * scales[output]))
        squares[output] += sum * sum / Double(sums.count / outputs)
      }
      for output in 0..<outputs {
        let scale = scales[output] * squares[output].squareRoot()
        #expect(errors[output] <= (Self.tolerance[algorithm] ?? 0) * scale, "\(algorithm), \(output)")
      }
    }
  }

  /// The shape of one image decides, its batch and the machine's load do not.
  @Test func `Strassen's method is chosen for 1×1 convolutions of many channels and pixels`() {
    #if !DEBUG
      func chosen(_ channels: Int, _ size: Int, _ outputs: Int, kernel: Int = 1) -> ConvolutionAlgorithm {
        let geometry = Window(height: kernel, width: kernel, stride: 1, padding: .symmetric(kernel / 2)).geometry(
          channels: channels, height: size, width: size)
        return ConvolutionWeights<Float>(
          Tensor([outputs, channels, kernel, kernel]) { $0.update(repeating: 0) }, for: geometry
        ).algorithm
      }
      #expect(chosen(1024, 14, 256) == .direct)
      #expect(chosen(256, 56, 64) == .strassen)
      #expect(chosen(64, 56, 256) == .direct)
      #expect(chosen(512, 7, 2048) == .direct)
      #expect(chosen(64, 56, 64, kernel: 3) == .winograd)
    #endif
  }

  @Test(arguments: [
    // input [C, H, W], weights [O, h, w], stride, padding; top and left of what is padded, output size
    ([3, 7, 9], [4, 3, 3], 1, Padding.symmetric(1), (1, 1), (7, 9)),
    ([3, 7, 9], [4, 3, 3], 2, .symmetric(1), (1, 1), (4, 5)),
    ([2, 8, 8], [5, 1, 1], 1, .symmetric(0), (0, 0), (8, 8)),
    ([2, 8, 9], [5, 1, 1], 2, .symmetric(0), (0, 0), (4, 5)),
    ([1, 11, 12], [2, 7, 7], 2, .symmetric(3), (3, 3), (6, 6)),
    ([1, 12, 12], [2, 7, 7], 2, .same, (2, 2), (6, 6)),
    ([2, 8, 7], [3, 3, 3], 2, .same, (0, 1), (4, 4)),
    ([2, 5, 40], [3, 1, 5], 3, .symmetric(2), (2, 2), (3, 14)),
    ([2, 40, 40], [3, 3, 3], 1, .symmetric(1), (1, 1), (40, 40)),
    ([70, 7, 7], [19, 3, 3], 1, .symmetric(1), (1, 1), (7, 7)),
    ([300, 5, 3], [9, 1, 1], 1, .symmetric(0), (0, 0), (5, 3)),
    ([3, 6, 6], [8, 2, 2], 4, .symmetric(0), (0, 0), (2, 2)),
    ([4, 1, 1], [1, 3, 3], 1, .symmetric(1), (1, 1), (1, 1)),
  ])
  private func `Convolution is its definition`(
    _ input: [Int], _ kernel: [Int], _ stride: Int, _ padding: Padding, _ before: (Int, Int), _ size: (Int, Int)
  ) {
    let x = tensor(Shape([2] + input))
    let w = tensor([kernel[0], input[0], kernel[1], kernel[2]], "w")
    let convolution = Convolution2d(stride: stride, padding: padding)
    let y = convolution.applied(to: x, w)
    #expect(y.shape == [2, kernel[0], size.0, size.1])
    let want = convolvedByDefinition(
      x, w, stride: stride, top: before.0, left: before.1, height: size.0, width: size.1)
    #expect(largestError(y.scalars, want) < 1e-12)
    // Single precision runs on kernels of its own.
    let single = convolution.applied(
      to: Tensor(x.shape, x.scalars.map(Float.init)), Tensor(w.shape, w.scalars.map(Float.init)))
    #expect(single.shape == y.shape && largestError(single.scalars, want) < 1e-4)
    #expect(convolution.multiplyAdds([x.shape, w.shape]) == y.scalarCount * input[0] * kernel[1] * kernel[2])
  }

  @Test func `Single precision agrees with double`() {
    let (x, w) = (tensor([1, 16, 30, 30]), tensor([8, 16, 3, 3], "w"))
    let convolution = Convolution2d(padding: .symmetric(1))
    let single = convolution.applied(
      to: Tensor<Float>(x.shape, x.scalars.map { Float($0) }), Tensor<Float>(w.shape, w.scalars.map { Float($0) }))
    #expect(largestError(single.scalars, convolution.applied(to: x, w).scalars) < 1e-4)
  }
}

@Suite struct PoolingTests {
  @Test func `Padding never wins a maximum`() {
    let x = Tensor<Float>([1, 1, 3, 3], [-9, -8, -7, -6, -5, -4, -3, -2, -1])
    let pooled = MaxPooling2d(Window(height: 3, width: 3, stride: 2, padding: .symmetric(1))).applied(to: x)
    #expect(pooled.scalars == [-5, -4, -2, -1])
    let same = MaxPooling2d(Window(height: 3, width: 3, stride: 2, padding: .same)).applied(to: x)
    #expect(same.scalars == [-5, -4, -2, -1])
    let even = Tensor<Float>([1, 1, 4, 4], (0..<16).map { -Float($0) })
    let ending = MaxPooling2d(Window(height: 3, width: 3, stride: 2, padding: .same)).applied(to: even)
    #expect(ending.scalars == [0, -2, -8, -10])
  }

  @Test func `A mean counts the pixels that are there`() {
    let x = Tensor<Float>([1, 1, 2, 2], [1, 2, 3, 6])
    let pooled = AveragePooling2d(Window(height: 2, width: 2, stride: 1, padding: .symmetric(1))).applied(to: x)
    #expect(pooled.scalars == [1, 1.5, 2, 2, 3, 4, 3, 4.5, 6])
    #expect(x.globalAverage().scalars == [3])
    #expect(x.globalAverage().shape == [1, 1])
  }
}

@Suite struct LayerOperationTests {
  @Test func `BatchNorm is an affine map of each channel`() {
    let x = Tensor<Double>([1, 2, 1, 2], [1, 3, 10, 20])
    func channel(_ a: Double, _ b: Double) -> Tensor<Double> { Tensor([2], [a, b]) }
    let y = BatchNormalization(eps: 1).applied(
      to: x, channel(2, 1), channel(0.5, -1), channel(1, 10), channel(3, 24))
    // (1 − 1) / √4 · 2 + ½, (3 − 1) / √4 · 2 + ½, (10 − 10) / √25 − 1, (20 − 10) / √25 − 1
    #expect(largestError(y.scalars, [0.5, 2.5, -1, 1]) < 1e-14)
  }

  @Test func `A linear map adds its bias, alone and in a batch`() {
    let weight = Tensor<Float>([2, 3], [1, 2, 3, -1, 0, 1])
    let bias = Tensor<Float>([2], [10, 20])
    let one = LinearMap().applied(to: Tensor<Float>([1, 3], [1, 1, 2]), weight, bias)
    #expect(one.scalars == [19, 21])
    let two = LinearMap().applied(to: Tensor<Float>([2, 3], [1, 1, 2, 0, 0, 1]), weight, bias)
    #expect(two.scalars == [19, 21, 13, 21])
    #expect(LinearMap().applied(to: Tensor<Float>([1, 3], [1, 1, 2]), weight).scalars == [9, 1])
  }

  @Test func `Softmax survives large numbers and sums to one`() {
    let y = Tensor<Float>([2, 3], [1000, 1000, 1000, 0, -1e30, 0.6931472]).softmax().scalars
    #expect(largestError(y, [1 / 3.0, 1 / 3.0, 1 / 3.0, 1 / 3.0, 0, 2 / 3.0]) < 1e-6)
  }

  @Test func `Attention along the channels pads with zeros`() {
    let y = ChannelConvolution().applied(
      to: Tensor<Float>([2, 3], [1, 2, 3, 1, 0, 0]), Tensor<Float>([1, 1, 3], [1, 10, 100]))
    #expect(y.scalars == [210, 321, 32, 10, 1, 0])
  }

  @Test func `The parameter-free shortcut takes every second pixel and adds channels`() {
    let x = Tensor<Float>([1, 1, 3, 3], (1...9).map(Float.init))
    let y = ChannelPaddingShortcut(stride: 2, before: 1, after: 2).applied(to: x)
    #expect(y.shape == [1, 4, 2, 2])
    #expect(y.scalars == [0, 0, 0, 0, 1, 3, 7, 9, 0, 0, 0, 0, 0, 0, 0, 0])
  }
}
