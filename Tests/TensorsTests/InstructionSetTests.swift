import TestSupport
import Tensors
import Testing

private func doubles(_ shape: Shape, _ name: String) -> Tensor<Double> {
  Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
}

private func floats(_ x: Tensor<Double>) -> Tensor<Float> { Tensor(x.shape, x.scalars.map(Float.init)) }

/// The kernels for each class of processor against double precision.
@Suite(.serialized) struct InstructionSetTests {
  /// Batch, input channels, height, width, output channels, kernel, stride, padding.
  private static let convolutions: [[Int]] = [
    [2, 19, 14, 14, 24, 3, 1, 1], [1, 16, 5, 9, 17, 3, 1, 1], [3, 33, 7, 7, 16, 3, 1, 0], [1, 16, 1, 1, 16, 3, 1, 1],
    [2, 48, 30, 18, 20, 3, 1, 2], [2, 5, 23, 17, 13, 7, 2, 3], [3, 40, 14, 14, 9, 1, 1, 0], [1, 12, 9, 9, 30, 1, 2, 0],
    [17, 16, 6, 6, 40, 3, 2, 1], [3, 24, 57, 61, 33, 3, 1, 1], [2, 65, 40, 39, 16, 3, 1, 0],
    [2, 80, 40, 39, 70, 3, 1, 1], [6, 128, 14, 14, 128, 1, 1, 0],
  ]

  @Test(arguments: 0...2, convolutions)
  func `A convolution and its gradients`(_ level: Int, _ sizes: [Int]) {
    let x = doubles([sizes[0], sizes[1], sizes[2], sizes[3]], "x")
    let w = doubles([sizes[4], sizes[1], sizes[5], sizes[5]], "w")
    let convolution = Convolution2d(stride: sizes[6], padding: .symmetric(sizes[7]))
    let want = valueWithGradients(at: [x, w]) { probe(convolution.applied(to: $0[0], $0[1])) }
    let result = convolution.applied(to: x, w)
    let got = withInstructions(ofLevel: level) {
      (
        convolution.applied(to: floats(x), floats(w)),
        valueWithGradients(at: [floats(x), floats(w)]) { probe(convolution.applied(to: $0[0], $0[1])) }
      )
    }
    // Of the largest number: Winograd's method costs a digit.
    #expect(largestError(got.0.scalars, result.scalars) <= 4e-5 * largest(result))
    for (mine, reference) in zip(got.1.gradients, want.gradients) {
      #expect(largestError(mine.scalars, reference.scalars) <= 4e-5 * largest(reference))
    }
  }

  /// Winograd's tiles at the edge of 14, 13, 6 or 2 pixels leave products out, and which columns of a run are whose depends
  /// on how many images there are; Strassen's method adds pixels to each other. Eleven images make runs of tiles that begin
  /// and end inside one.
  @Test(
    arguments: 0...2,
    [
      (130, 14, 14, 130, 3), (16, 13, 10, 24, 3), (17, 6, 7, 16, 3), (16, 2, 2, 16, 3), (20, 1, 30, 9, 3),
      (24, 9, 8, 16, 3), (128, 14, 14, 64, 1), (1024, 3, 10, 16, 1), (12, 28, 3, 48, 1), (4, 1, 2, 16, 1),
    ])
  func `An image's convolution is the same alone and among others`(
    _ level: Int, _ shape: (channels: Int, height: Int, width: Int, outputs: Int, kernel: Int)
  ) {
    let (channels, height, width, outputs, kernel) = shape
    let (batch, size) = (11, channels * height * width)
    let x = doubles([batch, channels, height, width], "x")
    let w = doubles([outputs, channels, kernel, kernel], "w")
    let padding = Padding.symmetric(kernel / 2)
    let want = Convolution2d(stride: 1, padding: padding).applied(to: x, w)
    let (single, weight) = (floats(x), floats(w))
    let geometry = Window(height: kernel, width: kernel, stride: 1, padding: padding).geometry(
      channels: channels, height: height, width: width)
    let algorithm = kernel == 3 ? ConvolutionAlgorithm.winograd : .strassen
    withInstructions(ofLevel: level) {
      let weights = ConvolutionWeights(weight, for: geometry, algorithm: algorithm)
      #expect(weights.algorithm == algorithm)
      func convolved(_ images: Range<Int>) -> [Float] {
        Tensor<Float>([images.count, outputs, height, width]) {
          convolve(
            geometry, batch: images.count, input: single.pointer + images.lowerBound * size, weights: weights,
            epilogue: Epilogue(), output: $0.baseAddress!)
        }.scalars
      }
      let together = convolved(0..<batch)
      #expect(largestError(together, want.scalars) <= 4e-5 * largest(want))
      let image = outputs * height * width
      let isSameAlone = (0..<batch).flatMap { convolved($0..<$0 + 1) } == together
      let isSameAmongFewer = convolved(3..<9) == Array(together[3 * image..<9 * image])
      #expect(isSameAlone && isSameAmongFewer)
      // What is not a number stays in its image.
      let damaged = Tensor<Float>(x.shape, single.scalars.enumerated().map { $0 / size == 4 ? .nan : $1 })
      let others = Tensor<Float>([batch, outputs, height, width]) {
        convolve(
          geometry, batch: batch, input: damaged.pointer, weights: weights, epilogue: Epilogue(),
          output: $0.baseAddress!)
      }.scalars
      let isContained = others.indices.allSatisfy {
        $0 / image == 4 ? others[$0].isNaN : others[$0] == together[$0]
      }
      #expect(isContained)
    }
  }

  @Test(
    arguments: 0...2,
    [[1, 1, 1], [2, 7, 5], [3, 1500, 4], [8, 2049, 26], [13, 1024, 3], [64, 100, 50], [67, 5000, 33]])
  func `A fully connected layer`(_ level: Int, _ sizes: [Int]) throws {
    let (x, w, bias) = (
      doubles([sizes[0], sizes[1]], "x"), doubles([sizes[2], sizes[1]], "w"), doubles([sizes[2]], "bias")
    )
    let want = LinearMap().applied(to: x, w, bias)
    let got = withInstructions(ofLevel: level) { LinearMap().applied(to: floats(x), floats(w), floats(bias)) }
    #expect(largestError(got.scalars, want.scalars) <= 4e-6 * max(largest(want), 1))
    #if !DEBUG
      let packed = try #require(LinearWeights(floats(w), bias: floats(bias)))
      let single = floats(x)
      let again = withInstructions(ofLevel: level) {
        Tensor<Float>(want.shape) { packed.apply(single.pointer, batch: sizes[0], into: $0.baseAddress!) }
      }
      #expect(largestError(again.scalars, want.scalars) <= 4e-6 * max(largest(want), 1))
    #endif
  }

  private func largest(_ x: Tensor<Double>) -> Double { x.scalars.reduce(0) { max($0, abs($1)) } }
}
