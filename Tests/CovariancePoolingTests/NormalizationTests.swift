import CovariancePooling
import Foundation
import TestSupport
import Testing

@Suite struct NormalizationTextTests {
  static let texts = [
    "none", "dropcov", "newton-schulz", "newton-schulz:iterations=7,scaling=frobenius", "newton-schulz:tolerance=0.001",
    "newton-schulz:form=gram", "newton-schulz:iterations=3,form=direct,gradient=lyapunov",
    "newton-schulz:gradient=lyapunov", "power", "power:exponent=0.3,road=svd", "power:road=gram,solver=mrrr",
    "power:gradient=divided-differences", "log", "log:shift=0.01,road=full", "taylor", "taylor:degree=4", "pade",
    "pade:degree=3,gradient=iterative-lyapunov,steps=12,residual=0.01", "epn", "bcnn", "svpn", "scale", "layernorm",
  ]

  @Test(arguments: texts)
  func `A normalisation is what its text says, and says it again`(_ text: String) throws {
    let normalization = try CovarianceNormalization(text)
    #expect(normalization.description == text)
    let json = try JSONEncoder().encode([normalization])
    #expect(try JSONDecoder().decode([CovarianceNormalization].self, from: json) == [normalization])
  }

  @Test func `Every name is understood`() throws {
    for name in CovarianceNormalization.names { #expect(try CovarianceNormalization(name).description == name) }
    #expect(try CovarianceNormalization("mpn") == .exact())
    #expect(try CovarianceNormalization("fastmpn") == .newtonSchulz())
  }

  @Test(arguments: [
    ("", "unknown normalization ''"), ("mnp", "unknown normalization 'mnp'"), ("power:exponent=0", "greater than 0"),
    ("power:exponent=x", "not 'x'"), ("power:exponent", "key=value"), ("power:road=east", "automatic or full"),
    ("newton-schulz:iterations=0", "from 1 to 100"), ("taylor:degree=4,degree=5", "twice"),
    ("epn:degree=3", "'degree' does not apply"), ("log:gradient=lyapunov", "'gradient' does not apply"),
    ("power:exponent=0.3,gradient=lyapunov", "'gradient' does not apply"), ("power:exponent=nan", "greater than 0"),
    ("taylor:gradient=lyapunov,steps=3", "'steps' does not apply"), ("log:shift=1e999", "greater than 0"),
  ])
  func `A mistake is named with what is allowed`(_ text: String, _ words: String) {
    let error = #expect(throws: NormalizationError.self) { try CovarianceNormalization(text) }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
  }
}

@Suite struct NormalizationHeadTests {
  @Test(arguments: NormalizationTextTests.texts)
  func `A head with any normalisation trains`(_ text: String) throws {
    var head = CovariancePool<Float>(channels: 5, dimension: 4, normalization: try CovarianceNormalization(text))
    head.initialize(seed: 3)
    let x = Tensor<Float>([3, 5, 4, 4], unit("maps", count: 240))
    if case .iterativeLyapunov = (head.normalization.normalizer as? RootNormalizer<MatrixPade>)?.gradient {
      // Not every small covariance is well conditioned enough: then it says so.
      _ = try? valueWithGradients(of: head) { probe($0(x)) }
      return
    }
    let step = try valueWithGradients(of: head) { probe($0(x)) }
    #expect(step.value.item.isFinite)
    for (name, gradient) in zip(step.gradients.names, step.gradients.tensors) {
      #expect(gradient.isFinite, "\(name)")
      #expect(gradient.scalars.contains { $0 != 0 }, "\(name)")
    }
    #expect(head(x).shape == [3, 10])
  }

  @Test func `What a normalisation learns has names and beginnings`() {
    func tensors(_ normalization: CovarianceNormalization) -> [String: Tensor<Double>] {
      var head = CovariancePool<Double>(channels: 3, dimension: 4, normalization: normalization)
      head.initialize()
      return Dictionary(uniqueKeysWithValues: head.tensors.map { ($0.description.name, $0.tensor) })
    }
    #expect(tensors(.singularValue)["normalization.weight"]?.scalars == [1, 1, 1, 1])
    #expect(tensors(.scale)["normalization.weight"]?.scalars == [10.squareRoot()])
    #expect(tensors(.layerNorm)["normalization.weight"]?.shape == [10])
    #expect(tensors(.layerNorm)["normalization.bias"]?.scalars.allSatisfy { $0 == 0 } == true)
    #expect(tensors(.exact()).keys.allSatisfy { !$0.hasPrefix("normalization") })
  }

  @Test func `Element-wise normalisations by hand`() {
    let x = Tensor<Double>([1, 3], [4, -9, 0])
    #expect(largestError(SignedSquareRoot(eps: 0).applied(to: x).scalars, [2, -3, 0]) < 1e-15)
    #expect(largestError(L2Normalization().applied(to: Tensor<Double>([1, 2], [3, 4])).scalars, [0.6, 0.8]) < 1e-15)
    #expect(L2Normalization().applied(to: Tensor<Double>([1, 2], [0, 0])).scalars == [0, 0])
    // Mean 2, variance 1.
    let normal = LayerNormalization(eps: 0).applied(
      to: Tensor<Double>([1, 2], [1, 3]), Tensor([2], [2, 2]), Tensor([2], [0, 1]))
    #expect(largestError(normal.scalars, [-2, 3]) < 1e-15)
    // diag(9, 1): power iteration from (1, 0) finds 9; its root is 3.
    let svpn = SingularValueNormalization(eps: 0).applied(
      to: Tensor<Double>([1, 2, 2], [9, 0, 0, 1]), Tensor([2], [1, 0]))
    #expect(largestError(svpn.scalars, [3, 0, 0, 1.0 / 3]) < 1e-15)
    // X Xᵀ / N keeps the means.
    #expect(Covariance(isCentered: false).applied(to: Tensor<Double>([1, 1, 2], [1, 3])).scalars == [5])
  }

  @Test func `Their gradients are those of finite differences`() {
    func random(_ shape: Shape, _ name: String = "x") -> Tensor<Double> {
      Tensor(shape, unit(name, count: shape.scalarCount).map(Double.init))
    }
    #expect(gradientError(at: [random([2, 7])]) { probe(SignedSquareRoot(eps: 0.1).applied(to: $0[0])) } < 1e-6)
    #expect(gradientError(at: [random([2, 3, 2])]) { probe(L2Normalization().applied(to: $0[0])) } < 1e-6)
    #expect(
      gradientError(at: [random([3, 6]), random([6], "w"), random([6], "b")]) {
        probe(LayerNormalization().applied(to: $0[0], $0[1], $0[2]))
      } < 1e-6)
    #expect(
      gradientError(at: [random([2, 4, 4]), random([4], "v")]) {
        probe(SingularValueNormalization().applied(to: $0[0], $0[1]))
      } < 1e-5)
    #expect(gradientError(at: [random([2, 4, 5])]) { probe(Covariance(isCentered: false).applied(to: $0[0])) } < 1e-6)
  }

  @Test func `Zero covariances have zero results and gradients`() {
    let zero = Tensor<Float>([2, 4, 9], repeating: 0)
    let vector = Tensor<Float>([4], repeating: 1)
    for normalization in [CovarianceNormalization.elementwise, .bilinear, .scale] {
      let result = valueWithGradients(at: [zero]) { x in
        let (normalizer, learned) = (normalization.normalizer, [Tensor<Float>([1], repeating: 2)])
        let matrix = normalizer.matrixSteps.reduce(x[0]) { $1($0, learned) }
        return probe(normalizer.vectorSteps.reduce(UpperTriangle().applied(to: matrix)) { $1($0, learned) })
      }
      #expect(result.value.item == 0 && result.gradients[0].scalars.allSatisfy { $0 == 0 })
    }
    let result = valueWithGradients(at: [zero]) {
      probe(SingularValueNormalization().applied(to: Covariance().applied(to: $0[0]), vector))
    }
    #expect(result.value.item == 0 && result.gradients[0].scalars.allSatisfy { $0 == 0 })
  }
}
