import TestSupport
import Testing

private func tensor(_ shape: Shape, _ name: String = "x") -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

/// Central differences with a step of 1e-6 in double precision are good to about 1e-9 of the gradient.
private let tolerance = 1e-7

@Suite struct GradientTests {
  @Test(arguments: [
    ([2, 3, 6, 5], [4, 3, 3, 3], 1, Padding.symmetric(1)), ([2, 2, 7, 6], [3, 2, 3, 3], 2, .symmetric(1)),
    ([2, 3, 4, 4], [5, 3, 1, 1], 1, .symmetric(0)), ([1, 3, 5, 5], [2, 3, 1, 1], 2, .symmetric(0)),
    ([1, 1, 9, 8], [2, 1, 7, 7], 2, .symmetric(3)), ([1, 2, 8, 7], [2, 2, 3, 3], 2, .same),
    ([1, 2, 6, 6], [3, 2, 2, 2], 1, .symmetric(0)),
  ])
  private func `Convolution`(_ x: [Int], _ w: [Int], _ stride: Int, _ padding: Padding) {
    let convolution = Convolution2d(stride: stride, padding: padding)
    let inputs = [tensor(Shape(x)), tensor(Shape(w), "w")]
    #expect(gradientError(at: inputs) { probe(convolution.applied(to: $0)) } < tolerance)
    // Single precision runs on kernels of its own.
    let want = valueWithGradients(at: inputs) { probe(convolution.applied(to: $0)) }.gradients
    let single = inputs.map { Tensor($0.shape, $0.scalars.map(Float.init)) }
    let got = valueWithGradients(at: single) { probe(convolution.applied(to: $0)) }.gradients
    for (got, want) in zip(got, want) { #expect(largestError(got.scalars, want.scalars) < 2e-5) }
  }

  @Test(arguments: [1, 2], [1, 3])
  func `A convolution adds to what other readers of its input have found`(_ stride: Int, _ kernel: Int) {
    let convolution = Convolution2d(stride: stride, padding: .symmetric(kernel / 2))
    let inputs = [tensor([2, 3, 6, 7]), tensor([4, 3, kernel, kernel], "w")]
    func value<Scalar>(_ x: [Tensor<Scalar>]) -> Tensor<Scalar> {
      probe(convolution.applied(to: x[0], x[1])) + probe(x[0].relu()) + probe(convolution.applied(to: x[0], x[1]))
    }
    #expect(gradientError(at: inputs) { value($0) } < tolerance)
    let want = valueWithGradients(at: inputs) { value($0) }.gradients
    let single = inputs.map { Tensor($0.shape, $0.scalars.map(Float.init)) }
    for (got, want) in zip(valueWithGradients(at: single) { value($0) }.gradients, want) {
      #expect(largestError(got.scalars, want.scalars) < 5e-5)
    }
  }

  @Test(arguments: [(32, 32, 3), (128, 64, 1)])
  func `So do Winograd's and Strassen's methods`(_ channels: Int, _ outputs: Int, _ kernel: Int) {
    // Enough pixels that the gradient of the input is found by the method itself.
    let shapes = [[2, channels, 24, 24], [outputs, channels, kernel, kernel]] as [Shape]
    let convolution = Convolution2d(padding: .symmetric(kernel / 2))
    let inputs = zip(shapes, ["x", "w"]).map { tensor($0, $1) }
    let single = inputs.map { Tensor($0.shape, $0.scalars.map(Float.init)) }
    let gradient = convolution.outputShape(shapes)
    let (g, sum) = (tensor(gradient, "g"), tensor(shapes[0], "sum"))
    func total<Scalar: RealScalar>(
      _ inputs: [Tensor<Scalar>], _ g: Tensor<Scalar>, _ sum: Tensor<Scalar>
    ) -> Tensor<Scalar> {
      let application = convolution.apply(inputs, needsGradient: [true, false])
      var sums = [sum, nil]
      convolution.pullback(g, application, addingTo: &sums)
      return sums[0] ?? sum
    }
    let want = total(inputs, g, sum).scalars
    let got = total(single, Tensor(g.shape, g.scalars.map(Float.init)), Tensor(sum.shape, sum.scalars.map(Float.init)))
    let isClose = largestError(got.scalars, want) < 1e-4
    #expect(isClose)
  }

  @Test func `Batch normalisation, by running and by the batch's own statistics`() {
    let inputs = [tensor([3, 4, 2, 3]), tensor([4], "weight"), tensor([4], "bias")]
    #expect(gradientError(at: inputs) { probe(BatchNormalizationTraining(eps: 1e-5).applied(to: $0)) } < tolerance)
    let mean = tensor([4], "mean")
    let variance = Tensor<Double>([4], [0.5, 1, 2, 0.1])
    #expect(
      gradientError(at: inputs) { probe(BatchNormalization(eps: 1e-5).applied(to: $0 + [mean, variance])) } < tolerance)
  }

  @Test func `Rectifier, sum, shape`() {
    #expect(gradientError(at: [tensor([3, 5])]) { probe($0[0].relu()) } < tolerance)
    #expect(gradientError(at: [tensor([3, 5]), tensor([3, 5], "y")]) { probe($0[0] + $0[1]) } < tolerance)
    #expect(gradientError(at: [tensor([3, 4])]) { probe($0[0].reshaped(to: [2, 6])) } < tolerance)
    // A tensor that is used twice.
    #expect(gradientError(at: [tensor([3, 4])]) { probe(($0[0] + $0[0].relu()) + $0[0]) } < tolerance)
  }

  @Test func `Pooling`() {
    let x = tensor([2, 3, 7, 6])
    for padding in [Padding.symmetric(1), .same] {
      let window = Window(height: 3, width: 3, stride: 2, padding: padding)
      #expect(gradientError(at: [x]) { probe(MaxPooling2d(window).applied(to: $0)) } < tolerance)
      #expect(gradientError(at: [x]) { probe(AveragePooling2d(window).applied(to: $0)) } < tolerance)
    }
    #expect(gradientError(at: [x]) { probe($0[0].globalAverage()) } < tolerance)
  }

  @Test func `The gradient of a maximum goes to the first of equals, to NaN, and never into the padding`() {
    let window = Window(height: 3, width: 3, stride: 2, padding: .symmetric(1))
    func gradient(_ scalars: [Float], _ shape: Shape) -> [Float] {
      valueWithGradients(at: [Tensor(shape, scalars)]) { probe(MaxPooling2d(window).applied(to: $0[0])) }.gradients[0]
        .scalars
    }
    let weights = unit("direction", count: 4)
    // Windows begin at rows and columns −1 and 1 of a 4 × 4 plane.
    #expect(
      gradient([Float](repeating: -.infinity, count: 16), [1, 1, 4, 4]) == [
        weights[0], weights[1], 0, 0, weights[2], weights[3], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      ])
    var x = [Float](repeating: 2, count: 16)
    x[10] = .nan
    let found = gradient(x, [1, 1, 4, 4])
    #expect(found[10] == weights[3] && found[0] == weights[0] && found[1] == weights[1] && found[4] == weights[2])
    #expect(MaxPooling2d(window).applied(to: Tensor<Float>([1, 1, 4, 4], x)).scalars[3].isNaN)
    // More outputs in a row than are looked at together.
    let wide = unit("wide", count: 2 * 5 * 301)
    let want = valueWithGradients(at: [Tensor<Double>([1, 2, 5, 301], wide.map(Double.init))]) {
      probe(MaxPooling2d(window).applied(to: $0[0]))
    }
    #expect(largestError(gradient(wide, [1, 2, 5, 301]), want.gradients[0].scalars) < 1e-6)
  }

  @Test func `Linear map, softmax, channel convolution, padding shortcut, channel scale`() {
    let linear = [tensor([3, 4]), tensor([5, 4], "w"), tensor([5], "b")]
    #expect(gradientError(at: linear) { probe(LinearMap().applied(to: $0)) } < tolerance)
    #expect(gradientError(at: [tensor([3, 5])]) { probe($0[0].softmax()) } < tolerance)
    #expect(
      gradientError(at: [tensor([2, 6]), tensor([1, 1, 3], "w")]) { probe(ChannelConvolution().applied(to: $0)) }
        < tolerance)
    let shortcut = ChannelPaddingShortcut(stride: 2, before: 1, after: 2)
    #expect(gradientError(at: [tensor([2, 3, 5, 4])]) { probe(shortcut.applied(to: $0)) } < tolerance)
    for offset in [0.0, 1] {
      let scale = ChannelScale(offset: offset)
      #expect(
        gradientError(at: [tensor([2, 3, 2, 2]), tensor([2, 3], "s")]) { probe(scale.applied(to: $0)) } < tolerance)
    }
  }

  @Test func `Cross-entropy by hand and its gradient`() {
    // Two equal logits: log 2 whatever the label and the smoothing.
    let even = SoftmaxCrossEntropy(labels: [0, 1], labelSmoothing: 0.3).applied(
      to: Tensor<Double>([2, 2], repeating: 7))
    #expect(abs(even.scalars[0] - 0.693147180559945) < 1e-12)
    // −log(e² / (e² + 1)) = log(1 + e⁻²).
    let sure = SoftmaxCrossEntropy(labels: [0]).applied(to: Tensor<Double>([1, 2], [1002, 1000]))
    #expect(abs(sure.scalars[0] - 0.126928011042973) < 1e-9)
    for smoothing in [0, 0.1] {
      let loss = SoftmaxCrossEntropy(labels: [2, 0, 4], labelSmoothing: smoothing)
      #expect(gradientError(at: [tensor([3, 5])]) { loss.applied(to: $0) } < tolerance)
    }
  }
}
