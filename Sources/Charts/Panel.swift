import Foundation

/// A chart at its place in a picture.
struct Panel {
  private let chart: Chart
  private let plot: CGRect
  private let xAxis, yAxis: Axis
  private let looks: [Look]
  /// Of each series, the stretches of points that are shown.
  private let runs: [[[CGPoint]]]

  init(_ chart: Chart, plot: CGRect, yAxis: Axis, looks: [Look]) {
    let xAxis = Axis(
      Self.shown(chart).map(\.x), scale: chart.xScale, length: plot.width, prefersValues: true,
      extent: { textWidth($0) + 12 })
    (self.chart, self.plot, self.xAxis, self.yAxis, self.looks) = (chart, plot, xAxis, yAxis, looks)
    runs = chart.series.map { series in
      let places = series.points.map { point in
        xAxis.fraction(point.x).flatMap { x in
          yAxis.fraction(point.y).map { CGPoint(x: plot.minX + x * plot.width, y: plot.maxY - $0 * plot.height) }
        }
      }
      return places.split(separator: nil).map { $0.compactMap { $0 } }
    }
  }

  static func yAxis(_ chart: Chart, length: Double) -> Axis {
    Axis(shown(chart).map(\.y), scale: chart.yScale, length: length, extent: { _ in 26 })
  }

  /// The points that both axes can show.
  private static func shown(_ chart: Chart) -> [(x: Double, y: Double)] {
    chart.series.flatMap(\.points).filter {
      chart.xScale.coordinate($0.x) != nil && chart.yScale.coordinate($0.y) != nil
    }
  }

  /// Draws it, with what stands at its left within the margin.
  func draw(into drawing: inout Drawing, margin: Double) {
    drawAxes(into: &drawing)
    drawing.write(chart.title, at: CGPoint(x: plot.minX, y: plot.minY - 14), isBold: true)
    drawing.write(chart.xLabel, at: CGPoint(x: plot.midX, y: plot.maxY + 34), anchor: .middle)
    let left = CGPoint(x: plot.minX - margin + 14, y: plot.midY)
    drawing.write(chart.yLabel, at: left, anchor: .middle, isUpwards: true)
    for (index, series) in chart.series.enumerated() {
      draw(series, runs[index], looks[index], into: &drawing)
    }
    if chart.naming == .atPoints { drawNames(into: &drawing) }
  }

  private func drawAxes(into drawing: inout Drawing) {
    var grid = ""
    for tick in xAxis.ticks {
      guard let fraction = xAxis.fraction(tick.value) else { continue }
      let x = crisp(plot.minX + fraction * plot.width)
      grid += path([CGPoint(x: x, y: plot.minY), CGPoint(x: x, y: plot.maxY)])
      drawing.write(tick.label, at: CGPoint(x: x, y: plot.maxY + 14), anchor: .middle)
    }
    for tick in yAxis.ticks {
      guard let fraction = yAxis.fraction(tick.value) else { continue }
      let y = crisp(plot.maxY - fraction * plot.height)
      grid += path([CGPoint(x: plot.minX, y: y), CGPoint(x: plot.maxX, y: y)])
      drawing.write(tick.label, at: CGPoint(x: plot.minX - 6, y: y), anchor: .end)
    }
    drawing.stroke(grid, color: "#e4e4e4")
    let (left, bottom) = (crisp(plot.minX), crisp(plot.maxY))
    let axes = [CGPoint(x: left, y: plot.minY), CGPoint(x: left, y: bottom), CGPoint(x: plot.maxX, y: bottom)]
    drawing.stroke(path(axes), color: "#888888")
  }

  /// The middle of a pixel, where a line of one pixel is sharp.
  private func crisp(_ coordinate: Double) -> Double { coordinate.rounded(.down) + 0.5 }

  private func draw(_ series: Chart.Series, _ runs: [[CGPoint]], _ look: Look, into drawing: inout Drawing) {
    if series.style != .markers {
      let lines = runs.filter { $0.count > 1 }.map(path).joined()
      if !lines.isEmpty { drawing.stroke(lines, color: look.color, width: 2, dash: look.dash) }
    }
    // A point by itself has nothing else to show it.
    drawing.mark(runs.filter { series.hasMarkers || $0.count == 1 }.flatMap { $0 }, look)
  }

  private func drawNames(into drawing: inout Drawing) {
    let names = zip(chart.series, runs).map { series, runs in
      // The last point is where one looks for the name of a line.
      PointNames.Name(text: series.name, points: series.name.isEmpty ? [] : runs.joined().reversed())
    }
    let markers = runs.joined().joined().map { CGRect(x: $0.x - 5, y: $0.y - 5, width: 10, height: 10) }
    let lines = zip(chart.series, runs).filter { $0.0.style != .markers }.flatMap { $1 }.flatMap(PointNames.beads)
    // Beside its point a name may go a little over the plot's right side.
    let bounds = CGRect(x: plot.minX, y: plot.minY, width: plot.width + 10, height: plot.height)
    let places = PointNames(bounds: bounds, obstacles: markers + lines).places(for: names)
    for case (let name, let place?) in zip(names, places) {
      if !place.leader.isEmpty { drawing.stroke(path(place.leader), color: "#999999") }
      drawing.write(name.text, at: place.start, anchor: place.anchor)
    }
  }
}
