import Foundation

/// The names of the series of all panels, each once, in a column at the right or in rows below.
struct Legend {
  private let entries: [(name: String, look: Look, series: Chart.Series)]
  private let isAtRight: Bool
  private let columns: Int
  private let columnWidth: Double
  private static let rowHeight = 18.0
  private static let swatchWidth = 28.0

  /// A single panel has it at the right if it fits there.
  init(_ panels: [Chart], _ looks: [[Look]], width: Double, height: Double) {
    var entries: [(name: String, look: Look, series: Chart.Series)] = []
    for (panel, looks) in zip(panels, looks) where panel.naming == .legend {
      for (series, look) in zip(panel.series, looks)
      where !series.name.isEmpty && !entries.contains(where: { $0.name == series.name }) {
        entries.append((series.name, look, series))
      }
    }
    self.entries = entries
    columnWidth = Self.swatchWidth + 6 + (entries.map { textWidth($0.name) }.max() ?? 0) + 14
    isAtRight =
      panels.count == 1 && columnWidth <= 0.4 * width && Self.rowHeight * Double(entries.count) <= 0.8 * height
    let fitting = isAtRight ? 1 : max(1, min(Int((width - 20) / columnWidth), entries.count))
    // As few columns as the rows need: 6 and 6 rather than 10 and 2.
    let rows = (entries.count + fitting - 1) / fitting
    columns = rows == 0 ? 1 : (entries.count + rows - 1) / rows
  }

  /// What it takes from the width and the height of the plots.
  var widthAtRight: Double { isAtRight && !entries.isEmpty ? columnWidth : 0 }
  var heightBelow: Double {
    isAtRight || entries.isEmpty ? 0 : Self.rowHeight * Double((entries.count + columns - 1) / columns) + 8
  }

  /// Draws it into the room beside a picture's plots.
  func draw(into drawing: inout Drawing, plots: CGRect, picture: CGRect) {
    let origin =
      isAtRight
      ? CGPoint(x: picture.maxX - columnWidth, y: plots.minY + Self.rowHeight / 2)
      : CGPoint(
        x: picture.midX - (Double(columns) * columnWidth - 14) / 2, y: picture.maxY - heightBelow + Self.rowHeight / 2)
    for (index, entry) in entries.enumerated() {
      let start = CGPoint(
        x: origin.x + columnWidth * Double(index % columns), y: origin.y + Self.rowHeight * Double(index / columns))
      let middle = CGPoint(x: start.x + Self.swatchWidth / 2, y: start.y)
      if entry.series.style != .markers {
        drawing.stroke(
          path([start, CGPoint(x: start.x + Self.swatchWidth, y: start.y)]), color: entry.look.color, width: 2,
          dash: entry.look.dash)
      }
      if entry.series.hasMarkers { drawing.mark([middle], entry.look) }
      drawing.write(entry.name, at: CGPoint(x: start.x + Self.swatchWidth + 6, y: start.y))
    }
  }
}

extension Drawing {
  /// Draws a series' marker at points.
  mutating func mark(_ points: [CGPoint], _ look: Look, radius: Double = 4) {
    if points.isEmpty { return }
    let path = points.map { look.marker.path(at: $0, radius: radius) }.joined()
    add("path", ["d": path, "fill": look.color, "stroke": "white", "stroke-width": "0.8"])
  }
}
