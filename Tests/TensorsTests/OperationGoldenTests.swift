import Foundation
import TestSupport
import Tensors
import Testing

/// Results and gradients of operations as PyTorch computes them in double precision.
private struct Case: Decodable, CustomTestStringConvertible {
  struct Parameters: Decodable {
    var stride: Int?, padding: Int?, dilation: Int?, groups: Int?
  }
  struct Input: Decodable {
    var name: String
    var shape: [Int]
    var scale: Double

    func tensor<Scalar>(_: Scalar.Type) -> Tensor<Scalar> {
      let shape = Shape(shape)
      return Tensor(shape, unit(name, count: shape.scalarCount).map { Scalar(Double($0) * scale) })
    }
  }

  var op: String
  var parameters: Parameters
  var tensors: [Input]
  var outputShape: [Int]
  var output: [Double]
  var gradients: [[Double]]

  var testDescription: String { "\(op) of \(tensors.map(\.shape)), \(parameters)" }

  static let all: [Case] = (try? golden("operations", in: .module)) ?? []

  var operation: any TensorOperation {
    switch op {
    case "convolution":
      Convolution2d(
        stride: parameters.stride ?? 1, padding: .symmetric(parameters.padding ?? 0),
        dilation: parameters.dilation ?? 1, groups: parameters.groups ?? 1)
    case "channelShuffle": ChannelShuffle(groups: parameters.groups ?? 0)
    case "relu6": ReLU6()
    case "layerNorm": LayerNormalization(eps: 1e-5)
    case "linear": LinearMap()
    case "matmul": MatrixProduct()
    case "permute": Permutation([0, 2, 1])
    case "concatenate": Concatenation(axis: 1)
    case "slice": AxisSlice(axis: 1, 1..<3)
    case "mean": Mean(axes: [0, 2])
    default: fatalError("no operation \(op)")
    }
  }

  /// The largest errors of the result and of the gradients, each relative to the largest number there.
  func errors<Scalar: RealScalar>(_: Scalar.Type) -> [Double] {
    let (operation, inputs) = (operation, tensors.map { $0.tensor(Scalar.self) })
    let result = operation.applied(to: inputs)
    guard result.shape == Shape(outputShape) else { return [.infinity] }
    let gradients = valueWithGradients(at: inputs) { probe(operation.applied(to: $0), "g") }.gradients
    return zip([result] + gradients, [output] + self.gradients).map { got, want in
      largestError(got.scalars, want) / (want.map(abs).max() ?? 1)
    }
  }
}

@Suite struct OperationGoldenTests {
  @Test func `There are goldens`() { #expect(Case.all.count > 20) }

  @Test(arguments: Case.all)
  private func `Results and gradients are PyTorch's`(_ row: Case) {
    // Ten digits are kept of each number.
    for error in row.errors(Double.self) { #expect(error <= 1e-9) }
    for error in row.errors(Float.self) { #expect(error <= 1e-5) }
  }
}
