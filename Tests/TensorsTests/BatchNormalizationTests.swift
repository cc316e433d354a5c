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
