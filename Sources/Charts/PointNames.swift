import Foundation

/// Finds places for names beside their points, where they cover neither points, lines nor one another if that can be.
struct PointNames {
  struct Name {
    let text: String
    /// The points that it may stand at, the one that suits it best first.
    let points: [CGPoint]
  }

  struct Place {
    /// Where the text begins, ends or has its middle.
    let start: CGPoint
    let anchor: Drawing.Anchor
    /// A line from the point to a name that does not stand right beside it.
    let leader: [CGPoint]
    /// What name and leader cover.
    fileprivate let boxes: [CGRect]
  }

  /// Names stay within.
  let bounds: CGRect
  /// What they had better not cover.
  let obstacles: [CGRect]

  /// A place for each name that has a point.
  ///
  /// Each name in turn takes the place that is best beside those of the others, which settles in a few rounds.
  func places(for names: [Name]) -> [Place?] {
    let candidates = names.map { name in
      name.points.enumerated().flatMap { rank, point in
        self.candidates(name.text, at: point).map { ($0, cost: $1 + 8 * Double(rank)) }
      }
    }
    var places = [Place?](repeating: nil, count: names.count)
    for _ in 0..<4 {
      for index in names.indices {
        let others = places.indices.filter { $0 != index }.flatMap { places[$0]?.boxes ?? [] }
        var best = Double.infinity
        for (place, cost) in candidates[index] where cost < best {
          let total = cost + 4 * overlap(place.boxes, others)
          if total < best { (best, places[index]) = (total, place) }
        }
      }
    }
    return places
  }

  /// All places of a name at a point with what speaks against each, whatever the other names do.
  private func candidates(_ text: String, at point: CGPoint) -> [(place: Place, cost: Double)] {
    let size = CGSize(width: textWidth(text), height: 13)
    return Self.offsets.map { offset in
      let (start, anchor): (CGPoint, Drawing.Anchor) =
        (CGPoint(x: point.x + offset.x, y: point.y + offset.y), offset.x == 0 ? .middle : offset.x < 0 ? .end : .start)
      let minX = anchor == .start ? start.x : start.x - size.width / (anchor == .end ? 1 : 2)
      let box = CGRect(x: minX, y: start.y - size.height / 2, width: size.width, height: size.height)
      let isBeside = abs(offset.x) <= 10 && abs(offset.y) <= (offset.x == 0 ? 14 : 7)
      let leader = isBeside ? [] : Self.leader(from: point, to: box)
      let boxes = [box] + Self.beads(leader)
      let outside = Double(size.width * size.height) - overlap([bounds], [box])
      let distance = 2 * abs(offset.y) + abs(offset.x) - (offset.x > 0 ? 2 : 0) + (isBeside ? 0 : 20)
      return (
        Place(start: start, anchor: anchor, leader: leader, boxes: boxes),
        distance + 10 * outside + 2 * overlap(boxes, obstacles)
      )
    }
  }

  /// From a point to a name's start at its right, to its end at its left, to its middle above or below.
  private static let offsets: [CGPoint] = {
    let (across, down) = ([10.0, 24, 48, 72], stride(from: -70.0, through: 70, by: 7))
    let beside = across.flatMap { x in down.flatMap { [CGPoint(x: x, y: $0), CGPoint(x: -x, y: $0)] } }
    return beside + down.filter { abs($0) >= 14 }.map { CGPoint(x: 0, y: $0) }
  }()

  /// From the rim of a point's marker to the spot of a box that is nearest.
  private static func leader(from point: CGPoint, to box: CGRect) -> [CGPoint] {
    let end = CGPoint(x: min(max(point.x, box.minX - 2), box.maxX + 2), y: min(max(point.y, box.minY), box.maxY))
    let part = 6 / max(6, hypot(end.x - point.x, end.y - point.y))
    return [CGPoint(x: point.x + part * (end.x - point.x), y: point.y + part * (end.y - point.y)), end]
  }

  /// A line as a row of small boxes.
  static func beads(_ points: [CGPoint]) -> [CGRect] {
    zip(points, points.dropFirst()).flatMap { start, end in
      let count = max(1, Int(hypot(end.x - start.x, end.y - start.y) / 4))
      return (0...count).map { step in
        let part = Double(step) / Double(count)
        return CGRect(
          x: start.x + part * (end.x - start.x) - 2, y: start.y + part * (end.y - start.y) - 2, width: 4, height: 4)
      }
    }
  }

  private func overlap(_ some: [CGRect], _ others: [CGRect]) -> Double {
    var area = 0.0
    for a in some {
      for b in others {
        let (width, height) = (min(a.maxX, b.maxX) - max(a.minX, b.minX), min(a.maxY, b.maxY) - max(a.minY, b.minY))
        if width > 0 && height > 0 { area += width * height }
      }
    }
    return area
  }
}
