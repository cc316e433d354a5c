import Tensors

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

extension EvaluationTransform {
  /// The same for images of another size, in the same proportions.
  /// - Parameter size: height and width of the result.
  public func resized(to size: Int) -> EvaluationTransform {
    var transform = self
    switch (resize, crop) {
    case (.shorterSide(let side), let crop?):
      transform.resize = .shorterSide(Int((Double(side * size) / Double(crop)).rounded()))
      transform.crop = size
    default:
      (transform.resize, transform.crop) = (.exact(width: size, height: size), nil)
    }
    return transform
  }

  /// The same with a centre crop of this share of the shorter side, as timm's `crop_pct`; 1 is the whole of it.
  /// - Parameter share: in (0, 1].
  public func cropped(to share: Double) -> EvaluationTransform {
    var transform = self
    let side = outputSize.height
    (transform.resize, transform.crop) = (.shorterSide(Int((Double(side) / share).rounded(.down))), side)
    return transform
  }
}

extension EvaluationTransform {
  /// The network's input of an image, as a batch: `[1, C, H, W]`.
  public func tensor(_ image: Image) -> Tensor<Float> {
    let (height, width) = outputSize
    return Tensor([1, channels, height, width]) { self(image, into: $0) }
  }
}
