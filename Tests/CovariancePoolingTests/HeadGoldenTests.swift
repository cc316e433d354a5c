import CovariancePooling
import Foundation
import TestSupport
import Testing

private struct HeadGoldens: Decodable {
  struct Case: Decodable, CustomStringConvertible, Sendable {
    var kind: String
    var batch, channels, height, width: Int
    var vector, gradient: [Double]
    var description: String { "\(kind) \(channels)×\(height)×\(width)" }
  }
  var cases: [Case]

  static let cases = (try? golden("heads", in: .module, as: HeadGoldens.self).cases) ?? []
}

@Suite struct HeadGoldenTests {
  @Test func `There are goldens of seven heads on three shapes`() { #expect(HeadGoldens.cases.count == 21) }

  @Test(arguments: HeadGoldens.cases)
  private func `A head's vector is the reference's in both precisions`(_ golden: HeadGoldens.Case) throws {
    let scale = golden.vector.map(abs).max() ?? 0
    // Single precision as the goldens state it; double precision up to the goldens' twelve digits.
    #expect(
      largestError(pooled(golden, as: Float.self), golden.vector) <= (golden.kind == "eig0.5" ? 2e-4 : 2e-5) * scale)
    #expect(largestError(pooled(golden, as: Double.self), golden.vector) <= 1e-9 * scale)
  }

  @Test(arguments: HeadGoldens.cases)
  private func `A head's gradient is the reference's in both precisions`(_ golden: HeadGoldens.Case) throws {
    let scale = golden.gradient.map(abs).max() ?? 0
    #expect(
      largestError(gradient(golden, as: Float.self), golden.gradient)
        <= (golden.kind == "eig0.5" ? 2e-4 : 2e-5) * scale)
    #expect(largestError(gradient(golden, as: Double.self), golden.gradient) <= 1e-9 * scale)
  }

  @Test(arguments: HeadGoldens.cases.filter { $0.kind.hasPrefix("ns") }, NewtonSchulz.Form.allCases)
  private func `Each form of Newton–Schulz is the reference's in both precisions`(
    _ golden: HeadGoldens.Case, _ form: NewtonSchulz.Form
  ) {
    func check<Scalar: RealScalar>(_ tolerance: Double, as _: Scalar.Type) {
      let x = features(golden, as: Scalar.self)
      let found = valueWithGradients(at: [x]) { probe(head(golden, $0[0], form)) }
      for (got, want) in [
        (head(golden, x, form).scalars, golden.vector), (found.gradients[0].scalars, golden.gradient),
      ] {
        #expect(largestError(got, want) <= tolerance * (want.map(abs).max() ?? 0))
      }
    }
    check(2e-5, as: Float.self)
    // The goldens have twelve digits.
    check(1e-11, as: Double.self)
  }

  private func gradient<Scalar: RealScalar>(_ golden: HeadGoldens.Case, as _: Scalar.Type) -> [Scalar] {
    valueWithGradients(at: [features(golden, as: Scalar.self)]) { probe(head(golden, $0[0])) }.gradients[0].scalars
  }

  private func features<Scalar: RealScalar>(_ golden: HeadGoldens.Case, as _: Scalar.Type) -> Tensor<Scalar> {
    let shape: Shape = [golden.batch, golden.channels, golden.height, golden.width]
    return Tensor(shape, unit("features", count: shape.scalarCount).map { Scalar($0) })
  }

  private func pooled<Scalar: RealScalar>(_ golden: HeadGoldens.Case, as _: Scalar.Type) -> [Scalar] {
    head(golden, features(golden, as: Scalar.self)).scalars
  }

  private func head<Scalar: RealScalar>(
    _ golden: HeadGoldens.Case, _ x: Tensor<Scalar>, _ form: NewtonSchulz.Form? = nil
  ) -> Tensor<Scalar> {
    let matrix: Tensor<Scalar>
    switch golden.kind {
    case "plain": matrix = Covariance().applied(to: x)
    case "eig0.5": matrix = CovarianceFunction(.power(0.5)).applied(to: x)
    default:
      let iterations = Int(golden.kind.dropFirst(2)) ?? 0
      guard let form else {
        matrix = NewtonSchulz(iterations: iterations).applied(to: Covariance().applied(to: x))
        break
      }
      matrix = CovarianceRoot(root: NewtonSchulz(iterations: iterations, form: form)).applied(to: x)
    }
    return UpperTriangle().applied(to: matrix)
  }
}
