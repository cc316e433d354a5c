import Charts
import ModelZoo

/// What the figures look like.
enum Figures {
  /// What the chart of times shows where there are too many methods to tell their lines apart.
  private static let outstanding: Set = [
    "covariance", "ns5", "ns10", "taylor", "pade", "gram", "eig", "svd", "PyTorch eigh", "PyTorch svd",
    "PyTorch ns5, own backward",
  ]

  /// Time for one matrix against d: inference, and both passes.
  static func time(_ rows: [Row]) -> Figure {
    let rows = methods(rows).count <= 12 ? rows : rows.filter { outstanding.contains($0.method) }
    func panel(_ title: String, _ value: @escaping (Row) -> Double?) -> Chart {
      Chart(
        title: title, xLabel: "d", yLabel: "ms a matrix", xScale: .logarithmic, yScale: .logarithmic,
        series: methods(rows).map { method in
          let own = rows.filter { $0.method == method }.sorted { $0.dimension < $1.dimension }
          return Chart.Series(
            method, own.compactMap { row in value(row).map { (Double(row.dimension), $0) } },
            style: own.first?.isPeer == true ? .dashed : .line)
        })
    }
    return Figure(
      [
        panel("Forward") { $0.forward.median }, panel("Forward and backward") { $0.hasBackward ? $0.both.median : nil },
      ], width: 1000, height: 460)
  }

  /// Error against time of square roots: what is below and to the left of all others is worth its time.
  static func pareto(_ rows: [Row]) -> Figure {
    func panel(_ title: String, _ point: @escaping (Row) -> (x: Double, y: Double)?) -> Chart {
      Chart(
        title: title, xLabel: "ms a matrix", yLabel: "relative error", xScale: .logarithmic, yScale: .logarithmic,
        naming: .atPoints,
        series: rows.compactMap { row in
          point(row).map { Chart.Series(row.method, [$0], style: .markers) }
        })
    }
    return Figure(
      [
        panel("Value, forward") { row in row.accuracy.map { (row.forward.median, $0.value) } },
        panel("Gradient, forward and backward") { row in row.accuracy.map { (row.both.median, $0.gradient) } },
      ], width: 1000, height: 460)
  }

  /// Error against the number of iterations or the degree.
  static func convergence(_ points: [Convergence]) -> Figure {
    func panel(_ title: String, _ value: @escaping (Convergence) -> Double) -> Chart {
      var names: [String] = []
      for point in points where !names.contains(point.method) { names.append(point.method) }
      return Chart(
        title: title, xLabel: "iterations or degree", yLabel: "relative error", yScale: .logarithmic,
        series: names.map { name in
          Chart.Series(name, points.filter { $0.method == name }.map { (Double($0.step), value($0)) })
        })
    }
    return Figure([panel("Value") { $0.value }, panel("Gradient") { $0.gradient }], width: 1000, height: 400)
  }

  /// Names in the order of the rows.
  private static func methods(_ rows: [Row]) -> [String] {
    rows.reduce(into: []) { names, row in if !names.contains(row.method) { names.append(row.method) } }
  }
}
