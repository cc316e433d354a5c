import TestSupport
import Testing

/// An operation of a user's own, outside the package's modules.
struct Doubling: TensorOperation {
  func outputShape(_ inputs: [Shape]) -> Shape { inputs[0] }
  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    inputs[0].withUnsafeScalars { for (i, x) in $0.enumerated() { result[i] = 2 * x } }
  }
}

@Suite struct TapeTests {
  @Test func `A symbolic tape records shapes and computes nothing`() {
    let tape = Tape<Float>(.tracing)
    let x = tape.placeholder([2, 3, 8, 8], name: "input")
    let w = tape.leaf(.uninitialized([4, 3, 3, 3]), name: "weight")
    let y = Convolution2d(padding: .symmetric(1)).applied(to: x, w).relu()
    #expect(y.shape == [2, 4, 8, 8] && !y.hasValues)
    let trace = Trace(tape, input: x, output: y)
    #expect(trace.steps.map(\.operation.name) == ["Convolution2d", "ReLU"])
    #expect(trace.multiplyAdds == 2 * 4 * 8 * 8 * 27)
    #expect(trace.values[trace.steps[0].inputs[1]].name == "weight")
  }

  @Test func `A computing tape gives the values of plain code`() {
    let x = Tensor<Float>([4], [-1, 2, -3, 4])
    let tape = Tape<Float>(.differentiating(isTraining: false))
    let recorded = tape.leaf(x, name: "x")
    let y = Doubling().applied(to: recorded.relu() + x)
    #expect(y.scalars == Doubling().applied(to: x.relu() + x).scalars)
    #expect(tape.steps.map(\.operation.name) == ["ReLU", "Addition", "Doubling"])
    // The plain tensor became an anonymous leaf.
    #expect(tape.values.filter { $0.name == nil }.count == 4)
  }

  @Test func `Nothing is recorded outside a tape`() {
    let x = Tensor<Float>([2], [1, -1])
    #expect(x.relu().recording == nil)
  }
}
