import Charts
import Foundation
import Testing

@Suite struct FigureTests {
  private typealias Point = (x: Double, y: Double)

  private func subpaths(_ element: Picture.Element) -> Int {
    element.attributes["d"]?.filter { $0 == "M" }.count ?? 0
  }

  @Test func `Text is escaped, and what XML cannot hold is replaced`() throws {
    #expect(escaped("a < b && \"c\" > d") == "a &lt; b &amp;&amp; &quot;c&quot; &gt; d")
    #expect(escaped("10⁻³ é 日\u{0}\u{1B}\u{FFFF}") == "10⁻³ é 日\u{FFFD}\u{FFFD}\u{FFFD}")
    let odd = "<a & \"b\">\u{7}'"
    let chart = Chart(title: odd, xLabel: odd, yLabel: odd, series: [.init(odd, [(0, 1), (1, 2)], color: odd)])
    let picture = try Picture(Figure([chart], title: odd))
    #expect(picture.texts.filter { $0 == "<a & \"b\">\u{FFFD}'" }.count == 5)
  }

  @Test func `A number that is not finite breaks the line`() throws {
    let points: [Point] = [(1, 1), (2, 2), (3, .nan), (4, 3), (5, 4), (6, .infinity), (7, 5), (.nan, 1)]
    let picture = try Picture(Figure([Chart(series: [.init("series", points)])]))
    // Of the three stretches the last is a point, which has a marker only.
    #expect(picture.lines.count == 2, "one in the legend")
    #expect(subpaths(picture.lines[0]) == 2)
    #expect(subpaths(picture.markers[0]) == 5)
    let numbers = picture.elements.flatMap(\.attributes.values).joined(separator: " ")
    #expect(!numbers.contains("nan") && !numbers.contains("inf"))
  }

  @Test func `What is not positive is left out of a logarithmic axis`() throws {
    let points: [Point] = [(1, 0), (2, 10), (4, 100), (8, -5), (16, 1000), (0, 1e9), (-1, 1e-9)]
    let chart = Chart(xScale: .logarithmic, yScale: .logarithmic, series: [.init("", points)])
    let picture = try Picture(Figure([chart]))
    #expect(subpaths(picture.markers[0]) == 3)
    #expect(picture.texts == ["2", "4", "16", "10", "100", "1000"])
  }

  @Test func `Logarithmic x ticks stand at a few whole values, and at decades otherwise`() throws {
    func texts(_ values: [Double]) throws -> [String] {
      let chart = Chart(xScale: .logarithmic, series: [.init("", values.map { ($0, 3) })])
      return try Picture(Figure([chart])).texts
    }
    #expect(try texts([32, 64, 128, 256, 512]).starts(with: ["32", "64", "128", "256", "512"]))
    #expect(try texts([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]).starts(with: ["1", "10", "100"]))
    // Labels that would touch, and values that are not whole.
    #expect(try texts([1000, 1001, 10_000_000]).starts(with: ["10³", "10⁴", "10⁵"]))
    #expect(try texts([0.123, 1.234, 12.34, 123.4]).starts(with: ["0.1", "1", "10", "100"]))
  }

  @Test func `Every series has its name in the legend once, in one colour`() throws {
    let names = (0..<14).map { "series \($0)" }
    func chart(_ names: [String]) -> Chart {
      let series = names.enumerated().map { index, name in
        let points: [Point] = [(0, Double(index)), (1, Double(2 * index))]
        return Chart.Series(name, points)
      }
      return Chart(series: series)
    }
    for panels in [[chart(names)], [chart(names), chart(names.reversed())], [chart(["other"]), chart(names)]] {
      let picture = try Picture(Figure(panels, width: 800, height: 400))
      for name in names { #expect(picture.texts.filter { $0 == name }.count == 1) }
      let looks = Set(picture.lines.map { [$0.attributes["stroke"], $0.attributes["stroke-dasharray"]] })
      #expect(looks.count == Set(panels.flatMap(\.series).map(\.name)).count)
    }
  }

  @Test func `A legend is beside one plot and below several`() throws {
    let chart = Chart(xLabel: "epoch", series: [.init("series", [(0, 0), (1000, 1)]), .init("", [(0, 1)])])
    let one = try Picture(Figure([chart]))
    #expect(try one.text("series").number("x") > one.text("1000").number("x"))
    let two = try Picture(Figure([chart, chart]))
    #expect(try two.text("series").number("y") > two.text("epoch").number("y") + 12)
    #expect(two.elements.filter { $0.text == "series" }.count == 1)
  }

  @Test func `Names at points do not cover one another`() throws {
    // Pairs of points in the same place, and a crowd.
    let series = (0..<14).map { index in
      let x = index < 8 ? Double(index / 2) : 2.5 + 0.01 * Double(index)
      return Chart.Series("method \(index)", [(x, 1)], style: .markers)
    }
    let chart = Chart(naming: .atPoints, series: series)
    let picture = try Picture(Figure([chart], width: 700, height: 400))
    let boxes = picture.elements.filter { $0.text.hasPrefix("method") }.map { element in
      let shift = ["start": 0.0, "middle": -0.5, "end": -1][element.attributes["text-anchor"]] ?? .nan
      let width = 7 * Double(element.text.count)
      return CGRect(x: element.number("x") + shift * width, y: element.number("y"), width: width, height: 12)
    }
    #expect(boxes.count == 14)
    for (index, box) in boxes.enumerated() {
      #expect(!boxes[..<index].contains { $0.intersects(box) }, "method \(index)")
      #expect(box.minX > 0 && box.maxX < 700 && box.minY > 0 && box.maxY < 400)
    }
  }

  @Test(arguments: [Chart.Scale.linear, .logarithmic], [1, 2, 3])
  func `Whatever the values, the picture is well-formed`(_ scale: Chart.Scale, _ count: Int) throws {
    let limits = [Double.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, 0, 1e199, 1e-199]
    let choices: [[Double]] = [
      [], [0], [7], [-7], [1e-300], [.nan], [3, 3], [1, 1.000_000_000_1], [1e15, 1e15 + 1], limits, [1e-250, 2e-250],
      [0, 1e-250], [-1e199, 1e199], (0..<300).map { pow(10, Double($0 % 40)) },
    ]
    for values in choices {
      for style in [Chart.Series.Style.line, .dashed, .markers] {
        let points = values.enumerated().map { index, value in Point(index % 2 == 0 ? value : Double(index), value) }
        let chart = Chart(
          title: "title", xScale: scale, yScale: scale, naming: count == 2 && values.count < 10 ? .atPoints : .legend,
          series: [.init("name", points.prefix(6).map { $0 }, style: style), .init("", points, style: style)])
        let figure = Figure([Chart](repeating: chart, count: count), title: "title")
        let picture = try Picture(figure)
        #expect(picture.texts.count >= 1 + count && figure.svg == figure.svg)
      }
    }
    _ = try Picture(Figure([], width: 1, height: 1))
  }
}
