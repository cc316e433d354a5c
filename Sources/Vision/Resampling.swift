/// One axis of Pillow's antialiased bilinear filter: for each output position the first input and the weights, as
/// integers of 22 fractional bits.
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

  init(from inputs: Int, to outputs: Int, positions: Range<Int>) {
    let scale = Double(inputs) / Double(outputs)
    // A triangle as wide as the shrinking asks for; never narrower than one pixel.
    let filterScale = max(scale, 1)
    longest = Int(filterScale.rounded(.up)) * 2 + 1
    for position in positions {
      let center = (Double(position) + 0.5) * scale
      let low = max(0, Int(center - filterScale + 0.5))
      let high = min(inputs, Int(center + filterScale + 0.5))
      var values = (low..<max(low, high)).map { input in
        max(0, 1 - abs((Double(input) - center + 0.5) * (1 / filterScale)))
      }
      let sum = values.reduce(0, +)
      if sum != 0 { values = values.map { $0 / sum } }
      first.append(low)
      count.append(values.count)
      weights += values.map { Int32(0.5 + $0 * Double(1 << Self.fractionBits)) }
      weights += [Int32](repeating: 0, count: longest - values.count)
    }
  }

  /// Half of the last kept bit, to round.
  static let half = Int32(1) << (fractionBits - 1)

  static func byte(_ sum: Int32) -> UInt8 { UInt8(clamping: sum >> fractionBits) }
}

/// Resizes an image with interleaved channels and returns the part of the result in `columns` and `rows`.
///
/// Pillow's `resize` with `BILINEAR`, to the bit: rows first, rounded to bytes, then columns; an axis that keeps its size
/// is left alone. Only what the part needs is computed.
func resample(
  _ pixels: [UInt8], channels: Int, width: Int, height: Int, to size: (width: Int, height: Int), columns: Range<Int>,
  rows: Range<Int>
) -> [UInt8] {
  guard width > 0, height > 0, !columns.isEmpty, !rows.isEmpty else { return [] }
  let vertical = Taps(from: height, to: size.height, positions: rows)
  let isShort = size.height == height
  // Input rows that the wanted output rows look at.
  let top = isShort ? rows.lowerBound : vertical.first[0]
  let bottom = isShort ? rows.upperBound : vertical.first[rows.count - 1] + vertical.count[rows.count - 1]
  let rowSize = columns.count * channels
  let stretched = [UInt8](unsafeUninitializedCapacity: (bottom - top) * rowSize) { target, initialized in
    initialized = (bottom - top) * rowSize
    pixels.withUnsafeBufferPointer { source in
      if size.width == width {
        for y in top..<bottom {
          for x in 0..<rowSize {
            target[(y - top) * rowSize + x] = source[(y * width + columns.lowerBound) * channels + x]
          }
        }
      } else {
        let taps = Taps(from: width, to: size.width, positions: columns)
        for y in top..<bottom {
          resampleRow(
            source.baseAddress! + y * width * channels, taps, channels: channels, count: columns.count,
            into: target.baseAddress! + (y - top) * rowSize)
        }
      }
    }
  }
  if isShort { return stretched }
  return [UInt8](unsafeUninitializedCapacity: rows.count * rowSize) { target, initialized in
    initialized = rows.count * rowSize
    stretched.withUnsafeBufferPointer { source in
      vertical.weights.withUnsafeBufferPointer { weights in
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: rowSize) { sums in
          for y in 0..<rows.count {
            sums.update(repeating: Taps.half)
            for tap in 0..<vertical.count[y] {
              let weight = weights[y * vertical.longest + tap]
              let line = source.baseAddress! + (vertical.first[y] + tap - top) * rowSize
              for x in 0..<rowSize { sums[x] &+= Int32(line[x]) &* weight }
            }
            for x in 0..<rowSize { target[y * rowSize + x] = Taps.byte(sums[x]) }
          }
        }
      }
    }
  }
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
