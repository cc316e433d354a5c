import AllocationCounting
import Console
import Foundation
import Histogram
import ModelZoo

/// Times of one thing, in milliseconds for one matrix.
struct Timing {
  private var histogram = Histogram<UInt64>(
    lowestDiscernibleValue: 1, highestTrackableValue: 1 << 40, numberOfSignificantValueDigits: .three)
  private(set) var best = Double.infinity

  mutating func record(milliseconds: Double) {
    histogram.record(UInt64(max(milliseconds * 1e6, 1)))
    best = min(best, milliseconds)
  }

  /// The median, and the quartiles around it.
  var median: Double { percentile(50) }
  var quartiles: (Double, Double) { (percentile(25), percentile(75)) }

  private func percentile(_ value: Double) -> Double { Double(histogram.valueAtPercentile(value)) / 1e6 }
}

/// A method on one batch of features: what is timed.
struct Trial<Scalar: RealScalar> {
  let method: Method
  private let steps: [NormalizationStep]
  private let learned: [Tensor<Scalar>]
  let features: Tensor<Scalar>
  /// The gradient that the backward pass starts from.
  let gradient: Tensor<Scalar>

  init(_ method: Method, _ features: Tensor<Scalar>) {
    (self.method, self.features) = (method, features)
    let (steps, learned): (_, [Tensor<Scalar>]) = (method.steps, method.parameters(dimension: features.shape[1]))
    (self.steps, self.learned) = (steps, learned)
    let shape = steps.reduce(features.shape) { shape, step in
      step.operation.outputShape([shape] + step.parameters.map { learned[$0].shape })
    }
    let slope: Tensor<Double> = Self.slope(shape)
    gradient = Tensor(shape, slope.scalars.map(Scalar.init))
  }

  /// Normal numbers, the same in either precision.
  static func slope(_ shape: Shape) -> Tensor<Double> {
    RandomStream(seed: 1, name: "gradient").normal(shape, deviation: 1)
  }

  func forward() -> Tensor<Scalar> { steps.reduce(features) { $1($0, learned) } }

  /// The forward pass with everything that the backward pass needs, as on a tape.
  func apply() -> [Application<Scalar>] {
    var applications: [Application<Scalar>] = []
    for step in steps {
      applications.append(
        step.operation.apply(
          [applications.last?.output ?? features] + step.parameters.map { learned[$0] },
          needsGradient: [true] + step.parameters.map { _ in false }))
    }
    return applications
  }

  func backward(_ applications: [Application<Scalar>]) -> Tensor<Scalar> {
    zip(steps, applications).reversed().reduce(gradient) { gradient, pair in
      let (operation, application) = (pair.0.operation, pair.1)
      guard let input = operation.pullback(gradient, application)[0] else {
        preconditionFailure("\(operation.name): no gradient")
      }
      return input
    }
  }

  /// Whether both passes have a result for every sample.
  func check() throws {
    do { _ = try checkingNumerics { backward(apply()) } } catch { throw UsageError("\(method.name): \(error)") }
  }

  /// Allocations in forward and backward passes that come with each further matrix, after warm-up: this package's own, and
  /// those that BLAS makes inside.
  func allocationsPerMatrix() -> (own: Int, blas: Int)? {
    guard allocation_counting_works() != 0 else { return nil }
    let shape = features.shape
    let twice = Trial(
      method, Tensor(Shape([2 * shape[0]] + shape.dropFirst()), features.scalars + features.scalars))
    // The least of several: a thread that gets its first matrix of this size makes its working memory.
    func counts(_ trial: Trial) -> (own: Int, blas: Int) {
      (0..<4).reduce((.max, .max)) { least, _ in
        let before = (allocation_count(), blas_allocation_count())
        _ = trial.backward(trial.apply())
        return (min(least.0, allocation_count() - before.0), min(least.1, blas_allocation_count() - before.1))
      }
    }
    // With as many matrices as threads, so that both batches are shared out alike.
    guard shape[0] >= WorkerPool.shared.width else { return nil }
    let (more, fewer) = (counts(twice), counts(self))
    // Whole ones: a few that come with a job for the pool do not come with each matrix.
    return ((more.own - fewer.own) / shape[0], (more.blas - fewer.blas) / shape[0])
  }

  /// Bytes for one matrix that a forward pass keeps for the backward pass, the result among them.
  func bytesKept() -> Int? {
    guard allocation_counting_works() != 0 else { return nil }
    _ = forward()
    let before = allocation_bytes()
    let kept = apply()
    return withExtendedLifetime(kept) { (allocation_bytes() - before) / features.shape[0] }
  }
}

/// Milliseconds that `body` takes for one matrix of `batch`; so many calls that a clock can tell.
func time(batch: Int, _ body: () -> Void) -> Double {
  let start = ContinuousClock.now
  var calls = 0
  repeat {
    body()
    calls += 1
  } while ContinuousClock.now - start < .milliseconds(1)
  return milliseconds(ContinuousClock.now - start) / Double(calls * batch)
}

func milliseconds(_ duration: Duration) -> Double {
  Double(duration.components.seconds) * 1e3 + Double(duration.components.attoseconds) * 1e-15
}

/// Multiplications and additions in a second that plain products reach, one product for each thread, in 10⁹.
func gemmPeak<Scalar: RealScalar>(_: Scalar.Type) -> Double {
  let (size, pieces) = (512, WorkerPool.shared.width)
  let products = PlainProducts<Scalar>(size: size, batch: pieces)
  // A new thread may share a processor with its parent for some tens of milliseconds before it is moved.
  let start = ContinuousClock.now
  var best = Double.infinity
  while ContinuousClock.now - start < .milliseconds(300) { best = min(best, time(batch: 1) { products.run(count: 1) }) }
  return Double(pieces * 2 * size * size * size) / best / 1e6
}

/// Products by BLAS, one matrix on each thread: what methods are compared with.
struct PlainProducts<Scalar: RealScalar> {
  private let size: Int
  private let matrices: Tensor<Scalar>

  init(size: Int, batch: Int) {
    self.size = size
    matrices = RandomStream(seed: 2, name: "products").normal([batch, size, size], deviation: 1)
  }

  /// `count` products of each matrix of the batch.
  func run(count: Int) {
    let scalars = size * size
    WorkerPool.shared.forEach(matrices.shape[0]) { sample in
      matrices.withUnsafeScalars { matrices in
        withUnsafeTemporaryAllocation(of: Scalar.self, capacity: scalars) { target in
          guard let matrix = matrices.baseAddress, let target = target.baseAddress else { return }
          let view = MatrixView(matrix + sample * scalars, rows: size, columns: size)
          for _ in 0..<count { multiply(view, view, into: target) }
        }
      }
    }
  }
}
