import ImageReading

/// A format whose pictures are read, told by the content of a file.
enum ImageFormat {
  case jpeg, png, webp

  /// The format of these bytes; `nil` where they are of none.
  init?(_ bytes: UnsafeRawBufferPointer) {
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = .png
    } else if bytes.starts(with: "RIFF".utf8), bytes.count >= 16, bytes[8..<16].starts(with: "WEBPVP8".utf8),
      " XL".utf8.contains(bytes[15])
    {
      self = .webp
    } else {
      return nil
    }
  }

  private typealias Message = UnsafeMutablePointer<CChar>

  private func readHeader(
    _ bytes: UnsafePointer<UInt8>?, _ count: Int, _ header: inout covpool_image_header, _ message: Message
  ) -> Int32 {
    switch self {
    case .jpeg: covpool_jpeg_read_header(bytes, count, &header, message)
    case .png: covpool_png_read_header(bytes, count, &header, message)
    case .webp: covpool_webp_read_header(bytes, count, &header, message)
    }
  }

  private func readPixels(
    _ bytes: UnsafePointer<UInt8>?, _ count: Int, _ pixels: UnsafeMutablePointer<UInt8>?, _ message: Message
  ) -> Int32 {
    switch self {
    case .jpeg: covpool_jpeg_read_pixels(bytes, count, pixels, message)
    case .png: covpool_png_read_pixels(bytes, count, pixels, message)
    case .webp: covpool_webp_read_pixels(bytes, count, pixels, message)
    }
  }

  /// Decodes a picture as Pillow does: the same files are refused, and the pixels are those of `convert("RGB")`.
  func decode(_ bytes: UnsafeRawBufferPointer, name: String, pixelLimit: Int) throws(ImageError) -> Image {
    let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
    var (header, message) = (covpool_image_header(), [CChar](repeating: 0, count: Int(COVPOOL_IMAGE_MESSAGE)))
    func failure() -> ImageError {
      .damaged(name, reason: String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    guard readHeader(start, bytes.count, &header, &message) == 0 else { throw failure() }
    let (width, height) = (Int(header.width), Int(header.height))
    let (pixels, overflows) = width.multipliedReportingOverflow(by: height)
    guard !overflows, pixels <= pixelLimit else {
      throw .tooLarge(name, width: width, height: height, limit: pixelLimit)
    }
    guard header.memory <= UInt64(pixelLimit) * Image.bytesPerPixelOfLimit else {
      throw .damaged(
        name, reason: "\(width)×\(height) pixels of this kind take \(header.memory / 1_000_000) MB to decode")
    }
    // A progressive image may repeat its scans as often as it likes, and each goes over all pixels.
    let scans = Int(header.scans)
    guard scans <= 20 || scans * pixels <= scanLimit else {
      throw .damaged(name, reason: "\(scans) scans of \(width)×\(height) pixels")
    }
    var failed = false
    let decoded = [UInt8](unsafeUninitializedCapacity: pixels * 3) { buffer, count in
      failed = readPixels(start, bytes.count, buffer.baseAddress, &message) != 0
      // What a damaged file left unwritten must not be read.
      if failed { buffer.initialize(repeating: 0) }
      count = pixels * 3
    }
    guard !failed else { throw failure() }
    return Image(width: width, height: height, pixels: decoded)
  }
}

/// Pixels that all scans of a JPEG may go over: a second or two. Encoders write about ten scans.
private let scanLimit = 1 << 32
