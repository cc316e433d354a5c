import Files
import Foundation

/// A picture of 8-bit RGB pixels.
public struct Image: Sendable, Equatable {
  /// Pixels of a row.
  public let width: Int
  /// Rows.
  public let height: Int
  /// Rows, then pixels, then R, G and B.
  public let pixels: [UInt8]

  /// A picture of these pixels.
  /// - Precondition: there are 3 bytes for each pixel.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(
      width >= 0 && height >= 0 && pixels.count == width * height * 3,
      "\(pixels.count) bytes for an RGB image of \(width)×\(height)")
    (self.width, self.height, self.pixels) = (width, height, pixels)
  }

  /// More pixels than this are refused before memory is taken: 2²⁷, an image of 11,585 × 11,585.
  public static let defaultPixelLimit = 1 << 27

  /// Reads a JPEG or PNG, told apart by its content.
  /// - Throws: `ImageError`.
  public init(contentsOf path: String, pixelLimit: Int = Image.defaultPixelLimit) throws(ImageError) {
    let data: Data
    do { data = try readFile(path) } catch { throw .unreadable(path, reason: error.reason) }
    try self.init(decoding: data, name: path, pixelLimit: pixelLimit)
  }

  /// Decodes a JPEG or PNG in memory, told apart by its content; `name` is for messages.
  /// - Throws: `ImageError`.
  public init(decoding data: Data, name: String, pixelLimit: Int = Image.defaultPixelLimit) throws(ImageError) {
    let result = data.withUnsafeBytes { bytes -> Result<Image, ImageError> in
      do throws(ImageError) {
        return .success(try Image(decoding: bytes, name: name, pixelLimit: pixelLimit))
      } catch { return .failure(error) }
    }
    self = try result.get()
  }

  /// Decodes a JPEG or PNG in memory, told apart by its content; `name` is for messages.
  ///
  /// Pixels are those of Pillow's `convert("RGB")`: EXIF orientation and colour profiles are ignored, alpha is dropped,
  /// CMYK is converted without a profile.
  /// - Throws: `ImageError`.
  public init(
    decoding bytes: UnsafeRawBufferPointer, name: String, pixelLimit: Int = Image.defaultPixelLimit
  ) throws(ImageError) {
    guard !bytes.isEmpty else { throw .empty(name) }
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = try decodeJPEG(bytes, name: name, pixelLimit: pixelLimit)
    } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = try decodePNG(bytes, name: name, pixelLimit: pixelLimit)
    } else {
      throw .unknownFormat(name)
    }
  }

  /// The part from (`left`, `top`) of `width` × `height` pixels; what lies outside is black, as Pillow's `crop` makes it.
  public func cropped(left: Int, top: Int, width cropWidth: Int, height cropHeight: Int) -> Image {
    var result = [UInt8](repeating: 0, count: cropWidth * cropHeight * 3)
    let columns = max(0, -left)..<max(max(0, -left), min(cropWidth, width - left))
    for y in max(0, -top)..<max(max(0, -top), min(cropHeight, height - top)) {
      let source = ((top + y) * width + left) * 3
      for x in columns.lowerBound * 3..<columns.upperBound * 3 { result[y * cropWidth * 3 + x] = pixels[source + x] }
    }
    return Image(width: cropWidth, height: cropHeight, pixels: result)
  }

  /// The picture in another size, as Pillow's `resize` with `BILINEAR` makes it, to the bit.
  public func resized(width newWidth: Int, height newHeight: Int) -> Image {
    let plane = resample(
      pixels, channels: 3, width: width, height: height, to: (newWidth, newHeight),
      columns: 0..<newWidth, rows: 0..<newHeight)
    return Image(width: newWidth, height: newHeight, pixels: plane)
  }
}

/// Why an image could not be had.
public enum ImageError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The file cannot be read.
  case unreadable(String, reason: String)
  /// The file has no bytes.
  case empty(String)
  /// The content is neither JPEG nor PNG.
  case unknownFormat(String)
  /// The image has more pixels than allowed.
  case tooLarge(String, width: Int, height: Int, limit: Int)
  /// The decoder gave up.
  case damaged(String, reason: String)

  public var description: String {
    switch self {
    case .unreadable(let name, let reason): "\(name): cannot be read: \(reason)"
    case .empty(let name): "\(name): the file is empty"
    case .unknownFormat(let name): "\(name): neither JPEG nor PNG"
    case .tooLarge(let name, let width, let height, let limit):
      "\(name): \(width)×\(height) pixels are more than the limit of \(limit)"
    case .damaged(let name, let reason): "\(name): cannot be decoded: \(reason)"
    }
  }
}
