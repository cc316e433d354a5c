import Synchronization
import TestSupport
import Tensors
import Testing

@Suite struct BatchNormalizationTests {
  private static let eps = 1e-5
  /// More images than groups of them, and not a multiple.
  private let x = Tensor<Double>([37, 5, 3, 4], unit("x", count: 37 * 5 * 12).map { Double($0) + 100 })
  private let parameters = ["weight", "bias"].map { Tensor<Double>([5], unit($0, count: 5).map(Double.init)) }

  @Test func `Statistics are those of the whole batch`() {
    let application = BatchNormalizationTraining(eps: Self.eps).apply([x] + parameters, needsGradient: [])
    for channel in 0..<5 {
      let places = (0..<37).flatMap { image in (0..<12).map { (image * 5 + channel) * 12 + $0 } }
      let numbers = places.map { x.scalars[$0] }
      let mean = numbers.reduce(0, +) / Double(numbers.count)
      let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(numbers.count)
      #expect(abs(application.saved[0].scalars[channel] - mean) < 1e-11)
      #expect(abs(application.saved[1].scalars[channel] - variance) < 1e-12)
      let (weight, bias) = (parameters[0].scalars[channel], parameters[1].scalars[channel])
      for place in places {
        let want = (x.scalars[place] - mean) / (variance + Self.eps).squareRoot() * weight + bias
        #expect(abs(application.output.scalars[place] - want) < 1e-10)
      }
    }
  }

  @Test(arguments: [false, true], Activation.allCases)
  func `With addend and activation it is the operations one after another`(_ adds: Bool, _ activation: Activation) {
    // More pixels than a vector has lanes, and not a multiple; a batch of one group and one of many.
    for shape in [[3, 4, 5, 7], [37, 2, 3, 3]] as [Shape] {
      let x =
        [Tensor<Double>(shape, unit("x", count: shape.scalarCount).map(Double.init))]
        // Large enough for results beyond both of ReLU6's bounds.
        + ["weight", "bias"].map { Tensor([shape[1]], unit($0, count: shape[1]).map { 8 * Double($0) }) }
        + (adds ? [Tensor(shape, unit("addend", count: shape.scalarCount).map(Double.init))] : [])
      func inSteps<Scalar>(_ x: [Tensor<Scalar>]) -> Tensor<Scalar> {
        var y = BatchNormalizationTraining(eps: Self.eps).applied(to: Array(x[..<3]))
        if adds { y = y + x[3] }
        return y.activated(by: activation)
      }
      func atOnce<Scalar>(_ x: [Tensor<Scalar>]) -> Tensor<Scalar> {
        BatchNormalizationTraining(eps: Self.eps, activation: activation).applied(to: x)
      }
      #expect(largestError(atOnce(x).scalars, inSteps(x).scalars) < 1e-14)
      let want = valueWithGradients(at: x) { probe(inSteps($0)) }.gradients
      let got = valueWithGradients(at: x) { probe(atOnce($0)) }.gradients
      for (got, want) in zip(got, want) { #expect(largestError(got.scalars, want.scalars) < 1e-14) }
      // Finite differences cross an activation's kinks.
      #expect(gradientError(at: x) { probe(atOnce($0)) } < (activation == .identity ? 1e-6 : 1e-5))
      let single = x.map { Tensor<Float>($0.shape, $0.scalars.map { Float($0) }) }
      #expect(largestError(atOnce(single).scalars, inSteps(x).scalars) < 2e-6)
      let gradients = valueWithGradients(at: single) { probe(atOnce($0)) }.gradients
      for (got, want) in zip(gradients, want) { #expect(largestError(got.scalars, want.scalars) < 2e-5) }
    }
  }

  @Test func `An addend may be what is normalised, and have another reader`() {
    let x =
      [Tensor<Double>([3, 2, 5, 7], unit("x", count: 210).map(Double.init))]
      + ["weight", "bias"].map { Tensor([2], unit($0, count: 2).map(Double.init)) }
    let rectified = BatchNormalizationTraining(eps: Self.eps, activation: .relu)
    #expect(gradientError(at: x) { probe(rectified.applied(to: $0 + [$0[0]])) } < 1e-5)
    #expect(
      gradientError(at: x) {
        let shortcut = $0[0].relu()
        let y = rectified.applied(to: $0 + [shortcut])
        return probe(y) + probe(shortcut + $0[0])
      } < 1e-5)
  }

  @Test func `What nobody wants is not found`() {
    let rectified = BatchNormalizationTraining(eps: Self.eps, activation: .relu)
    let inputs = [x] + parameters + [x]
    let all = rectified.apply(inputs, needsGradient: [true, true, true, true])
    let want = rectified.pullback(x, all)
    for needs in [[true, true, true, false], [false, true, true, true], [false, true, true, false]] {
      let got = rectified.pullback(x, rectified.apply(inputs, needsGradient: needs))
      for (got, (want, isWanted)) in zip(got, zip(want, needs)) {
        #expect(got?.scalars == (isWanted ? want?.scalars : nil))
      }
    }
  }

  @Test func `A rectified NaN stays NaN and has no gradient`() {
    let x = [Tensor<Float>([2, 1, 2], [1, 2, 3, .nan]), Tensor<Float>([1], [1]), Tensor<Float>([1], [0])]
    #expect(BatchNormalizationTraining(eps: 0, activation: .relu).applied(to: x).scalars.allSatisfy { $0.isNaN })
    let addend = Tensor<Float>([2, 1, 2], [0, .nan, 0, 0])
    let numbers = [Tensor<Float>([2, 1, 2], [1, 2, 3, 4])] + x[1...] + [addend]
    let rectified = BatchNormalizationTraining(eps: 0, activation: .relu)
    let y = rectified.applied(to: numbers).scalars
    #expect(y[0] == 0 && y[1].isNaN && y[3] > 1)
    #expect(valueWithGradients(at: numbers) { probe(rectified.applied(to: $0)) }.gradients[3].scalars[1] == 0)
  }

  @Test func `Numbers do not depend on which thread finds them`() {
    func results() -> [[Double]] {
      let normalization = BatchNormalizationTraining(eps: Self.eps)
      let gradients = valueWithGradients(at: [x] + parameters) { probe(normalization.applied(to: $0)) }.gradients
      return [normalization.applied(to: [x] + parameters).scalars] + gradients.map(\.scalars)
    }
    let shared = results()
    // Within a piece of work everything is done in place.
    let pool = WorkerPool()
    pool.width = 2
    let isSame = Mutex<[Bool]>([])
    pool.forEach(2) { _ in
      let mine = results() == shared
      isSame.withLock { $0.append(mine) }
    }
    #expect(isSame.withLock { $0 } == [true, true])
  }
}
