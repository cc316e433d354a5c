import Foundation

/// Charts side by side, as one picture.
public struct Figure: Sendable {
  public var panels: [Chart]
  public var title: String
  /// Of the whole picture, in pixels.
  public var width, height: Double

  public init(_ panels: [Chart], title: String = "", width: Double = 900, height: Double = 360) {
    (self.panels, self.title, self.width, self.height) = (panels, title, width, height)
  }

  /// The picture as an SVG document, the same for the same charts.
  public var svg: String {
    var drawing = Drawing()
    let looks = looks(of: panels)
    let legend = Legend(panels, looks, width: width, height: height)
    let top = 14.0 + (title.isEmpty ? 0 : 24) + (panels.allSatisfy(\.title.isEmpty) ? 0 : 22)
    let bottom = height - legend.heightBelow - 26 - (panels.allSatisfy(\.xLabel.isEmpty) ? 0 : 18)
    let plotHeight = max(bottom - top, 40)
    if !title.isEmpty { drawing.write(title, at: CGPoint(x: 12, y: 18), size: 14, isBold: true) }
    // What is left of a plot depends on the labels of its ticks, and so on its height alone; the plots share the rest.
    let yAxes = panels.map { Panel.yAxis($0, length: plotHeight) }
    let margins = zip(panels, yAxes).map { panel, axis in
      (axis.ticks.map { textWidth($0.label) }.max() ?? 0) + 18 + (panel.yLabel.isEmpty ? 0 : 20)
    }
    let right = 18.0
    let free = width - legend.widthAtRight - margins.reduce(0, +) - right * Double(panels.count)
    let plotWidth = max(free / Double(max(panels.count, 1)), 40)
    var x = 0.0
    for (index, panel) in panels.enumerated() {
      x += margins[index]
      let plot = CGRect(x: x, y: top, width: plotWidth, height: plotHeight)
      Panel(panel, plot: plot, yAxis: yAxes[index], looks: looks[index]).draw(into: &drawing, margin: margins[index])
      x += plotWidth + right
    }
    legend.draw(
      into: &drawing, plots: CGRect(x: 0, y: top, width: x, height: plotHeight),
      picture: CGRect(x: 0, y: 0, width: width, height: height))
    return drawing.document(width: width, height: height)
  }
}
