extension EvaluationTransform.Resize: CustomStringConvertible {
  /// `256` for the shorter side, `32x32` for width and height.
  public var description: String {
    switch self {
    case .shorterSide(let side): "\(side)"
    case .exact(let width, let height): "\(width)x\(height)"
    }
  }

  /// Reads what `description` says; `nil` where the text is none.
  public init?(_ text: String) {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    switch (sides.count, sides[0], sides[sides.count - 1]) {
    case (1, let side?, _): self = .shorterSide(side)
    case (2, let width?, let height?): self = .exact(width: width, height: height)
    default: return nil
    }
  }

  /// Whether every side is in a range.
  public func isWithin(_ range: ClosedRange<Int>) -> Bool {
    switch self {
    case .shorterSide(let side): range.contains(side)
    case .exact(let width, let height): range.contains(width) && range.contains(height)
    }
  }
}
