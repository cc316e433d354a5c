import Foundation

/// Loss, accuracy, learning rate and drop rate over the epochs, as one SVG picture.
func curves(of records: [EpochRecord], title: String) -> String {
  typealias Line = (name: String, color: String, values: [Double?])
  func line(_ name: String, _ color: String, _ value: (EpochRecord) -> Double?) -> Line {
    (name, color, records.map(value))
  }
  let (blue, orange) = ("#1f77b4", "#d95f02")
  var panels: [(title: String, lines: [Line])] = [
    ("loss", [line("training", blue, \.trainLoss), line("validation", orange, \.validationLoss)]),
    ("accuracy, %", [line("training", blue, \.trainTop1), line("validation", orange, \.validationTop1)]),
    ("learning rate", [line("", blue, \.learningRate)]),
  ]
  if records.contains(where: { $0.dropRate != nil }) {
    panels.append(("drop rate", [line("", blue, \.dropRate)]))
  }
  let (width, height, margin) = (360.0, 260.0, 44.0)
  var svg =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Int(width) * panels.count)\" height=\"\(Int(height) + 28)\" "
    + "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    + "<text x=\"12\" y=\"20\" font-size=\"14\" font-weight=\"bold\">\(escaped(title))</text>\n"
  for (position, panel) in panels.enumerated() {
    let lines = panel.lines.filter { $0.values.contains { $0 != nil } }
    let values = lines.flatMap { $0.values.compactMap { $0 } }.filter(\.isFinite)
    let ticks = roundTicks(values.min() ?? 0, values.max() ?? 1)
    let (low, high) = (ticks[0], ticks[ticks.count - 1])
    let left = Double(position) * width + margin
    let (right, top, bottom) = (left + width - margin - 16, 52.0, height - 8)
    func x(_ index: Int) -> Double { left + (right - left) * Double(index) / Double(max(records.count - 1, 1)) }
    func y(_ value: Double) -> Double { bottom - (bottom - top) * (value - low) / (high - low) }
    svg += "<text x=\"\(number(left))\" y=\"42\">\(panel.title)</text>\n"
    for tick in ticks {
      svg +=
        "<line x1=\"\(number(left))\" x2=\"\(number(right))\" y1=\"\(number(y(tick)))\" y2=\"\(number(y(tick)))\" "
        + "stroke=\"#dddddd\"/><text x=\"\(number(left - 4))\" y=\"\(number(y(tick) + 4))\" text-anchor=\"end\">"
        + "\(String(format: "%g", tick))</text>\n"
    }
    for index in [0, records.count - 1] where records.indices.contains(index) {
      svg += "<text x=\"\(number(x(index)))\" y=\"\(number(bottom + 16))\" text-anchor=\"middle\">\(index + 1)</text>\n"
    }
    svg +=
      "<text x=\"\(number((left + right) / 2))\" y=\"\(number(bottom + 16))\" text-anchor=\"middle\">epoch</text>\n"
    for (row, line) in lines.enumerated() {
      let points = line.values.enumerated().compactMap { index, value in
        value.flatMap { $0.isFinite ? "\(number(x(index))),\(number(y($0)))" : nil }
      }
      svg +=
        "<polyline points=\"\(points.joined(separator: " "))\" fill=\"none\" stroke=\"\(line.color)\" "
        + "stroke-width=\"2\"/>\n"
      // A single epoch is a point, which a line does not show.
      if points.count == 1 {
        let place = points[0].split(separator: ",")
        svg += "<circle cx=\"\(place[0])\" cy=\"\(place[1])\" r=\"3\" fill=\"\(line.color)\"/>\n"
      }
      if !line.name.isEmpty {
        svg +=
          "<text x=\"\(number(right))\" y=\"\(number(28 + 14 * Double(row)))\" text-anchor=\"end\" "
          + "fill=\"\(line.color)\">\(line.name)</text>\n"
      }
    }
  }
  return svg + "</svg>\n"
}

/// Three to seven round numbers that enclose a range.
private func roundTicks(_ low: Double, _ high: Double) -> [Double] {
  let span = max(high - low, abs(high) * 1e-3, 1e-9)
  let power = pow(10, (log10(span / 5)).rounded(.down))
  let step = [1, 2, 5, 10].map { $0 * power }.first { span / $0 <= 5 } ?? 10 * power
  let first = (low / step + 1e-9).rounded(.down)
  let last = max((high / step - 1e-9).rounded(.up), first + 1)
  return (0...Int(last - first)).map { (first + Double($0)) * step }
}

private func number(_ value: Double) -> String { String(format: "%.1f", value) }

private func escaped(_ text: String) -> String {
  text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
}
