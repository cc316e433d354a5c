/// Lines or points over two axes: what is to be seen, while `Figure` says how large.
package struct Chart: Sendable {
  /// What a step along an axis stands for: a difference or a ratio.
  package enum Scale: Sendable {
    case linear, logarithmic
  }

  /// Where the names of the series stand.
  package enum Naming: Sendable {
    /// Beside the plot.
    case legend
    /// Each at one of its points, for series of few points.
    case atPoints
  }

  package var title, xLabel, yLabel: String
  package var xScale, yScale: Scale
  package var naming: Naming
  package var series: [Series]

  package init(
    title: String = "", xLabel: String = "", yLabel: String = "", xScale: Scale = .linear, yScale: Scale = .linear,
    naming: Naming = .legend, series: [Series]
  ) {
    (self.title, self.xLabel, self.yLabel) = (title, xLabel, yLabel)
    (self.xScale, self.yScale, self.naming, self.series) = (xScale, yScale, naming, series)
  }

  /// Points in the order in which they are connected.
  ///
  /// A point that its axes cannot show, as it is not finite or not positive on a logarithmic axis, breaks the line.
  package struct Series: Sendable {
    /// How the points are drawn.
    package enum Style: Sendable {
      case line, dashed
      /// Points that nothing connects.
      case markers
    }

    /// The same name has the same colour in all panels of a figure; without one the series is in no legend.
    package var name: String
    package var points: [(x: Double, y: Double)]
    package var style: Style
    /// A CSS colour instead of the one that the series' place gives it.
    package var color: String?

    /// Markers of many points would touch and hide the line.
    var hasMarkers: Bool { style == .markers || points.count <= 20 }

    package init(
      _ name: String = "", _ points: [(x: Double, y: Double)], style: Style = .line, color: String? = nil
    ) {
      (self.name, self.points, self.style, self.color) = (name, points, style, color)
    }
  }
}
