import Console
import ModelZoo

/// A way from features to a normalised covariance, as it is timed.
struct Method {
  /// What tables, charts and `--methods` call it.
  let name: String
  let normalization: CovarianceNormalization
  /// Whether it is an exact root, whose errors are rounding.
  var isExact: Bool { normalization.normalizer is RootNormalizer<CovarianceFunction> }

  /// What `--methods all` times, from the least to the most work.
  static let all: [Method] = [
    ("covariance", "none"), ("ns5", "newton-schulz"), ("ns5-direct", "newton-schulz:form=direct"),
    ("ns5-gram", "newton-schulz:form=gram"), ("ns5-frobenius", "newton-schulz:scaling=frobenius"),
    ("ns7", "newton-schulz:iterations=7"), ("ns10", "newton-schulz:iterations=10"),
    ("ns15", "newton-schulz:iterations=15"), ("ns-1e-3", "newton-schulz:tolerance=1e-3"), ("taylor", "taylor"),
    ("taylor+lyapunov8", "taylor:gradient=iterative-lyapunov,residual=1e9"), ("pade", "pade"),
    ("pade+lyapunov8", "pade:gradient=iterative-lyapunov,residual=1e9"), ("gram", "power:road=gram"),
    ("gram-mrrr", "power:road=gram,solver=mrrr"), ("eig", "power:road=full"),
    ("eig-mrrr", "power:road=full,solver=mrrr"), ("eig+lyapunov", "power:road=full,gradient=lyapunov"),
    ("svd", "power:road=svd"), ("log", "log"), ("epn", "epn"), ("bcnn", "bcnn"), ("svpn", "svpn"), ("scale", "scale"),
    ("layernorm", "layernorm"),
  ].map { name, text in
    // These are this file's own texts; a wrong one shows at once.
    guard let normalization = try? CovarianceNormalization(text) else { preconditionFailure(text) }
    return Method(name: name, normalization: normalization)
  }

  private init(name: String, normalization: CovarianceNormalization) {
    (self.name, self.normalization) = (name, normalization)
  }

  /// The method of this name, or one that `CovarianceNormalization` reads.
  init(_ text: String) throws {
    if let known = Self.all.first(where: { $0.name == text }) {
      self = known
      return
    }
    let normalization: CovarianceNormalization
    do { normalization = try CovarianceNormalization(text) } catch {
      guard text.contains(":") else {
        throw UsageError(
          "unknown method '\(text)'; there are \(Self.all.map(\.name).joined(separator: ", ")), "
            + "and normalizations as zoo-eval has them, such as power:exponent=0.3")
      }
      throw UsageError("\(error)")
    }
    guard normalization != .dropCov else { throw UsageError("'\(text)' draws random channels and is not timed here") }
    self.init(name: text, normalization: normalization)
  }

  /// What is timed: to the matrix, or to the vector where that is what is normalised.
  var steps: [NormalizationStep] {
    let (matrix, vector) = (normalization.normalizer.matrixSteps, normalization.normalizer.vectorSteps)
    return matrix + (vector.isEmpty ? [] : [NormalizationStep(UpperTriangle())] + vector)
  }

  /// What a new network would have learned for it.
  func parameters<Scalar: RealScalar>(dimension d: Int) -> [Tensor<Scalar>] {
    normalization.normalizer.parameters(dimension: d).map {
      $0.initializer.values($0.shape, RandomStream(seed: 0, name: $0.name))
    }
  }

  /// What it is measured against in double precision; `nil` where there is nothing that it approximates.
  var exact: CovarianceFunction? {
    if let exact = normalization.normalizer as? RootNormalizer<CovarianceFunction> {
      return CovarianceFunction(exact.root.function, road: .svd)
    }
    return normalization.isSquareRoot ? CovarianceFunction(road: .svd) : nil
  }

  /// Multiplications and additions of the textbook algorithm for one matrix, forward and backward, in units of d³ with
  /// N = n d; 0 where it has no such count.
  ///
  /// Products count 2, symmetric ones too, although half of them is computed: a share of the peak may exceed 100 %.
  /// Decompositions count as in LAPACK Users' Guide (tridiagonalisation 4/3, its eigenvectors 4/3 on average by divide and
  /// conquer, back-transformation 2) and Golub & Van Loan, *Matrix Computations*, table 5.5.1, for the SVD.
  func work(positionsPerDimension n: Double) -> (forward: Double, backward: Double) {
    let covariance = (forward: 2 * n, backward: 2 * n)
    func plus(_ forward: Double, _ backward: Double) -> (forward: Double, backward: Double) {
      (covariance.forward + forward, covariance.backward + backward)
    }
    let sylvester = 8.0
    func gradient(_ own: Double, _ chosen: SquareRootGradient?) -> Double {
      switch chosen {
      case nil: own
      case .dividedDifferences, .lyapunov: 14 / 3 + sylvester
      case .iterativeLyapunov(let iterations, _): 12 * Double(iterations) + 2
      }
    }
    switch normalization.normalizer {
    case let method as RootNormalizer<NewtonSchulz>:
      guard method.root.tolerance == nil else { return (0, 0) }
      let k = Double(method.root.iterations)
      let form = method.root.form
      guard form == .gram || form == .automatic && 8 * n <= 7, method.gradient == nil else {
        return plus(2 * (3 * k - 3), gradient(2 * (10 * k - 9), method.gradient))
      }
      // The Gram matrix, its iteration, B W and B W Bᵀ; and two products for each of these.
      let forward = 2 * n * n + 2 * (3 * k - 3) * n * n * n + 2 * n * n + 2 * n
      return (forward, 2 * forward)
    case let method as RootNormalizer<MatrixTaylor>:
      let k = Double(method.root.degree)
      return plus(2 * (k - 1), gradient(4 * (k - 1), method.gradient))
    case let method as RootNormalizer<MatrixPade>:
      let k = Double(method.root.degree)
      return plus(k, gradient(4 * k, method.gradient))
    case let method as RootNormalizer<CovarianceFunction>:
      let (r, chosen) = (min(n, 1), method.gradient)
      switch method.root.road == .automatic ? (16 * n <= 15 ? .gram : .full) : method.root.road {
      case .automatic, .full: return plus(14 / 3 + 2, gradient(sylvester, chosen))
      case .gram:
        return (
          2 * n * n + 14 / 3 * n * n * n + 2 * n * n + 2 * n, gradient(2 * r + 4 * r * r + 2 * r * n, chosen)
        )
      case .svd:
        let (long, short) = (max(n, 1), r)
        return (
          14 * long * short * short + 8 * short * short * short + 2 * short,
          gradient(2 * r + 4 * r * r + 2 * r * n, chosen)
        )
      }
    case is Unnormalized: return covariance
    default: return (0, 0)
    }
  }
}
