import Tensors

/// What a network's input asks of an image: resize, centre crop, normalisation.
public struct EvaluationTransform: Sendable, Hashable, Codable {
  /// How an image is brought to size before the crop.
  public enum Resize: Sendable, Hashable, Codable {
    /// The shorter side to this length, the longer in proportion, rounded down: torchvision's `Resize(n)`.
    case shorterSide(Int)
    /// To exactly this width and height, unless it has them.
    case exact(width: Int, height: Int)

    /// Whether both sides are given.
    public var isExact: Bool { if case .exact = self { true } else { false } }
  }

  /// How the image is brought to size.
  public var resize: Resize
  /// Side of the centre square that is cut out; `nil` for the whole image.
  public var crop: Int?
  /// How pixels between pixels are found.
  public var interpolation: Interpolation
  /// Mean of each channel that is taken away, in the units of pixels from 0 to 1.
  public var mean: [Float]
  /// Deviation of each channel that is divided by.
  public var deviation: [Float]

  /// A transform for as many channels as `mean` has: 3 for RGB, 1 for grey.
  public init(
    resize: Resize, crop: Int?, interpolation: Interpolation = .bilinear, mean: [Float], deviation: [Float]
  ) {
    (self.resize, self.crop, self.interpolation) = (resize, crop, interpolation)
    (self.mean, self.deviation) = (mean, deviation)
    check(
      isUsable,
      "expected means and deviations of 1 or 3 channels, and a crop where one side is resized; found \(self)")
  }

  /// Whether numbers fit each other: means and deviations of 1 or 3 channels, and a crop where one side is resized, for
  /// inputs of one shape.
  package var isUsable: Bool {
    (mean.count == 3 || mean.count == 1) && deviation.count == mean.count && (crop != nil || resize.isExact)
      && (mean + deviation).allSatisfy(\.isFinite) && deviation.allSatisfy { $0 > 0 }
  }

  /// As published for 224 px: shorter side to 256, centre crop, ImageNet's mean and deviation.
  public static let imageNet = EvaluationTransform(
    resize: .shorterSide(256), crop: 224, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// The same for grey images, with the means over the three colours.
  public static let imageNetGrey = EvaluationTransform(
    resize: .shorterSide(256), crop: 224, mean: [0.449], deviation: [0.226])

  /// For CIFAR networks: 32×32 as it is, ImageNet's mean and deviation.
  public static let cifar = EvaluationTransform(
    resize: .exact(width: 32, height: 32), crop: nil, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// For Fashion-MNIST: 28×28 grey, its mean and deviation.
  public static let fashionMNIST = EvaluationTransform(
    resize: .exact(width: 28, height: 28), crop: nil, mean: [0.2860], deviation: [0.3530])

  /// Channels of the result.
  public var channels: Int { mean.count }

  /// Height and width of the result.
  public var outputSize: (height: Int, width: Int) {
    switch (crop, resize) {
    case (let crop?, _): (crop, crop)
    case (nil, .exact(let width, let height)): (height, width)
    case (nil, .shorterSide(let side)): (side, side)
    }
  }

  /// Makes the network's input of an image: `[C, H, W]` numbers, all of which are written to `target`.
  public func callAsFunction(_ image: Image, into target: UnsafeMutableBufferPointer<Float>) {
    let (height, width) = outputSize
    check(
      target.count == channels * height * width, "room for \(target.count) of \(channels)×\(height)×\(width)")
    let pixels = self.pixels(image)
    for channel in 0..<channels {
      // (v / 255 − mean) / deviation for each of the 256 values a byte has.
      let table = (0..<256).map { (Float($0) / 255 - mean[channel]) / deviation[channel] }
      table.withUnsafeBufferPointer { table in
        pixels.withUnsafeBufferPointer { pixels in
          let plane = channel * height * width
          for index in 0..<height * width { target[plane + index] = table[Int(pixels[index * channels + channel])] }
        }
      }
    }
  }

  /// The pixels that the network sees, before normalisation: rows, then pixels, then channels.
  package func pixels(_ image: Image) -> [UInt8] {
    let (height, width) = outputSize
    let source = channels == 3 ? image.pixels : luma(image.pixels)
    let size = resizedSize(image)
    guard let crop else {
      return resample(
        source, channels: channels, width: image.width, height: image.height, to: size, columns: 0..<width,
        rows: 0..<height, by: interpolation)
    }
    let (left, top) = (centerOffset(size.width, crop), centerOffset(size.height, crop))
    let columns = max(0, left)..<min(size.width, left + crop)
    let rows = max(0, top)..<min(size.height, top + crop)
    let part = resample(
      source, channels: channels, width: image.width, height: image.height, to: size, columns: columns, rows: rows,
      by: interpolation)
    guard columns.count < crop || rows.count < crop else { return part }
    // Smaller than the crop: black around it, as torchvision pads.
    var padded = [UInt8](repeating: 0, count: crop * crop * channels)
    for row in 0..<rows.count {
      for index in 0..<columns.count * channels {
        let target = ((row + rows.lowerBound - top) * crop + columns.lowerBound - left) * channels + index
        padded[target] = part[row * columns.count * channels + index]
      }
    }
    return padded
  }

  private func resizedSize(_ image: Image) -> (width: Int, height: Int) {
    switch resize {
    case .exact(let width, let height): return (width, height)
    case .shorterSide(let side):
      // ⌊side · long / short⌋, as Python computes it in double precision.
      if image.width <= image.height {
        return (side, Int(Double(side * image.height) / Double(max(image.width, 1))))
      }
      return (Int(Double(side * image.width) / Double(max(image.height, 1))), side)
    }
  }

  /// Half the difference, halves to even, as Python rounds.
  private func centerOffset(_ size: Int, _ crop: Int) -> Int {
    Int((Double(size - crop) / 2).rounded(.toNearestOrEven))
  }

  /// Pillow's `convert("L")`: ITU-R 601-2 luma in 16-bit fixed point.
  private func luma(_ rgb: [UInt8]) -> [UInt8] {
    stride(from: 0, to: rgb.count, by: 3).map { index in
      let (r, g, b) = (Int(rgb[index]), Int(rgb[index + 1]), Int(rgb[index + 2]))
      return UInt8((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16)
    }
  }
}
