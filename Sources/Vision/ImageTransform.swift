import Foundation
import Tensors

/// Makes a network's input of an image.
public protocol ImageTransform: Sendable {
  /// Channels of the result: 3 for RGB, 1 for grey.
  var channels: Int { get }
  /// Height and width of the result.
  var outputSize: (height: Int, width: Int) { get }

  /// Writes the input `[C, H, W]` for the image with this position in its data set, on which random changes depend.
  func callAsFunction(_ image: Image, position: Int, into target: UnsafeMutableBufferPointer<Float>)
}

extension EvaluationTransform: ImageTransform {
  public func callAsFunction(_ image: Image, position: Int, into target: UnsafeMutableBufferPointer<Float>) {
    self(image, into: target)
  }
}

/// What is changed at random in the images that a network learns from.
public struct Augmentation: Hashable, Sendable, Codable {
  /// Cuts out a random part of this share of the area, with a side ratio of 3/4 to 4/3, and resizes it: torchvision's
  /// `RandomResizedCrop`. `nil` leaves the image as evaluation has it.
  public var resizedCrop: ClosedRange<Double>?
  /// Pixels of zeros around the image before a part of its own size is cut out at random.
  public var padding = 0
  /// Whether half of the images are mirrored.
  public var flips = true
  /// Brightness, contrast and saturation change by factors in 1 ± this, in random order.
  public var colorJitter = 0.0

  /// Only mirroring.
  public init() {}

  /// As published for 224 px: a part of 8 to 100 % of the area, mirrored or not.
  public static let imageNet: Augmentation = {
    var augmentation = Augmentation()
    augmentation.resizedCrop = 0.08...1
    return augmentation
  }()

  /// Usual for small images: cut out of 4 pixels of padding, mirrored or not.
  public static let small: Augmentation = {
    var augmentation = Augmentation()
    augmentation.padding = 4
    return augmentation
  }()
}

/// The inputs that a network learns from in one epoch.
///
/// What happens to an image is a function of (seed, epoch, position) alone, whatever thread makes it.
public struct TrainingTransform: ImageTransform {
  /// Size and normalisation.
  public var base: EvaluationTransform
  /// What is changed at random.
  public var augmentation: Augmentation
  /// Chooses the random numbers.
  public var seed: UInt64
  /// From 0.
  public var epoch: Int

  /// Inputs of an epoch.
  public init(_ base: EvaluationTransform, _ augmentation: Augmentation, seed: UInt64, epoch: Int) {
    (self.base, self.augmentation, self.seed, self.epoch) = (base, augmentation, seed, epoch)
  }

  public var channels: Int { base.channels }
  public var outputSize: (height: Int, width: Int) { base.outputSize }

  public func callAsFunction(_ image: Image, position: Int, into target: UnsafeMutableBufferPointer<Float>) {
    var random = RandomStream(seed: seed, name: "augmentation \(epoch) \(position)").generator
    var image = image
    var transform = base
    let (height, width) = outputSize
    if let area = augmentation.resizedCrop {
      image = randomPart(of: image, area: area, &random).resized(width: width, height: height)
      (transform.resize, transform.crop) = (.exact(width: width, height: height), nil)
    }
    if augmentation.colorJitter > 0 { image = jittered(image, &random) }
    transform(image, into: target)
    let (dx, dy) =
      augmentation.padding > 0
      ? (
        random.index(below: 2 * augmentation.padding + 1) - augmentation.padding,
        random.index(below: 2 * augmentation.padding + 1) - augmentation.padding
      ) : (0, 0)
    let mirrors = augmentation.flips && random.uniform() < 0.5
    if dx != 0 || dy != 0 || mirrors { move(target, dx, dy, mirrors: mirrors) }
  }

  /// A random rectangle, or the centre where ten tries do not fit, as torchvision chooses it.
  private func randomPart(of image: Image, area: ClosedRange<Double>, _ random: inout RandomGenerator) -> Image {
    let pixels = Double(image.width * image.height)
    for _ in 0..<10 {
      let size = pixels * random.uniform(area.lowerBound, area.upperBound)
      // The ratio is uniform on a logarithmic scale.
      let ratio = exp(random.uniform(log(3.0 / 4), log(4.0 / 3)))
      let (width, height) = (Int((size * ratio).squareRoot().rounded()), Int((size / ratio).squareRoot().rounded()))
      guard width > 0, height > 0, width <= image.width, height <= image.height else { continue }
      return image.cropped(
        left: random.index(below: image.width - width + 1), top: random.index(below: image.height - height + 1),
        width: width, height: height)
    }
    let side = Double(image.width) / Double(max(image.height, 1))
    let width = side > 4.0 / 3 ? Int((Double(image.height) * 4 / 3).rounded()) : image.width
    let height = side < 3.0 / 4 ? Int((Double(image.width) * 4 / 3).rounded()) : image.height
    return image.cropped(
      left: (image.width - width) / 2, top: (image.height - height) / 2, width: width, height: height)
  }

  /// Brightness, contrast and saturation by random factors, in random order.
  private func jittered(_ image: Image, _ random: inout RandomGenerator) -> Image {
    var pixels = image.pixels.map(Double.init)
    let strength = augmentation.colorJitter
    func luma(_ i: Int) -> Double { 0.299 * pixels[i] + 0.587 * pixels[i + 1] + 0.114 * pixels[i + 2] }
    for change in random.permutation(of: 3) {
      let factor = random.uniform(max(0, 1 - strength), 1 + strength)
      switch change {
      case 0: for i in pixels.indices { pixels[i] *= factor }
      case 1:
        let mean =
          stride(from: 0, to: pixels.count, by: 3).reduce(0) { $0 + luma($1) } / Double(max(pixels.count / 3, 1))
        for i in pixels.indices { pixels[i] = mean + factor * (pixels[i] - mean) }
      default:
        for i in stride(from: 0, to: pixels.count, by: 3) {
          let grey = luma(i)
          for c in i..<i + 3 { pixels[c] = grey + factor * (pixels[c] - grey) }
        }
      }
      for i in pixels.indices { pixels[i] = min(max(pixels[i], 0), 255) }
    }
    return Image(width: image.width, height: image.height, pixels: pixels.map { UInt8($0.rounded()) })
  }

  /// Moves every plane by whole pixels, black coming in, and mirrors it.
  private func move(_ target: UnsafeMutableBufferPointer<Float>, _ dx: Int, _ dy: Int, mirrors: Bool) {
    let (height, width) = outputSize
    withUnsafeTemporaryAllocation(of: Float.self, capacity: height * width) { plane in
      for channel in 0..<channels {
        let start = channel * height * width
        let black = -base.mean[channel] / base.deviation[channel]
        for i in 0..<height * width { plane[i] = target[start + i] }
        for y in 0..<height {
          for x in 0..<width {
            let (row, column) = (y + dy, (mirrors ? width - 1 - x : x) + dx)
            let isInside = row >= 0 && row < height && column >= 0 && column < width
            target[start + y * width + x] = isInside ? plane[row * width + column] : black
          }
        }
      }
    }
  }
}
