import Foundation

/// What is made of a covariance before it is classified.
///
/// In words, as command lines and checkpoints have it: `newton-schulz`, `newton-schulz:iterations=7,gradient=lyapunov`,
/// `power:exponent=0.3`. See `init(_:)`.
public enum CovarianceNormalization: Hashable, Sendable {
  /// Nothing.
  case none
  /// Adaptive channel dropout while training, nothing at inference (DropCov, Wang et al. 2022).
  case dropCov
  /// An approximate square root by Newton–Schulz iterations (Fast-MPN).
  case newtonSchulz(NewtonSchulz = NewtonSchulz(), gradient: SquareRootGradient? = nil)
  /// The exact root, power or logarithm by a decomposition (MPN, Li et al. 2017).
  case exact(CovarianceFunction = CovarianceFunction(), gradient: SquareRootGradient? = nil)
  /// An approximate square root by a Taylor polynomial (MTP, Song et al. 2022).
  case taylor(MatrixTaylor = MatrixTaylor(), gradient: SquareRootGradient? = nil)
  /// An approximate square root by a Padé approximant (MPA, Song et al. 2022).
  case pade(MatrixPade = MatrixPade(), gradient: SquareRootGradient? = nil)
  /// The root of each entry, and ℓ2 normalisation (ePN).
  case elementwise
  /// The same of the bilinear features, whose means are not removed (B-CNN, Lin et al. 2015).
  case bilinear
  /// The root of the largest singular value (svPN, So-ViT, Xie et al. 2021).
  case singularValue
  /// ℓ2 normalisation and a learned factor.
  case scale
  /// Layer normalisation.
  case layerNorm

  /// Whether the result approximates or is the covariance's square root.
  public var isSquareRoot: Bool {
    switch self {
    case .newtonSchulz, .taylor, .pade: true
    case .exact(let operation, _): operation.function == .squareRoot
    default: false
    }
  }
}

extension CovarianceNormalization {
  /// What makes the features `[B, d, …]` a matrix `[B, d, d]`, one after another, as far as nothing in it is learned.
  public var matrixOperations: [any TensorOperation] {
    func root(_ operation: some SquareRootOperation, _ gradient: SquareRootGradient?) -> [any TensorOperation] {
      let root = gradient.map { operation.differentiated(by: $0) } ?? operation
      return [operation.startsFromFeatures ? root : CovarianceRoot(root: root)]
    }
    switch self {
    case .none, .dropCov, .elementwise, .singularValue, .scale, .layerNorm: return [Covariance()]
    case .bilinear: return [Covariance(isCentered: false)]
    case .newtonSchulz(let operation, let gradient): return root(operation, gradient)
    case .exact(let operation, let gradient): return root(operation, gradient)
    case .taylor(let operation, let gradient): return root(operation, gradient)
    case .pade(let operation, let gradient): return root(operation, gradient)
    }
  }

  /// What is done to the matrix's upper triangle `[B, d (d + 1) / 2]`, likewise.
  public var vectorOperations: [any TensorOperation] {
    switch self {
    case .elementwise, .bilinear: [SignedSquareRoot(), L2Normalization()]
    case .scale: [L2Normalization()]
    default: []
    }
  }

  /// Why a text names no normalisation.
  public struct ParsingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was found and what is allowed.
    public let description: String
  }

  /// The names of all normalisations.
  public static let names = [
    "none", "dropcov", "newton-schulz", "power", "log", "taylor", "pade", "epn", "bcnn", "svpn", "scale", "layernorm",
  ]

  /// What `init(_:)` understands, in a few lines.
  public static let help = """
    newton-schulz[:iterations=5,scaling=trace|frobenius,tolerance=T], power[:exponent=0.5], log[:shift=0.001], \
    taylor[:degree=10], pade[:degree=5], epn, bcnn, svpn, scale, layernorm, dropcov, none. power and log take \
    road=automatic|full|gram|svd and solver=divide-and-conquer|mrrr; square roots take \
    gradient=own|divided-differences|lyapunov|iterative-lyapunov[,steps=8,residual=0.1]
    """

  /// Reads `name` or `name:key=value,key=value`; `fastmpn` is `newton-schulz`, `mpn` is `power`.
  /// - Throws: `ParsingError`, which names what is wrong and what is allowed.
  public init(_ text: String) throws(ParsingError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    var options = try Options(parts.count == 2 ? parts[1] : Substring(), of: text)
    switch parts[0] {
    case "none": self = .none
    case "dropcov": self = .dropCov
    case "newton-schulz", "fastmpn":
      let tolerance = try options.number("tolerance")
      let iterations = try options.integer("iterations", in: 1...100)
      let scaling = try options.choice("scaling", NewtonSchulz.Scaling.self) ?? .trace
      self = .newtonSchulz(
        NewtonSchulz(iterations: iterations, scaling: scaling, tolerance: tolerance), gradient: try options.gradient())
    case "power", "mpn":
      let exponent = try options.number("exponent") ?? 0.5
      self = .exact(try options.exact(.power(exponent)), gradient: exponent == 0.5 ? try options.gradient() : nil)
    case "log": self = .exact(try options.exact(.logarithm(shift: try options.number("shift") ?? 1e-3)))
    case "taylor":
      self = .taylor(
        MatrixTaylor(degree: try options.integer("degree", in: 1...100) ?? 10), gradient: try options.gradient())
    case "pade":
      self = .pade(
        MatrixPade(degree: try options.integer("degree", in: 1...50) ?? 5), gradient: try options.gradient())
    case "epn": self = .elementwise
    case "bcnn": self = .bilinear
    case "svpn": self = .singularValue
    case "scale": self = .scale
    case "layernorm": self = .layerNorm
    default:
      throw ParsingError(
        description: "unknown normalization '\(parts[0])'; there are \(Self.names.joined(separator: ", "))")
    }
    try options.finish()
  }
}

extension CovarianceNormalization: CustomStringConvertible, Codable {
  /// What `init(_:)` reads; what is as by default is left out.
  public var description: String {
    var options: [String] = []
    func add<Value: Equatable>(_ key: String, _ value: Value, unless usual: Value) {
      if value != usual { options.append("\(key)=\(value)") }
    }
    func add(_ gradient: SquareRootGradient?) {
      switch gradient {
      case nil: break
      case .dividedDifferences: options.append("gradient=divided-differences")
      case .lyapunov: options.append("gradient=lyapunov")
      case .iterativeLyapunov(let iterations, let tolerance):
        options.append("gradient=iterative-lyapunov")
        add("steps", iterations, unless: 8)
        add("residual", tolerance, unless: 0.1)
      }
    }
    let name: String
    switch self {
    case .none: name = "none"
    case .dropCov: name = "dropcov"
    case .newtonSchulz(let operation, let gradient):
      name = "newton-schulz"
      add("iterations", operation.iterations, unless: operation.tolerance == nil ? 5 : 30)
      add("scaling", operation.scaling.rawValue, unless: "trace")
      if let tolerance = operation.tolerance { options.append("tolerance=\(tolerance)") }
      add(gradient)
    case .exact(let operation, let gradient):
      switch operation.function {
      case .power(let exponent):
        name = "power"
        add("exponent", exponent, unless: 0.5)
      case .logarithm(let shift):
        name = "log"
        add("shift", shift, unless: 1e-3)
      }
      add("road", operation.road.rawValue, unless: "automatic")
      add("solver", operation.algorithm.rawValue, unless: EigenAlgorithm.divideAndConquer.rawValue)
      add(gradient)
    case .taylor(let operation, let gradient):
      name = "taylor"
      add("degree", operation.degree, unless: 10)
      add(gradient)
    case .pade(let operation, let gradient):
      name = "pade"
      add("degree", operation.degree, unless: 5)
      add(gradient)
    case .elementwise: name = "epn"
    case .bilinear: name = "bcnn"
    case .singularValue: name = "svpn"
    case .scale: name = "scale"
    case .layerNorm: name = "layernorm"
    }
    return options.isEmpty ? name : "\(name):\(options.joined(separator: ","))"
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    do { try self.init(try container.decode(String.self)) } catch let error as ParsingError {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// The `key=value` pairs of a normalisation's text, taken one after another.
private struct Options {
  typealias ParsingError = CovarianceNormalization.ParsingError
  private let text: String
  private var values: [String: String] = [:]

  init(_ list: Substring, of text: String) throws(ParsingError) {
    self.text = text
    for pair in list.split(separator: ",") {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard sides.count == 2 else { throw error("expected key=value, found '\(pair)'") }
      guard values.updateValue(sides[1], forKey: sides[0]) == nil else { throw error("\(sides[0]) is given twice") }
    }
  }

  private func error(_ what: String) -> ParsingError { ParsingError(description: "normalization '\(text)': \(what)") }

  mutating func number(_ key: String) throws(ParsingError) -> Double? {
    guard let value = values.removeValue(forKey: key) else { return nil }
    guard let number = Double(value), number > 0, number.isFinite else {
      throw error("\(key) must be a number greater than 0, not '\(value)'")
    }
    return number
  }

  mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(ParsingError) -> Int? {
    guard let value = values.removeValue(forKey: key) else { return nil }
    guard let number = Int(value), range.contains(number) else {
      throw error("\(key) must be an integer from \(range.lowerBound) to \(range.upperBound), not '\(value)'")
    }
    return number
  }

  mutating func choice<Choice: CaseIterable & RawRepresentable<String>>(
    _ key: String, _: Choice.Type
  ) throws(ParsingError) -> Choice? {
    guard let value = values.removeValue(forKey: key) else { return nil }
    guard let choice = Choice(rawValue: value) else {
      throw error("\(key) must be \(Choice.allCases.map(\.rawValue).joined(separator: " or ")), not '\(value)'")
    }
    return choice
  }

  mutating func exact(_ function: SpectralFunction) throws(ParsingError) -> CovarianceFunction {
    CovarianceFunction(
      function, road: try choice("road", CovarianceFunction.Road.self) ?? .automatic,
      by: try choice("solver", EigenAlgorithm.self) ?? .divideAndConquer)
  }

  private enum GradientName: String, CaseIterable {
    case own
    case dividedDifferences = "divided-differences"
    case lyapunov
    case iterativeLyapunov = "iterative-lyapunov"
  }

  mutating func gradient() throws(ParsingError) -> SquareRootGradient? {
    switch try choice("gradient", GradientName.self) {
    case nil, .own: return nil
    case .dividedDifferences: return .dividedDifferences
    case .lyapunov: return .lyapunov
    case .iterativeLyapunov:
      return .iterativeLyapunov(
        iterations: try integer("steps", in: 1...100) ?? 8, tolerance: try number("residual") ?? 0.1)
    }
  }

  /// Throws where a key was not taken.
  func finish() throws(ParsingError) {
    guard let key = values.keys.min() else { return }
    throw error("'\(key)' does not apply")
  }
}
