import Tensors
import Testing

/// A programmer's mistakes stop the process, in release too, with the operation and the shapes.
@Suite struct MisuseTests {
  @Test func `Convolutions of channels that do not divide into groups`() async {
    let channels = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Convolution2d(groups: 4).outputShape([[1, 6, 5, 5], [8, 1, 3, 3]])
    }
    #expect(text(channels).contains("Convolution2d: 6 and 8 channels do not divide into 4 groups"))
    let weights = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Convolution2d(groups: 2).outputShape([[1, 6, 5, 5], [8, 6, 3, 3]])
    }
    #expect(text(weights).contains("weights for 6 input channels, and each of 2 groups has 3"))
    #expect(text(weights).contains("[1, 6, 5, 5], [8, 6, 3, 3]"))
    let dilated = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Convolution2d(dilation: 3).outputShape([[1, 1, 5, 5], [1, 1, 3, 3]])
    }
    #expect(text(dilated).contains("the kernel does not fit"))
  }

  @Test func `Slices, permutations, products and dropout that cannot be`() async {
    let slice = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor<Float>([2, 3], repeating: 0).sliced(axis: 1, 2..<4)
    }
    #expect(text(slice).contains("AxisSlice: 2..<4 is not there; inputs [2, 3]"))
    let permutation = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor<Float>([2, 3], repeating: 0).permuted(0, 0)
    }
    #expect(text(permutation).contains("Permutation: [0, 0] does not name each axis once"))
    let product = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor<Float>([2, 3], repeating: 0).matmul(Tensor([4, 5], repeating: 0))
    }
    #expect(text(product).contains("MatrixProduct: inner extents differ; inputs [2, 3], [4, 5]"))
    let dropout = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = InvertedDropout(probability: 1.5, random: RandomStream(seed: 0, name: ""))
    }
    #expect(text(dropout).contains("a probability of 1.5, which must be in [0, 1]"))
  }

  private func text(_ result: ExitTest.Result?) -> String {
    String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
  }
}
