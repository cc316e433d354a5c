import Files
import Foundation
import Tensors

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
    check(
      width >= 0 && height >= 0 && pixels.count == width * height * 3,
      "\(pixels.count) bytes for an RGB image of \(width)×\(height)")
    (self.width, self.height, self.pixels) = (width, height, pixels)
  }

  /// More pixels than this are refused before memory is taken: 89,478,485, where Pillow warns of a decompression bomb. They
  /// take 268 MB; what decoding needs beside them (the coefficients of a progressive JPEG, the canvas of a WebP) may take as
  /// much again.
  public static let defaultPixelLimit = 89_478_485

  /// What decoding may take in all, for each pixel of the limit.
  static let bytesPerPixelOfLimit: UInt64 = 6

  /// Reads a JPEG, PNG or WebP, told apart by its content.
  /// - Throws: `ImageError`.
  public init(contentsOf path: String, pixelLimit: Int = Image.defaultPixelLimit) throws(ImageError) {
    let data: Data
    do { data = try readFile(path) } catch { throw .unreadable(path, reason: error.reason) }
    try self.init(decoding: data, name: path, pixelLimit: pixelLimit)
  }

  /// Decodes a JPEG, PNG or WebP in memory, told apart by its content; `name` is for messages.
  /// - Throws: `ImageError`.
  public init(decoding data: Data, name: String, pixelLimit: Int = Image.defaultPixelLimit) throws(ImageError) {
    let result = data.withUnsafeBytes { bytes -> Result<Image, ImageError> in
      do throws(ImageError) {
        return .success(try Image(decoding: bytes, name: name, pixelLimit: pixelLimit))
      } catch { return .failure(error) }
    }
    self = try result.get()
  }

  /// Decodes a JPEG, PNG or WebP in memory, told apart by its content; `name` is for messages.
  ///
  /// Pixels are those of Pillow's `convert("RGB")`: EXIF orientation and colour profiles are ignored, alpha is dropped,
  /// CMYK is converted without a profile.
  /// - Throws: `ImageError`.
  public init(
    decoding bytes: UnsafeRawBufferPointer, name: String, pixelLimit: Int = Image.defaultPixelLimit
  ) throws(ImageError) {
    guard !bytes.isEmpty else { throw .empty(name) }
    guard let format = ImageFormat(bytes) else {
      throw .unknownFormat(name, found: ImageKinds.description(of: bytes))
    }
    self = try format.decode(bytes, name: name, pixelLimit: pixelLimit)
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
  /// The content is of no kind that is read; what it looks like, where that is known.
  case unknownFormat(String, found: String?)
  /// The image has more pixels than allowed.
  case tooLarge(String, width: Int, height: Int, limit: Int)
  /// The decoder gave up.
  case damaged(String, reason: String)

  public var description: String {
    switch self {
    case .unreadable(let name, let reason): "\(name): cannot be read: \(reason)"
    case .empty(let name): "\(name): the file is empty"
    case .unknownFormat(let name, let found):
      "\(name): neither JPEG, PNG nor WebP" + (found.map { ", but \($0)" } ?? "")
    case .tooLarge(let name, let width, let height, let limit):
      "\(name): \(width)×\(height) pixels are more than the limit of \(limit)"
    case .damaged(let name, let reason): "\(name): cannot be decoded: \(reason)"
    }
  }
}

extension ImageError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
