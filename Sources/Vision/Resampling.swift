/// How pixels between pixels are found, as Pillow does it: with a wider filter where the image shrinks.
public enum Interpolation: String, Sendable, Hashable, Codable, CaseIterable {
  /// A triangle of two pixels.
  case bilinear
  /// Keys's cubic with a = −½, of four pixels.
  case bicubic

  /// Pixels to either side that count.
  fileprivate var support: Double { self == .bilinear ? 1 : 2 }

  /// The weight of a pixel at this distance.
  fileprivate func weight(_ distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    case .bilinear: return max(0, 1 - x)
    case .bicubic:
      if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0
    }
  }
}

/// One axis of Pillow's antialiased filters: for each output position the first input and the weights, as integers of 22
/// fractional bits.
private struct Taps {
  private static let fractionBits = 22

  /// First input position of each output.
  private(set) var first: [Int] = []
  /// Number of inputs of each output.
  private(set) var count: [Int] = []
  /// Weights, `longest` for each output.
  private(set) var weights: [Int32] = []
  /// Most inputs of any output.
  let longest: Int

  init(from inputs: Int, to outputs: Int, positions: Range<Int>, by interpolation: Interpolation) {
    let scale = Double(inputs) / Double(outputs)
    // A filter as wide as the shrinking asks for; never narrower than its own support.
    let filterScale = max(scale, 1)
    let support = filterScale * interpolation.support
    longest = Int(support.rounded(.up)) * 2 + 1
    for position in positions {
      let center = (Double(position) + 0.5) * scale
      let low = max(0, Int(center - support + 0.5))
      let high = min(inputs, Int(center + support + 0.5))
      var values = (low..<max(low, high)).map { input in
        interpolation.weight((Double(input) - center + 0.5) * (1 / filterScale))
      }
      let sum = values.reduce(0, +)
      if sum != 0 { values = values.map { $0 / sum } }
      first.append(low)
      count.append(values.count)
      weights += values.map { Int32(($0 < 0 ? -0.5 : 0.5) + $0 * Double(1 << Self.fractionBits)) }
      weights += [Int32](repeating: 0, count: longest - values.count)
    }
  }

  /// All inputs that any output looks at.
  var inputs: Range<Int> { first[0]..<first[first.count - 1] + count[count.count - 1] }

  /// Half of the last kept bit, to round.
  static let half = Int32(1) << (fractionBits - 1)

  static func byte(_ sum: Int32) -> UInt8 { UInt8(clamping: sum >> fractionBits) }
}

/// Some rows and columns of an image with interleaved channels.
private struct Part {
  var pixels: [UInt8]
  var columns: Range<Int>
  var rows: Range<Int>
  let channels: Int

  var rowSize: Int { columns.count * channels }

  /// Resized along x to the given taps' positions.
  func horizontally(_ taps: Taps, to newColumns: Range<Int>) -> Part {
    let newSize = newColumns.count * channels
    let result = [UInt8](unsafeUninitializedCapacity: rows.count * newSize) { target, initialized in
      initialized = rows.count * newSize
      pixels.withUnsafeBufferPointer { source in
        for y in 0..<rows.count {
          resampleRow(
            source.baseAddress! + y * rowSize - columns.lowerBound * channels, taps, channels: channels,
            count: newColumns.count, into: target.baseAddress! + y * newSize)
        }
      }
    }
    return Part(pixels: result, columns: newColumns, rows: rows, channels: channels)
  }

  /// Resized along y to the given taps' positions.
  func vertically(_ taps: Taps, to newRows: Range<Int>) -> Part {
    let size = rowSize
    let result = [UInt8](unsafeUninitializedCapacity: newRows.count * size) { target, initialized in
      initialized = newRows.count * size
      pixels.withUnsafeBufferPointer { source in
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: size) { sums in
          for y in 0..<newRows.count {
            sums.update(repeating: Taps.half)
            for tap in 0..<taps.count[y] {
              let weight = taps.weights[y * taps.longest + tap]
              let line = source.baseAddress! + (taps.first[y] + tap - rows.lowerBound) * size
              for x in 0..<size { sums[x] &+= Int32(line[x]) &* weight }
            }
            for x in 0..<size { target[y * size + x] = Taps.byte(sums[x]) }
          }
        }
      }
    }
    return Part(pixels: result, columns: columns, rows: newRows, channels: channels)
  }
}

/// Resizes an image with interleaved channels and returns the part of the result in `columns` and `rows`.
///
/// Pillow's `resize` with `BILINEAR` or `BICUBIC`, to the bit: one axis, rounded to bytes, then the other; an axis that keeps its size
/// is left alone. Rows come first unless the height shrinks by more than twice what the width does, which is when
/// Pillow 13 and later turn the order round (earlier versions never do). Only what the part needs is computed.
func resample(
  _ pixels: [UInt8], channels: Int, width: Int, height: Int, to size: (width: Int, height: Int), columns: Range<Int>,
  rows: Range<Int>, by interpolation: Interpolation = .bilinear
) -> [UInt8] {
  guard width > 0, height > 0, !columns.isEmpty, !rows.isEmpty else { return [] }
  let horizontal = size.width == width ? nil : Taps(from: width, to: size.width, positions: columns, by: interpolation)
  let vertical = size.height == height ? nil : Taps(from: height, to: size.height, positions: rows, by: interpolation)
  var part = cut(
    pixels, channels: channels, width: width, columns: horizontal?.inputs ?? columns, rows: vertical?.inputs ?? rows)
  let isVerticalFirst = height - size.height > max(0, 2 * (width - size.width))
  if isVerticalFirst, let vertical { part = part.vertically(vertical, to: rows) }
  if let horizontal { part = part.horizontally(horizontal, to: columns) }
  if !isVerticalFirst, let vertical { part = part.vertically(vertical, to: rows) }
  return part.pixels
}

private func cut(_ pixels: [UInt8], channels: Int, width: Int, columns: Range<Int>, rows: Range<Int>) -> Part {
  if columns.count == width {
    let size = width * channels
    return Part(
      pixels: Array(pixels[rows.lowerBound * size..<rows.upperBound * size]), columns: columns, rows: rows,
      channels: channels)
  }
  var result: [UInt8] = []
  result.reserveCapacity(columns.count * rows.count * channels)
  for y in rows {
    result += pixels[(y * width + columns.lowerBound) * channels..<(y * width + columns.upperBound) * channels]
  }
  return Part(pixels: result, columns: columns, rows: rows, channels: channels)
}

/// One row along x.
private func resampleRow(
  _ source: UnsafePointer<UInt8>, _ taps: Taps, channels: Int, count: Int, into target: UnsafeMutablePointer<UInt8>
) {
  taps.weights.withUnsafeBufferPointer { weights in
    for x in 0..<count {
      let (first, length) = (source + taps.first[x] * channels, taps.count[x])
      let own = weights.baseAddress! + x * taps.longest
      if channels == 3 {
        var (r, g, b) = (Taps.half, Taps.half, Taps.half)
        for tap in 0..<length {
          let weight = own[tap]
          r &+= Int32(first[3 * tap]) &* weight
          g &+= Int32(first[3 * tap + 1]) &* weight
          b &+= Int32(first[3 * tap + 2]) &* weight
        }
        target[3 * x] = Taps.byte(r)
        target[3 * x + 1] = Taps.byte(g)
        target[3 * x + 2] = Taps.byte(b)
      } else {
        for channel in 0..<channels {
          var sum = Taps.half
          for tap in 0..<length { sum &+= Int32(first[tap * channels + channel]) &* own[tap] }
          target[x * channels + channel] = Taps.byte(sum)
        }
      }
    }
  }
}
