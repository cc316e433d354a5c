/// What is made of a covariance before it is classified: a normaliser that is known by its text form.
///
/// In words, as command lines and checkpoints have it: `newton-schulz`, `newton-schulz:iterations=7,gradient=lyapunov`,
/// `power:exponent=0.3`. Two are equal where their texts are.
public struct CovarianceNormalization: Sendable {
  /// All ways to normalise. What texts and command lines know comes from here.
  public static let types: [any CovarianceNormalizer.Type] = [
    Unnormalized.self, DropCov.self, RootNormalizer<NewtonSchulz>.self, RootNormalizer<CovarianceFunction>.self,
    RootNormalizer<MatrixTaylor>.self, RootNormalizer<MatrixPade>.self, ElementwiseRoot.self, BilinearRoot.self,
    LargestSingularValueRoot.self, ScaledNormalizer.self, LayerNormalizer.self,
  ]

  /// The normaliser itself.
  public let normalizer: any CovarianceNormalizer

  /// A normalisation by a normaliser.
  public init(_ normalizer: some CovarianceNormalizer) { self.normalizer = normalizer }

  /// The names of all normalisations.
  public static let names = types.flatMap { $0.names }

  /// What papers call two of them.
  private static let synonyms = ["fastmpn": "newton-schulz", "mpn": "power"]

  /// Reads `name` or `name:key=value,key=value`; `fastmpn` is `newton-schulz`, `mpn` is `power`.
  /// - Throws: what is wrong and what is allowed.
  public init(_ text: String) throws(NormalizationError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    var options = try NormalizationOptions(parts.count == 2 ? parts[1][...] : "", of: text)
    let name = Self.synonyms[parts[0]] ?? parts[0]
    guard let type = Self.types.first(where: { $0.names.contains(name) }) else {
      throw NormalizationError(
        description: "unknown normalization '\(parts[0])'; there are \(Self.names.joined(separator: ", "))")
    }
    normalizer = try type.init(name, &options)
    try options.finish()
  }

  /// What `init(_:)` understands, in a few lines.
  public static let help = """
    newton-schulz[:iterations=5,scaling=trace|frobenius,tolerance=T,form=automatic|direct|gram], \
    power[:exponent=0.5], log[:shift=0.001], taylor[:degree=10], pade[:degree=5], epn, bcnn, svpn, scale, layernorm, \
    dropcov, none. power and log take road=automatic|full|gram|svd and solver=divide-and-conquer|mrrr; square roots take \
    gradient=own|divided-differences|lyapunov|iterative-lyapunov[,steps=8,residual=0.1]
    """

  /// Its name without options: `newton-schulz`.
  public var name: String { normalizer.name }

  /// Whether inference computes the same function, by whichever road, and training differentiates it however.
  public func isSameFunction(as other: CovarianceNormalization) -> Bool {
    let ways: Set = ["form", "road", "solver", "gradient", "steps", "residual"]
    func function(_ normalization: CovarianceNormalization) -> [String] {
      [normalization.name]
        + normalization.normalizer.options.filter { !ways.contains($0.key) }.map { "\($0.key)=\($0.value)" }
    }
    return function(self) == function(other)
  }

  /// Whether the result approximates or is the covariance's square root.
  public var isSquareRoot: Bool { normalizer.isSquareRoot }
}

extension CovarianceNormalization: Hashable, Codable, CustomStringConvertible {
  /// What `init(_:)` reads; what is as by default is left out.
  public var description: String {
    let options = normalizer.options.map { "\($0.key)=\($0.value)" }
    return options.isEmpty ? name : "\(name):\(options.joined(separator: ","))"
  }

  public static func == (a: Self, b: Self) -> Bool { a.description == b.description }

  public func hash(into hasher: inout Hasher) { hasher.combine(description) }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    do { try self.init(try container.decode(String.self)) } catch let error as NormalizationError {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension CovarianceNormalization {
  /// Nothing.
  public static let none = Self(Unnormalized())
  /// Adaptive channel dropout while training, nothing at inference (DropCov, Wang et al. 2022).
  public static let dropCov = Self(DropCov())
  /// The root of each entry, and ℓ2 normalisation (ePN).
  public static let elementwise = Self(ElementwiseRoot())
  /// The same of the bilinear features, whose means are not removed (B-CNN, Lin et al. 2015).
  public static let bilinear = Self(BilinearRoot())
  /// The root of the largest singular value (svPN, So-ViT, Xie et al. 2021).
  public static let singularValue = Self(LargestSingularValueRoot())
  /// ℓ2 normalisation and a learned factor.
  public static let scale = Self(ScaledNormalizer())
  /// Layer normalisation.
  public static let layerNorm = Self(LayerNormalizer())

  /// An approximate square root by Newton–Schulz iterations (Fast-MPN).
  public static func newtonSchulz(_ root: NewtonSchulz = NewtonSchulz(), gradient: SquareRootGradient? = nil) -> Self {
    Self(RootNormalizer(root, gradient: gradient))
  }
  /// The exact root, power or logarithm by a decomposition (MPN, Li et al. 2017).
  public static func exact(
    _ function: CovarianceFunction = CovarianceFunction(), gradient: SquareRootGradient? = nil
  ) -> Self { Self(RootNormalizer(function, gradient: gradient)) }
  /// An approximate square root by a Taylor polynomial (MTP, Song et al. 2022).
  public static func taylor(_ root: MatrixTaylor = MatrixTaylor(), gradient: SquareRootGradient? = nil) -> Self {
    Self(RootNormalizer(root, gradient: gradient))
  }
  /// An approximate square root by a Padé approximant (MPA, Song et al. 2022).
  public static func pade(_ root: MatrixPade = MatrixPade(), gradient: SquareRootGradient? = nil) -> Self {
    Self(RootNormalizer(root, gradient: gradient))
  }
}
