/// Lines or points over two axes: what is to be seen, while `Figure` says how large.
public struct Chart: Sendable {
  /// What a step along an axis stands for: a difference or a ratio.
  public enum Scale: Sendable {
    case linear, logarithmic
  }

  /// Where the names of the series stand.
  public enum Naming: Sendable {
    /// Beside the plot.
    case legend
    /// Each at one of its points, for series of few points.
    case atPoints
  }

  public var title, xLabel, yLabel: String
  public var xScale, yScale: Scale
  public var naming: Naming
  public var series: [Series]

  public init(
    title: String = "", xLabel: String = "", yLabel: String = "", xScale: Scale = .linear, yScale: Scale = .linear,
    naming: Naming = .legend, series: [Series]
  ) {
    (self.title, self.xLabel, self.yLabel) = (title, xLabel, yLabel)
    (self.xScale, self.yScale, self.naming, self.series) = (xScale, yScale, naming, series)
  }

  /// Points in the order in which they are connected.
  ///
  /// A point that its axes cannot show, as it is not finite or not positive on a logarithmic axis, breaks the line.
  public struct Series: Sendable {
    /// How the points are drawn.
    public enum Style: Sendable {
      case line, dashed
      /// Points that nothing connects.
      case markers
    }

    /// The same name has the same colour in all panels of a figure; without one the series is in no legend.
    public var name: String
    public var points: [(x: Double, y: Double)]
    public var style: Style
    /// A CSS colour instead of the one that the series' place gives it.
    public var color: String?

    /// Markers of many points would touch and hide the line.
    var hasMarkers: Bool { style == .markers || points.count <= 20 }

    public init(
      _ name: String = "", _ points: [(x: Double, y: Double)], style: Style = .line, color: String? = nil
    ) {
      (self.name, self.points, self.style, self.color) = (name, points, style, color)
    }
  }
}
