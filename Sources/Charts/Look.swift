import Foundation

/// What tells a series from the others.
struct Look {
  var color: String
  var dash = ""
  let marker: Marker

  /// Looks are told apart by colour up to 10, then by dashes too; the markers, 7 by turns, differ in any case.
  init(_ place: Int) {
    color = Self.palette[place % Self.palette.count]
    dash = Self.dashes[place / Self.palette.count % Self.dashes.count]
    marker = Marker.allCases[place % Marker.allCases.count]
  }

  init(_ place: Int, _ series: Chart.Series) {
    self.init(place)
    if let color = series.color { self.color = color }
    if series.style == .dashed { dash = "5 4" }
  }

  /// Ten colours that readers with any kind of colour vision tell apart (M. Petroff, "Accessible Color Sequences for
  /// Data Visualization", 2021), with the pale ones last.
  private static let palette = [
    "#3f90da", "#e76300", "#832db6", "#717581", "#bd1f01", "#ffa90e", "#a96b59", "#94a4a2", "#b9ac70", "#92dadd",
  ]

  private static let dashes = ["", "8 3", "2 3", "8 3 2 3"]
}

/// The looks of all series of a figure by panel: one for each name, and for a series without a name one that is not
/// taken in its panel.
func looks(of panels: [Chart]) -> [[Look]] {
  var places: [String: Int] = [:]
  for series in panels.flatMap(\.series) where !series.name.isEmpty && places[series.name] == nil {
    places[series.name] = places.count
  }
  return panels.map { panel in
    let taken = Set(panel.series.compactMap { places[$0.name] })
    var free = (0...).lazy.filter { !taken.contains($0) }.makeIterator()
    return panel.series.map { Look(places[$0.name] ?? free.next() ?? 0, $0) }
  }
}

enum Marker: CaseIterable {
  case circle, square, triangle, diamond, cross, invertedTriangle, plus

  /// An outline around a point; the shapes look equally large.
  func path(at point: CGPoint, radius: Double) -> String {
    if self == .circle {
      let (r, d) = (number(radius), number(2 * radius))
      return "M\(number(point.x - radius)),\(number(point.y))a\(r),\(r) 0 1,0 \(d),0a\(r),\(r) 0 1,0 -\(d),0Z"
    }
    return Charts.path(corners.map { CGPoint(x: point.x + radius * $0.x, y: point.y + radius * $0.y) }) + "Z"
  }

  private var corners: [(x: Double, y: Double)] {
    switch self {
    case .circle: []
    case .square: [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]
    case .triangle: [(0, -1.25), (1.15, 0.8), (-1.15, 0.8)]
    case .invertedTriangle: [(0, 1.25), (-1.15, -0.8), (1.15, -0.8)]
    case .diamond: [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)]
    case .plus: Self.plusCorners
    case .cross: Self.plusCorners.map { (0.75 * ($0.x - $0.y), 0.75 * ($0.x + $0.y)) }
    }
  }

  private static let plusCorners: [(x: Double, y: Double)] = [
    (-0.4, -1.3), (0.4, -1.3), (0.4, -0.4), (1.3, -0.4), (1.3, 0.4), (0.4, 0.4), (0.4, 1.3), (-0.4, 1.3), (-0.4, 0.4),
    (-1.3, 0.4), (-1.3, -0.4), (-0.4, -0.4),
  ]
}
