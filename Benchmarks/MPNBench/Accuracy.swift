import ModelZoo

/// How far a method is from the exact function in double precision on the same features: relative Frobenius errors over
/// the batch.
struct Accuracy {
  /// Of the value, and of the gradient with respect to the features.
  let value, gradient: Double
  /// ‖S·S − Σ‖ / ‖Σ‖ of the worst sample, for square roots.
  let residual: Double?

  /// `nil` for a method that approximates nothing.
  init?<Scalar: RealScalar>(_ trial: Trial<Scalar>, _ reference: ExactReference) {
    guard let exact = trial.method.exact, let (value, gradient) = reference[exact] else { return nil }
    let applications = trial.apply()
    guard let root = applications.last?.output else { return nil }
    self.value = relativeDistance(root, value)
    self.gradient = relativeDistance(trial.backward(applications), gradient)
    guard trial.method.normalization.isSquareRoot else {
      residual = nil
      return
    }
    // In double precision Σ is in range whatever the features are.
    residual = squareRootResiduals(widened(root), of: Covariance().forward([widened(trial.features)]))
      .reduce(0) { $1.isNaN ? $1 : max($0, $1) }
  }
}

/// Values and gradients in double precision, each function's made once.
final class ExactReference {
  private let features: Tensor<Double>
  private var known: [CovarianceFunction: (Tensor<Double>, Tensor<Double>)] = [:]

  init<Scalar: RealScalar>(_ features: Tensor<Scalar>) {
    self.features = widened(features)
  }

  subscript(function: CovarianceFunction) -> (value: Tensor<Double>, gradient: Tensor<Double>)? {
    if let found = known[function] { return found }
    let application = function.apply([features], needsGradient: [true])
    let slope = Trial<Double>.slope(application.output.shape)
    guard let gradient = function.pullback(slope, application)[0] else { return nil }
    known[function] = (application.output, gradient)
    return (application.output, gradient)
  }
}

private func widened(_ x: Tensor<some RealScalar>) -> Tensor<Double> { Tensor(x.shape, x.scalars.map { Double($0) }) }

/// ‖found − wanted‖ / ‖wanted‖; 0 where both are 0.
func relativeDistance<Scalar: RealScalar>(_ found: Tensor<Scalar>, _ wanted: Tensor<some RealScalar>) -> Double {
  let (difference, norm) = zip(found.scalars, wanted.scalars).reduce((0.0, 0.0)) { sums, pair in
    let (found, wanted) = (Double(pair.0), Double(pair.1))
    return (sums.0 + (found - wanted) * (found - wanted), sums.1 + wanted * wanted)
  }
  return difference == 0 ? 0 : (difference / norm).squareRoot()
}

/// Errors of iterations and degrees, for the chart of convergence.
struct Convergence {
  let method: String
  let step: Int
  let value, gradient: Double

  /// Newton–Schulz with either scaling to 20 iterations, Taylor and Padé to degree 20, on these features.
  static func measure(_ features: Tensor<Float>) throws -> [Convergence] {
    let reference = ExactReference(features)
    return try (1...20).flatMap { step in
      try [
        ("Newton–Schulz, trace", "newton-schulz:iterations=\(step)"),
        ("Newton–Schulz, Frobenius", "newton-schulz:iterations=\(step),scaling=frobenius"),
        ("Taylor", "taylor:degree=\(step)"), ("Padé", "pade:degree=\(step)"),
      ].compactMap { name, text in
        guard let accuracy = Accuracy(Trial(try Method(text), features), reference) else { return nil }
        return Convergence(method: name, step: step, value: accuracy.value, gradient: accuracy.gradient)
      }
    }
  }
}
