import Foundation

extension Chart.Scale {
  /// Where a value stands, up to the choice of origin and unit; `nil` if it cannot be shown.
  ///
  /// Numbers near the limits of their type are left out too, so that nothing computed from others overflows.
  func coordinate(_ value: Double) -> Double? {
    switch self {
    case .linear: abs(value) < 1e200 ? value : nil
    case .logarithmic: (1e-200..<1e200).contains(value) ? log10(value) : nil
    }
  }

  func value(_ coordinate: Double) -> Double {
    self == .linear ? coordinate : pow(10, coordinate)
  }
}

/// The part of a scale that a chart shows, and its ticks.
struct Axis {
  let scale: Chart.Scale
  let ticks: [Tick]
  private let low, high: Double

  /// - Parameters:
  ///   - values: what is to be shown, with some room around.
  ///   - length: in pixels.
  ///   - extent: of a label along the axis, with the space that it needs.
  ///   - prefersValues: whether ticks may stand at a few values themselves instead of at decades.
  init(
    _ values: [Double], scale: Chart.Scale, length: Double, prefersValues: Bool = false, extent: (String) -> Double
  ) {
    let coordinates = values.compactMap(scale.coordinate)
    var (low, high) = (coordinates.min() ?? 0, coordinates.max() ?? 1)
    let largest = max(abs(low), abs(high))
    if high - low > max(1e-6 * largest, 1e-200) {
      let room = 0.04 * (high - low)
      (low, high) = (low - room, high + room)
    } else {
      let room = scale == .logarithmic || largest < 1e-200 ? 0.5 : largest / 2
      (low, high) = (low - room, high + room)
    }
    (self.scale, self.low, self.high) = (scale, low, high)
    let range = scale.value(low)...scale.value(high)
    func place(_ tick: Tick) -> Double { length * ((scale.coordinate(tick.value) ?? low) - low) / (high - low) }
    func fit(_ ticks: [Tick]) -> Bool {
      zip(ticks, ticks.dropFirst()).allSatisfy { place($1) - place($0) >= (extent($0.label) + extent($1.label)) / 2 }
    }
    let isWhole = values.allSatisfy { $0 == $0.rounded() }
    let distinct = Set(values).sorted()
    if prefersValues && scale == .logarithmic && isWhole && (2...6).contains(distinct.count) {
      let ticks = distinct.map { Tick(value: $0, label: label(of: $0)) }
      if fit(ticks) {
        self.ticks = ticks
        return
      }
    }
    let choices = (2...8).reversed().map { count in
      scale == .linear
        ? linearTicks(range, atMost: count, isWhole: isWhole) : logarithmicTicks(range, atMost: count)
    }
    ticks = choices.first(where: fit) ?? []
  }

  /// From 0 at the axis' beginning to 1 at its end; `nil` for a value that it cannot show.
  func fraction(_ value: Double) -> Double? {
    scale.coordinate(value).map { ($0 - low) / (high - low) }
  }
}
