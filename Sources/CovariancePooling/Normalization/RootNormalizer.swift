import LinearAlgebra

/// A function of the covariance's eigenvalues, mostly a square root, that a normalisation's text can name.
public protocol NamedRoot: SquareRootOperation {
  /// What texts call it.
  static var names: [String] { get }
  /// Reads its options; see `CovarianceNormalizer.init(_:_:)`.
  init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError)
  /// Which of `names` it is.
  var textName: String { get }
  /// The options that are not as by default.
  var textOptions: [(key: String, value: String)] { get }
}

/// The covariance's square root by one of the operations that find it, with its own gradient or another.
public struct RootNormalizer<Root: NamedRoot>: CovarianceNormalizer {
  /// How the root is found.
  public let root: Root
  /// The gradient in place of the root's own.
  public let gradient: SquareRootGradient?

  /// - Precondition: a gradient is for a square root.
  public init(_ root: Root, gradient: SquareRootGradient? = nil) {
    check(gradient == nil || root.isSquareRoot, "another gradient is for a square root, not for \(root)")
    (self.root, self.gradient) = (root, gradient)
  }

  public static var names: [String] { Root.names }

  public init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError) {
    root = try Root(name, &options)
    gradient = root.isSquareRoot ? try SquareRootGradient(&options) : nil
  }

  public var name: String { root.textName }
  public var options: [(key: String, value: String)] { root.textOptions + (gradient?.textOptions ?? []) }
  public var isSquareRoot: Bool { root.isSquareRoot }

  public var matrixSteps: [NormalizationStep] {
    let operation = gradient.map { root.differentiated(by: $0) } ?? root
    return [NormalizationStep(root.startsFromFeatures ? operation : CovarianceRoot(root: operation))]
  }
}

extension NewtonSchulz: NamedRoot {
  public static let names = ["newton-schulz"]

  public init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError) {
    self.init(
      iterations: try options.integer("iterations", in: 1...100), scaling: try options.choice("scaling") ?? .trace,
      tolerance: try options.number("tolerance"), form: try options.choice("form") ?? .automatic)
  }

  public var textName: String { Self.names[0] }

  public var textOptions: [(key: String, value: String)] {
    var list = OptionList()
    list.add("iterations", iterations, unless: tolerance == nil ? 5 : 30)
    list.add("scaling", scaling.rawValue, unless: "trace")
    if let tolerance { list.add("tolerance", tolerance) }
    list.add("form", form.rawValue, unless: "automatic")
    return list.pairs
  }
}

extension CovarianceFunction: NamedRoot {
  public static let names = ["power", "log"]

  public init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError) {
    let function: SpectralFunction =
      name == "log"
      ? .logarithm(shift: try options.number("shift") ?? 1e-3) : .power(try options.number("exponent") ?? 0.5)
    self.init(
      function, road: try options.choice("road") ?? .automatic,
      by: try options.choice("solver") ?? .divideAndConquer)
  }

  public var textName: String { if case .logarithm = function { "log" } else { "power" } }

  public var textOptions: [(key: String, value: String)] {
    var list = OptionList()
    switch function {
    case .power(let exponent): list.add("exponent", exponent, unless: 0.5)
    case .logarithm(let shift): list.add("shift", shift, unless: 1e-3)
    }
    list.add("road", road.rawValue, unless: "automatic")
    list.add("solver", algorithm.rawValue, unless: EigenAlgorithm.divideAndConquer.rawValue)
    return list.pairs
  }
}

extension MatrixTaylor: NamedRoot {
  public static let names = ["taylor"]

  public init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError) {
    self.init(degree: try options.integer("degree", in: 1...100) ?? 10)
  }

  public var textName: String { Self.names[0] }
  public var textOptions: [(key: String, value: String)] { degree == 10 ? [] : [("degree", "\(degree)")] }
}

extension MatrixPade: NamedRoot {
  public static let names = ["pade"]

  public init(_ name: String, _ options: inout NormalizationOptions) throws(NormalizationError) {
    self.init(degree: try options.integer("degree", in: 1...50) ?? 5)
  }

  public var textName: String { Self.names[0] }
  public var textOptions: [(key: String, value: String)] { degree == 5 ? [] : [("degree", "\(degree)")] }
}

extension SquareRootGradient {
  private enum Name: String, CaseIterable {
    case own
    case dividedDifferences = "divided-differences"
    case lyapunov
    case iterativeLyapunov = "iterative-lyapunov"
  }

  /// Reads `gradient=…`; `nil` for the root's own.
  init?(_ options: inout NormalizationOptions) throws(NormalizationError) {
    switch try options.choice("gradient", Name.self) {
    case nil, .own: return nil
    case .dividedDifferences: self = .dividedDifferences
    case .lyapunov: self = .lyapunov
    case .iterativeLyapunov:
      self = .iterativeLyapunov(
        iterations: try options.integer("steps", in: 1...100) ?? 8, tolerance: try options.number("residual") ?? 0.1)
    }
  }

  var textOptions: [(key: String, value: String)] {
    var list = OptionList()
    switch self {
    case .dividedDifferences: list.add("gradient", Name.dividedDifferences.rawValue)
    case .lyapunov: list.add("gradient", Name.lyapunov.rawValue)
    case .iterativeLyapunov(let iterations, let tolerance):
      list.add("gradient", Name.iterativeLyapunov.rawValue)
      list.add("steps", iterations, unless: 8)
      list.add("residual", tolerance, unless: 0.1)
    }
    return list.pairs
  }
}
